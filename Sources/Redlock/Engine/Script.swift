// SPDX-License-Identifier: Apache-2.0

/// A script that runs on the nodes, and the digest by which a node knows it.
package struct Script: Sendable {
    package let text: String
    /// SHA-1 of the text, in hexadecimal digits.
    package let digest: String

    /// The scripts of the standard profile that a node is given with every connection; the others are sent whole where they
    /// are missing.
    package static let standard = [acquire, raise, extend, repair, release, read]

    /// The scripts of the compatible profile.
    package static let compatible = [extend, releasePlain, readPlain]

    /// Answers the first token of the block that is granted, 0 if the record is not the one that was admitted, or
    /// -1 - n if the lock is held for another n milliseconds, for ever if n is 2^53 - 2.
    ///
    /// The free path has four calls, and every one counts. What can fail comes first: where INCRBY fails, nothing is
    /// set. A counter below the time of the enrolment was lost, expired or restored from an old file; it goes on from
    /// the highest of what it says, the time of the enrolment, and the time that the client proposes to all nodes, or
    /// the node's own if the two are far apart. Lua counts in doubles, which are exact up to 2^53.
    ///
    /// KEYS: record, lock, fence. ARGV: owner token, TTL, tokens to reserve, proposed time, how far it may be from the
    /// node's (both in microseconds), life of a new counter in milliseconds, id of the admitted record.
    static let acquire = Script(
        text: """
            local record = redis.call('GET', KEYS[1])
            if not record or string.sub(record, 1, 16) ~= ARGV[7] then return 0 end
            if redis.call('EXISTS', KEYS[2]) == 1 then
                local left = redis.call('PTTL', KEYS[2])
                return left < 0 and -9007199254740991 or -1 - left
            end
            local last = redis.call('INCRBY', KEYS[3], ARGV[3])
            local enrolled = tonumber(string.sub(record, 18, 33))
            if last - ARGV[3] < enrolled then
                local time = redis.call('TIME')
                local now = time[1] * 1000000 + time[2]
                local proposal = tonumber(ARGV[4])
                if math.abs(proposal - now) > tonumber(ARGV[5]) then proposal = now end
                last = math.max(last - ARGV[3], proposal, enrolled) + ARGV[3]
                redis.call('SET', KEYS[3], string.format('%.0f', last), 'PX', ARGV[6])
            end
            if last > 9007199253692416 then
                return redis.error_reply('ERR the counter of fencing tokens is used up')
            end
            redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
            return last - ARGV[3] + 1
            """,
        digest: "c786f1e7082193ef3f07f582f5742eb703827d6d"
    )

    /// Raises the counter to the end of a block, if the lock is still held.
    ///
    /// 1: it stands there or above, 0: not held.
    ///
    /// KEYS: lock, fence. ARGV: owner token, end of the block, life of the counter in milliseconds.
    static let raise = Script(
        text: """
            if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
            local counter = tonumber(redis.call('GET', KEYS[2]) or '0')
            if counter < tonumber(ARGV[2]) then
                redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
            else
                local left = redis.call('PTTL', KEYS[2])
                if left >= 0 and left < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
            end
            return 1
            """,
        digest: "d366634fc4c05a021b0bc38d101273e162b8e935"
    )

    /// Raises the life of the lock to the TTL if it is held under the owner token; never creates it, never shortens its
    /// life.
    ///
    /// Answers how long it still lived, or -1: for ever, -2: missing, -3: foreign, -4: not allowed to know.
    ///
    /// PTTL is asked by pcall because a user may lack the right to it.
    ///
    /// KEYS: lock. ARGV: owner token, TTL.
    static let extend = Script(
        text: """
            local owner = redis.call('GET', KEYS[1])
            if not owner then return -2 end
            if owner ~= ARGV[1] then return -3 end
            local left = redis.pcall('PTTL', KEYS[1])
            if type(left) ~= 'number' then left = -4 end
            if left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
            return left
            """,
        digest: "ff1ab2687c933c4b9b2bfe2f716e37706e7d225a"
    )

    /// Sets the lock again on a node that lost it, unless somebody else has it there, and raises the counter to the end
    /// of the lease's block.
    ///
    /// 1: set, 0: not.
    ///
    /// KEYS: lock, fence. ARGV: owner token, TTL, end of the block, life of the counter in milliseconds.
    static let repair = Script(
        text: """
            if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
            local counter = tonumber(redis.call('GET', KEYS[2]) or '0')
            if counter < tonumber(ARGV[3]) then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
            redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
            return 1
            """,
        digest: "ccb171466a627c0962017232cbe0a15412762237"
    )

    /// Wakes the first who waits, and tells the three behind it to look for themselves if those before take their time.
    ///
    /// A message is the rank of its receiver and the queue. Whoever is woken has left the queue, but for the time at which
    /// it would be taken for gone; one that still waits takes its place again. Nobody hears the message of a client that is
    /// gone, so that the next is taken, a few times at most. A user who may not do all this wakes nobody, and those who
    /// wait look for themselves.
    private static let wakingTheFirst = """
        local woken = 0
        for _ = 1, 8 do
            local waiting = redis.pcall('ZRANGE', KEYS[2], 0, 3)
            if not waiting[1] or type(redis.pcall('ZREM', KEYS[2], waiting[1])) ~= 'number' then break end
            local receivers = redis.pcall('PUBLISH', ARGV[2] .. waiting[1], '0 ' .. KEYS[2])
            if type(receivers) ~= 'number' then break end
            if receivers > 0 then
                for rank = 1, #waiting - 1 do
                    redis.pcall('PUBLISH', ARGV[2] .. waiting[rank + 1], rank .. ' ' .. KEYS[2])
                end
                woken = 1
                break
            end
        end
        """

    /// Deletes the lock if it is held under the owner token, and wakes the first who waits for it.
    ///
    /// 2: deleted and somebody is woken, 1: deleted, 0: not held.
    ///
    /// KEYS: lock, queue. ARGV: owner token, beginning of the channels.
    static let release = Script(
        text: """
            if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
            redis.call('DEL', KEYS[1])
            \(wakingTheFirst)
            return 1 + woken
            """,
        digest: "434d0fe684a50d3ab7b2dafe5d884842d0fa6983"
    )

    /// The same without a queue.
    ///
    /// KEYS: lock. ARGV: owner token.
    static let releasePlain = Script(
        text: """
            if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
            return 0
            """,
        digest: "7f8f6677b8f2b4b65b9b9905151ced126e6b7e49"
    )

    /// Takes a place in the queue for the lock, or renews it; those who did not renew theirs in time lose it.
    ///
    /// 0: the lock is free, so that there is nothing to wait for, and no place; otherwise how long it still lives (-1: for
    /// ever, -2: it is free, but the place is wanted all the same) and how many wait before the client.
    ///
    /// KEYS: lock, queue, the same clients by when they are taken for gone. ARGV: client, ticket, life of the place in
    /// milliseconds, whether it is taken also where the lock is free.
    static let enqueue = Script(
        text: """
            if redis.call('EXISTS', KEYS[1]) == 0 and ARGV[4] == '0' then
                redis.call('ZREM', KEYS[2], ARGV[1])
                redis.call('ZREM', KEYS[3], ARGV[1])
                return 0
            end
            local time = redis.call('TIME')
            local now = time[1] * 1000 + math.floor(time[2] / 1000)
            for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 8)) do
                redis.call('ZREM', KEYS[2], gone)
                redis.call('ZREM', KEYS[3], gone)
            end
            redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
            redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[1])
            redis.call('PEXPIRE', KEYS[2], ARGV[3])
            redis.call('PEXPIRE', KEYS[3], ARGV[3])
            return {redis.call('PTTL', KEYS[1]), redis.call('ZRANK', KEYS[2], ARGV[1])}
            """,
        digest: "1394b28e46fcffe2284f5fa2563a1a2d12d54fe1"
    )

    /// Gives up a place in the queue for the lock; a client that was woken by then, and does not take a lock that is free,
    /// wakes the next.
    ///
    /// 1: somebody is woken, 0: nobody.
    ///
    /// KEYS: lock, queue, the same clients by when they are taken for gone. ARGV: client, beginning of the channels.
    static let leaveQueue = Script(
        text: """
            redis.call('ZREM', KEYS[3], ARGV[1])
            if redis.call('ZREM', KEYS[2], ARGV[1]) == 1 or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
            \(wakingTheFirst)
            return woken
            """,
        digest: "68b07659c3e49ea86c96b3e92ff6824ff64d45de"
    )

    /// The owner token, its life in milliseconds (-1: for ever, -3: not allowed to know), the counter, and how many clients
    /// wait; null for what is not there or may not be known.
    ///
    /// KEYS: lock, fence, queue.
    static let read = Script(
        text: """
            local left = redis.pcall('PTTL', KEYS[1])
            if type(left) ~= 'number' then left = -3 end
            local waiting = redis.pcall('ZCARD', KEYS[3])
            if type(waiting) ~= 'number' then waiting = false end
            return {redis.call('GET', KEYS[1]), left, redis.call('GET', KEYS[2]), waiting}
            """,
        digest: "c96dc07f195bed59483e8f81c11ae3ab3663537d"
    )

    /// The same without a counter and a queue.
    ///
    /// KEYS: lock.
    static let readPlain = Script(
        text: """
            local left = redis.pcall('PTTL', KEYS[1])
            if type(left) ~= 'number' then left = -3 end
            return {redis.call('GET', KEYS[1]), left, false, false}
            """,
        digest: "0eccdf9bebe17d87c9e545a4b7400a9d88ae1e96"
    )

    /// Writes a record in place of the one that the client read, or of none; answers what is there afterwards.
    ///
    /// KEYS: record. ARGV: the record that is there, or nothing; the new one before and after the server's time.
    static let enrol = Script(
        text: """
            local current = redis.call('GET', KEYS[1]) or ''
            if current ~= ARGV[1] then return current end
            local time = redis.call('TIME')
            local record = ARGV[2] .. ' ' .. string.format('%010d%06d', time[1], time[2]) .. ' ' .. ARGV[3]
            redis.call('SET', KEYS[1], record)
            return record
            """,
        digest: "22de82164796620c308833eccf10e06199d21e27"
    )

    /// Replaces the record that the client read.
    ///
    /// 1: replaced, 0: it is another one by now.
    ///
    /// KEYS: record. ARGV: the record that is there, the new one.
    static let replaceRecord = Script(
        text: """
            if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
            redis.call('SET', KEYS[1], ARGV[2])
            return 1
            """,
        digest: "b097e6df6348156cb1aa4db4a160a4d38272d9e9"
    )

    /// Raises the counter, whoever holds the lock; answers where it stands.
    ///
    /// KEYS: fence. ARGV: the least that the counter shall stand at, its life in milliseconds.
    static let raiseByHand = Script(
        text: """
            local counter = tonumber(redis.call('GET', KEYS[1]) or '0')
            if counter >= tonumber(ARGV[1]) then return counter end
            redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
            return tonumber(ARGV[1])
            """,
        digest: "0bfedcf0a87d883ab8257f942f25cf1a87742624"
    )
}

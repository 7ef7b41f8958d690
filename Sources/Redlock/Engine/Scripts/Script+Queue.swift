// SPDX-License-Identifier: Apache-2.0

/// How clients wait at the nodes, and are woken.
///
/// A member of a queue is the identifier of a client, 16 characters, and what the client knows the place by, which begins with
/// `s` if it wants to share the lock.
extension Script {
    /// Declares `wake`, which wakes the first of a queue and tells the three behind it to look for themselves if those before
    /// take their time.
    ///
    /// A message is the rank of its receiver, what it knows its place by, and the queue. Whoever is woken has left the queue,
    /// but for the time at which it would be taken for gone; one that still waits takes its place again. It has its turn for a
    /// while, in which those do not take the lock who respect that. Those who can share the lock are woken together. Nobody
    /// hears the message of a client that is gone, so that the next is taken, a few times at most. A user who may not do all
    /// this wakes nobody, and those who wait look for themselves.
    ///
    /// With a member and a ticket, only those before the two are woken. One that is named is woken before the first, if it
    /// waits. 1: somebody is woken, 0: nobody.
    static func waking(channel: String, time: String) -> String {
        """
        local function tell(queue, member, rank)
            local text = rank .. ' ' .. string.sub(member, 17) .. ' ' .. queue
            local receivers = redis.pcall('PUBLISH', \(channel) .. string.sub(member, 1, 16), text)
            return type(receivers) == 'number' and receivers
        end
        local function wake(queue, turn, member, ticket, named)
            for _ = 1, 8 do
                local waiting = redis.pcall('ZRANGE', queue, 0, 3)
                local first = waiting[1]
                if not first or first == member then return 0 end
                if named and type(redis.pcall('ZSCORE', queue, named)) == 'string' then first = named end
                named = nil
                if ticket and tonumber(redis.call('ZSCORE', queue, first)) >= ticket then return 0 end
                if type(redis.pcall('ZREM', queue, first)) ~= 'number' then return 0 end
                local receivers = tell(queue, first, 0)
                if not receivers then return 0 end
                if receivers > 0 then
                    redis.pcall('SET', turn, first, 'PX', \(time))
                    local isShared = string.sub(first, 17, 17) == 's'
                    local rank = 0
                    for _, other in ipairs(waiting) do
                        if other ~= first then
                            rank = rank + 1
                            isShared = isShared and string.sub(other, 17, 17) == 's'
                            tell(queue, other, isShared and 0 or rank)
                        end
                    end
                    return 1
                end
            end
            return 0
        end
        """
    }

    /// Takes a place in a queue, or renews it; those who did not renew theirs in time lose it.
    ///
    /// What comes before tells in `left` how long what is waited for is kept from the client, in milliseconds (-1: for ever),
    /// or -2 if it is free.
    ///
    /// 0: it is free, so that there is nothing to wait for, and no place; otherwise `left` and how many wait before the client.
    static func enqueuing(queue: String, expiry: String) -> String {
        """
        if left == -2 and ARGV[4] == '0' then
            redis.call('ZREM', \(queue), ARGV[1])
            redis.call('ZREM', \(expiry), ARGV[1])
            return 0
        end
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        for _, gone in ipairs(redis.call('ZRANGEBYSCORE', \(expiry), '-inf', now, 'LIMIT', 0, 8)) do
            redis.call('ZREM', \(queue), gone)
            redis.call('ZREM', \(expiry), gone)
        end
        redis.call('ZADD', \(queue), ARGV[2], ARGV[1])
        redis.call('ZADD', \(expiry), now + ARGV[3], ARGV[1])
        redis.call('PEXPIRE', \(queue), ARGV[3])
        redis.call('PEXPIRE', \(expiry), ARGV[3])
        return {left, redis.call('ZRANK', \(queue), ARGV[1])}
        """
    }

    /// Takes a place in the queue for a lock that one holder is to have alone.
    ///
    /// KEYS: lock, readers, queue, the same members by when they are taken for gone, turn. ARGV: member, ticket, life of the
    /// place in milliseconds, whether it is taken also where the lock is free.
    static let enqueue = Script(
        text: """
            local left = math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[2]))
            if left == -2 then
                local turn = redis.call('GET', KEYS[5])
                if turn and turn ~= ARGV[1] then left = redis.call('PTTL', KEYS[5]) end
            end
            \(enqueuing(queue: "KEYS[3]", expiry: "KEYS[4]"))
            """,
        digest: "1c769eb8e39f09946800b204fb695b155d0b7be9"
    )

    /// Takes a place in the queue for a lock that is to be shared: those who share it keep it from the client as long as
    /// somebody waits to have it alone, and has waited for longer.
    ///
    /// KEYS and ARGV: as for `enqueue`.
    static let enqueueShared = Script(
        text: """
            local left = redis.call('PTTL', KEYS[1])
            if left == -2 then
                local turn = redis.call('GET', KEYS[5])
                if turn and string.sub(turn, 17, 17) ~= 's' then
                    left = redis.call('PTTL', KEYS[5])
                elseif turn ~= ARGV[1] then
                    local waiting = redis.call('ZRANGE', KEYS[3], 0, 15, 'WITHSCORES')
                    for place = 1, #waiting, 2 do
                        if tonumber(waiting[place + 1]) >= tonumber(ARGV[2]) then break end
                        if string.sub(waiting[place], 17, 17) ~= 's' then
                            left = redis.call('PTTL', KEYS[2])
                            break
                        end
                    end
                end
            end
            \(enqueuing(queue: "KEYS[3]", expiry: "KEYS[4]"))
            """,
        digest: "7d5c770d1d81502a3476eae329f2911a930f2cf4"
    )

    /// Gives up a place in the queue for a lock; a client that was woken by then, and does not take a lock that is free,
    /// wakes the next.
    ///
    /// 1: somebody is woken, 0: nobody.
    ///
    /// KEYS: lock, queue, the same members by when they are taken for gone, turn. ARGV: member, beginning of the channels,
    /// time of a turn in milliseconds.
    static let leaveQueue = Script(
        text: """
            redis.call('ZREM', KEYS[3], ARGV[1])
            if redis.call('GET', KEYS[4]) == ARGV[1] then redis.call('DEL', KEYS[4]) end
            if redis.call('ZREM', KEYS[2], ARGV[1]) == 1 or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
            \(waking(channel: "ARGV[2]", time: "ARGV[3]"))
            return wake(KEYS[2], KEYS[4])
            """,
        digest: "277da36ae0b43a3906b66ee09ff1962940f2dccb"
    )
}

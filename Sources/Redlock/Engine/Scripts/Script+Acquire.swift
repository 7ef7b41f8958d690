// SPDX-License-Identifier: Apache-2.0

/// How nodes grant a lock to one holder alone.
extension Script {
    /// Ends with 0 unless the record is the one that was admitted.
    ///
    /// KEYS[1]: record. The last of ARGV ends with the id of the admitted record.
    static let admitting = """
        local record = redis.call('GET', KEYS[1])
        if not record or string.sub(record, 1, 16) ~= string.sub(ARGV[#ARGV], -16) then return 0 end
        """

    /// Tells the time of the node in `now`, in microseconds, and in `proposal` the time that the client proposes to all nodes,
    /// or the node's own if the two are far apart.
    ///
    /// The last of ARGV: proposed time, how far it may be from the node's, both in microseconds, and the id of the admitted
    /// record.
    private static let proposing = """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local proposal, tolerance = string.match(ARGV[#ARGV], '^(%d+) (%d+)')
        proposal = tonumber(proposal)
        if math.abs(proposal - now) > tonumber(tolerance) then proposal = now end
        """

    /// Takes the next block of tokens; `last` is its last.
    ///
    /// What can fail comes first: where INCRBY fails, nothing is set. A counter below the time of the enrolment was lost,
    /// expired or restored from an old file; it goes on from the highest of what it says, the time of the enrolment, and the
    /// time that is proposed. Lua counts in doubles, which are exact up to 2^53.
    ///
    /// The last of ARGV: see `proposing`.
    ///
    /// - Parameter reserve: how many tokens the block has.
    static func counting(fence: String, reserve: String = "'\(tokensPerGrant)'") -> String {
        """
        local reserve = \(reserve)
        local last = redis.call('INCRBY', \(fence), reserve)
        if last - reserve - string.sub(record, 18, 33) < 0 then
            \(proposing)
            last = math.max(last - reserve, proposal, tonumber(string.sub(record, 18, 33))) + reserve
            redis.call('SET', \(fence), string.format('%.0f', last), 'PX', '\(counterLifeMilliseconds)')
        end
        if last > 9007199253692416 then
            return redis.error_reply('ERR the counter of fencing tokens is used up')
        end
        """
    }

    /// How many tokens a grant takes: what stands before the last of ARGV, if there is one more than always.
    ///
    /// - Parameter last: the number of the last of ARGV without it.
    private static func reserve(last: Int) -> String {
        "ARGV[\(last + 1)] and ARGV[\(last)] or '\(tokensPerGrant)'"
    }

    /// Ends with -1 - n if the lock is held for another n milliseconds, for ever if n is 2^53 - 2.
    ///
    /// The key of those who share the lock ends with the last of them, so that it is enough to see whether it is there.
    ///
    /// KEYS[2]: lock, KEYS[4]: readers.
    private static let refusingIfHeld = """
        if redis.call('EXISTS', KEYS[2], KEYS[4]) > 0 then
            local left = math.max(redis.call('PTTL', KEYS[2]), redis.call('PTTL', KEYS[4]))
            return \(refusal)
        end
        """

    /// Answers the first token of the block that is granted, 0 if the record is not the one that was admitted, or
    /// -1 - n if the lock is held for another n milliseconds, for ever if n is 2^53 - 2.
    ///
    /// The free path has four calls, and every one counts.
    ///
    /// KEYS: record, lock, fence, readers. ARGV: owner token, TTL, how many tokens to take if not as many as always, and what
    /// `proposing` takes.
    package static let acquire = Script(
        text: """
            \(admitting)
            \(refusingIfHeld)
            \(counting(fence: "KEYS[3]", reserve: reserve(last: 3)))
            redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
            return last - reserve + 1
            """,
        digest: "2354d6aee355bc52be031172716f8ba735c73ac6"
    )

    /// The same for a client that has a place in the queue, which ends with the grant; or for one that is to have the lock in
    /// its turn.
    ///
    /// Where it is another one's turn, the answer is that of a lock that is held for as long as that one has time. Where it is
    /// nobody's and others have waited for longer, the first of them is woken: whoever asks moves the queue on, so that one
    /// who does not come when it is its turn keeps the others waiting for that time and no longer. A user who may not use
    /// queues gets the lock all the same.
    ///
    /// KEYS: record, lock, fence, readers, queue, queue by expiry, turn. ARGV: owner token, TTL, member, ticket, whether it is
    /// to be granted in turn, time of a turn in milliseconds, beginning of the channels, how many tokens to take if not as many
    /// as always, and what `proposing` takes.
    package static let acquireInTurn = Script(
        text: """
            \(admitting)
            \(refusingIfHeld)
            local turn = redis.call('GET', KEYS[7])
            if ARGV[5] == '1' and turn ~= ARGV[3] then
                if turn then return -1 - redis.call('PTTL', KEYS[7]) end
                \(waking(channel: "ARGV[7]", time: "ARGV[6]"))
                if wake(KEYS[5], KEYS[7], ARGV[3], tonumber(ARGV[4])) == 1 then return -1 - ARGV[6] end
            end
            \(counting(fence: "KEYS[3]", reserve: reserve(last: 8)))
            redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
            if turn == ARGV[3] then redis.call('DEL', KEYS[7]) end
            redis.pcall('ZREM', KEYS[5], ARGV[3])
            redis.pcall('ZREM', KEYS[6], ARGV[3])
            return last - reserve + 1
            """,
        digest: "60933d986e7b270d0d5395dad0b7d257b1391609"
    )

    /// Several locks at once, all or none.
    ///
    /// All of them get the same block of tokens: it begins behind the highest of their counters, to which the others are
    /// raised. A raised counter lives until the time has passed it, as a new one begins with the time.
    ///
    /// Answers the first token of the block and 0; 0 alone if the record is not the one that was admitted; or what the other
    /// scripts answer where a lock is held, and the number of the first that is, from 1.
    ///
    /// KEYS: record, then lock, fence and readers of each. ARGV: owner token, TTL, and what `proposing` takes.
    package static let acquireAll = Script(
        text: """
            \(admitting)
            for place = 2, #KEYS, 3 do
                if redis.call('EXISTS', KEYS[place], KEYS[place + 2]) > 0 then
                    local left = math.max(redis.call('PTTL', KEYS[place]), redis.call('PTTL', KEYS[place + 2]))
                    return {\(refusal), (place + 1) / 3}
                end
            end
            \(proposing)
            local enrolled = tonumber(string.sub(record, 18, 33))
            local start = 0
            local counters = {}
            for place = 3, #KEYS, 3 do
                local counter = tonumber(redis.call('GET', KEYS[place]) or '0')
                counters[place] = counter
                start = math.max(start, counter, enrolled)
                if counter < enrolled then start = math.max(start, proposal) end
            end
            local last = start + \(tokensPerGrant)
            if last > 9007199253692416 then
                return redis.error_reply('ERR the counter of fencing tokens is used up')
            end
            local life = \(counterLifeMilliseconds) + math.max(0, math.floor((last - now) / 1000))
            for place = 3, #KEYS, 3 do
                if counters[place] == start then
                    redis.call('INCRBY', KEYS[place], '\(tokensPerGrant)')
                else
                    redis.call('SET', KEYS[place], string.format('%.0f', last), 'PX', string.format('%.0f', life))
                end
            end
            for place = 2, #KEYS, 3 do redis.call('SET', KEYS[place], ARGV[1], 'PX', ARGV[2]) end
            return {last - \(tokensPerGrant - 1), 0}
            """,
        digest: "90b3da3477ee9e1e112727a31b04a7ada89799c7"
    )

    /// Raises counters to the end of a block, if the locks are still held.
    ///
    /// 1: they stand there or above, 0: not all are held.
    ///
    /// KEYS: lock and fence of each. ARGV: owner token, end of the block, life of the counters in milliseconds.
    package static let raise = Script(
        text: """
            for place = 1, #KEYS, 2 do
                if redis.call('GET', KEYS[place]) ~= ARGV[1] then return 0 end
            end
            for place = 2, #KEYS, 2 do
                local counter = tonumber(redis.call('GET', KEYS[place]) or '0')
                if counter < tonumber(ARGV[2]) then
                    redis.call('SET', KEYS[place], ARGV[2], 'PX', ARGV[3])
                else
                    local left = redis.call('PTTL', KEYS[place])
                    if left >= 0 and left < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[place], ARGV[3]) end
                end
            end
            return 1
            """,
        digest: "066d6ad88f17f2e2e088fcb63f1dae1cf5b04bb6"
    )
}

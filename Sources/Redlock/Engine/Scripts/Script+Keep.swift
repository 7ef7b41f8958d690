// SPDX-License-Identifier: Apache-2.0

/// How nodes keep a lock for one holder alone, and let it go.
extension Script {
    /// Raises the life of locks to the TTL if they are held under the owner token; never creates one, never shortens a life.
    ///
    /// Answers how long the first to end still lived, or -1: for ever, -2: one is missing, -3: one is foreign, -4: not
    /// allowed to know. Where one is missing or foreign, none is touched.
    ///
    /// PTTL is asked by pcall because a user may lack the right to it.
    ///
    /// KEYS: locks. ARGV: owner token, TTL.
    package static let extend = Script(
        text: """
            local worst = 0
            for _, lock in ipairs(KEYS) do
                local owner = redis.call('GET', lock)
                if not owner then worst = math.min(worst, -2) elseif owner ~= ARGV[1] then worst = -3 end
            end
            if worst < 0 then return worst end
            local least
            for _, lock in ipairs(KEYS) do
                local left = redis.pcall('PTTL', lock)
                if type(left) ~= 'number' then left = -4 end
                if left < tonumber(ARGV[2]) then redis.call('PEXPIRE', lock, ARGV[2]) end
                least = math.min(least or left, left)
            end
            return least
            """,
        digest: "7d75b95108d0d861737c22dfcd748cf217baea60"
    )

    /// Sets locks again on a node that lost them, unless somebody else has one there, and raises the counters to the end of
    /// the lease's block.
    ///
    /// 1: one was set at least, 0: none. Those that are there still live as long as the others afterwards.
    ///
    /// KEYS: lock, fence and readers of each. ARGV: owner token, TTL, end of the block, life of the counters in milliseconds.
    package static let repair = Script(
        text: """
            for place = 1, #KEYS, 3 do
                local owner = redis.call('GET', KEYS[place])
                if owner and owner ~= ARGV[1] or redis.call('EXISTS', KEYS[place + 2]) == 1 then return 0 end
            end
            local outcome = 0
            for place = 1, #KEYS, 3 do
                local counter = tonumber(redis.call('GET', KEYS[place + 1]) or '0')
                if counter < tonumber(ARGV[3]) then redis.call('SET', KEYS[place + 1], ARGV[3], 'PX', ARGV[4]) end
                local left = redis.call('PTTL', KEYS[place])
                if left == -2 then
                    redis.call('SET', KEYS[place], ARGV[1], 'PX', ARGV[2])
                    outcome = 1
                elseif left < tonumber(ARGV[2]) then
                    redis.call('PEXPIRE', KEYS[place], ARGV[2])
                end
            end
            return outcome
            """,
        digest: "0b033ff07ec993cbcec3c577ad7e7603ee7c9e9f"
    )

    /// Deletes locks that are held under the owner token, and wakes the first who waits for each.
    ///
    /// 2: deleted and somebody is woken, 1: deleted, 0: none was held.
    ///
    /// KEYS: lock, queue and turn of each. ARGV: owner token; in one, time of a turn in milliseconds, the member to be woken
    /// first if it waits, or -, and the beginning of the channels.
    package static let release = Script(
        text: """
            local outcome = 0
            for place = 1, #KEYS, 3 do
                if redis.call('GET', KEYS[place]) == ARGV[1] then
                    redis.call('DEL', KEYS[place])
                    if outcome == 0 then outcome = 1 end
                    if redis.pcall('EXISTS', KEYS[place + 1]) == 1 then
                        local time, named, channel = string.match(ARGV[2], '^(%d+) (%S+) (.*)$')
                        \(waking(channel: "channel", time: "time"))
                        if wake(KEYS[place + 1], KEYS[place + 2], nil, nil, named ~= '-' and named) == 1 then outcome = 2 end
                    end
                end
            end
            return outcome
            """,
        digest: "451f6c808eb996b7db1c0fbc78d91dd95bca37f3"
    )

    /// The same without a queue.
    ///
    /// KEYS: lock. ARGV: owner token.
    package static let releasePlain = Script(
        text: """
            if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
            return 0
            """,
        digest: "7f8f6677b8f2b4b65b9b9905151ced126e6b7e49"
    )

    /// Sets the life of locks that are held under the owner token to exactly the time, whether that is longer or shorter; wakes
    /// no waiter.
    ///
    /// 1: of all, 0: one is missing or foreign, which is left as it is.
    ///
    /// KEYS: locks. ARGV: owner token, time in milliseconds.
    package static let setLife = Script(
        text: """
            local outcome = 1
            for _, lock in ipairs(KEYS) do
                if redis.call('GET', lock) == ARGV[1] then
                    redis.call('PEXPIRE', lock, ARGV[2])
                else
                    outcome = 0
                end
            end
            return outcome
            """,
        digest: "35a7fc2c6c8b5aa3fe3a78d2fb54cee73edb20e4"
    )

    /// What is known of a lock.
    ///
    /// The owner token, its life in milliseconds (-1: for ever, -3: not allowed to know), the counter, how many clients
    /// wait, and the owner tokens of those who share the lock, each before its life, 32 at most; null for what is not there
    /// or may not be known. An error where the lock, or what those have who share it, is something else.
    ///
    /// KEYS: lock, fence, readers, queue.
    package static let read = Script(
        text: """
            local left = redis.pcall('PTTL', KEYS[1])
            if type(left) ~= 'number' then left = -3 end
            local counter = redis.pcall('GET', KEYS[2])
            if type(counter) ~= 'string' then counter = false end
            local waiting = redis.pcall('ZCARD', KEYS[4])
            if type(waiting) ~= 'number' then waiting = false end
            local readers = {}
            if redis.call('EXISTS', KEYS[3]) == 1 then
                \(clock)
                local found = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 32)
                for place = 1, #found, 2 do
                    readers[place] = found[place]
                    readers[place + 1] = found[place + 1] - now
                end
            end
            return {redis.call('GET', KEYS[1]), left, counter, waiting, readers}
            """,
        digest: "ffd91e8b728b0f9172d29aed93af71790afab5a3"
    )

    /// The same without a counter, a queue and those who share.
    ///
    /// KEYS: lock.
    package static let readPlain = Script(
        text: """
            local left = redis.pcall('PTTL', KEYS[1])
            if type(left) ~= 'number' then left = -3 end
            return {redis.call('GET', KEYS[1]), left, false, false, {}}
            """,
        digest: "cff92df1af3acd0e2733b01e6ff3bc3b09f2169f"
    )
}

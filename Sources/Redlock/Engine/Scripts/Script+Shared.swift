// SPDX-License-Identifier: Apache-2.0

/// How nodes grant a lock to those who share it.
///
/// They are the members of a sorted set, each with the time at which its share ends. The key ends with the last of them, so
/// that it is there as long as anybody has a share.
extension Script {
    /// Takes out of `readers` whose time is over; before anything is added, as a user may not be allowed to.
    private static func purging(_ readers: String) -> String {
        "redis.call('ZREMRANGEBYSCORE', \(readers), '-inf', now)"
    }

    /// Has the key end with the last of those who share; `last` is that one.
    private static func settling(_ readers: String) -> String {
        """
        local last = redis.call('ZRANGE', \(readers), -1, -1, 'WITHSCORES')
        if last[1] then redis.call('PEXPIREAT', \(readers), last[2]) end
        """
    }

    /// Adds one who shares, and has the key end with the last; takes it out again where the key would not end.
    private static func adding(_ readers: String) -> String {
        """
        redis.call('ZADD', \(readers), now + ARGV[2], ARGV[1])
        local last = redis.call('ZRANGE', \(readers), -1, -1, 'WITHSCORES')
        local isEnding = redis.pcall('PEXPIREAT', \(readers), last[2])
        if type(isEnding) ~= 'number' then
            redis.call('ZREM', \(readers), ARGV[1])
            return isEnding
        end
        """
    }

    /// Adds somebody who shares the lock, unless somebody has it alone, or waits to have it alone and has waited for longer.
    ///
    /// 1: added, otherwise what `acquire` answers. One who waits to have it alone, and may have it now, is woken; one that
    /// nobody hears any more does not count.
    ///
    /// KEYS: record, lock, readers, queue, queue by expiry, turn. ARGV: owner token, TTL, member, ticket, time of a turn in
    /// milliseconds, beginning of the channels, id of the admitted record.
    package static let acquireShared = Script(
        text: """
            \(admitting)
            if redis.call('EXISTS', KEYS[2]) == 1 then
                local left = redis.call('PTTL', KEYS[2])
                return \(refusal)
            end
            local function isShared(member) return string.sub(member, 17, 17) == 's' end
            \(telling(channel: "ARGV[6]"))
            local turn = redis.call('GET', KEYS[6])
            if turn and not isShared(turn) then return -1 - redis.call('PTTL', KEYS[6]) end
            if turn ~= ARGV[3] then
                local waiting = redis.call('ZRANGE', KEYS[4], 0, 63, 'WITHSCORES')
                for place = 1, #waiting, 2 do
                    local member = waiting[place]
                    if tonumber(waiting[place + 1]) >= tonumber(ARGV[4]) then break end
                    if not isShared(member) then
                        local left = redis.call('PTTL', KEYS[3])
                        if tell(KEYS[4], member, left > 0 and 'not yet' or 0) ~= 0 then
                            if left > 0 then return -1 - left end
                            redis.call('ZREM', KEYS[4], member)
                            redis.call('SET', KEYS[6], member, 'PX', ARGV[5])
                            return -1 - ARGV[5]
                        end
                        redis.call('ZREM', KEYS[4], member)
                    end
                end
            end
            \(clock)
            \(purging("KEYS[3]"))
            \(adding("KEYS[3]"))
            if turn == ARGV[3] then redis.call('DEL', KEYS[6]) end
            redis.pcall('ZREM', KEYS[4], ARGV[3])
            redis.pcall('ZREM', KEYS[5], ARGV[3])
            for _ = 1, 8 do
                local next = redis.pcall('ZRANGE', KEYS[4], 0, 0)[1]
                if not next or not isShared(next) then break end
                redis.pcall('ZREM', KEYS[4], next)
                if tell(KEYS[4], next, 0) ~= 0 then break end
            end
            return 1
            """,
        digest: "acf9acfb781840482f9cc7632c7a948130defea0"
    )

    /// Raises the time of one who shares the lock to the TTL; never adds one, never shortens a time.
    ///
    /// Answers how long it still had, or -2: it has no share.
    ///
    /// KEYS: readers. ARGV: owner token, TTL.
    package static let extendShared = Script(
        text: """
            local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
            if not ends then return -2 end
            \(clock)
            local left = ends - now
            if left <= 0 then return -2 end
            if left < tonumber(ARGV[2]) then
                \(adding("KEYS[1]"))
            end
            return left
            """,
        digest: "8d3f4f12483fda0005509cddd8f8f57a1ada0f81"
    )

    /// Sets the time of one who shares the lock to exactly the given one, whether that is longer or shorter; wakes no
    /// waiter.
    ///
    /// 1: set, 0: it has no share.
    ///
    /// KEYS: readers. ARGV: owner token, time in milliseconds.
    package static let setLifeShared = Script(
        text: """
            local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
            if not ends then return 0 end
            \(clock)
            if ends - now <= 0 then return 0 end
            \(adding("KEYS[1]"))
            return 1
            """,
        digest: "b5378f202cabd6f3519a352c1a712fd028a93345"
    )

    /// Adds somebody who shares the lock again on a node that lost that, unless somebody has it alone there.
    ///
    /// 1: added, 0: not.
    ///
    /// KEYS: lock, readers. ARGV: owner token, TTL.
    package static let repairShared = Script(
        text: """
            if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
            \(clock)
            \(purging("KEYS[2]"))
            \(adding("KEYS[2]"))
            return 1
            """,
        digest: "02aa23c6cd9293a5f81e8924826169ccdec7e544"
    )

    /// Takes out one who shares the lock; the last wakes the first who waits for it.
    ///
    /// 2: taken out and somebody is woken, 1: taken out, 0: it had no share.
    ///
    /// KEYS: readers, queue, turn. ARGV: owner token, beginning of the channels, time of a turn in milliseconds.
    package static let releaseShared = Script(
        text: """
            if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
            \(clock)
            \(purging("KEYS[1]"))
            \(settling("KEYS[1]"))
            if last[1] then return 1 end
            \(waking(channel: "ARGV[2]", time: "ARGV[3]"))
            return 1 + wake(KEYS[2], KEYS[3])
            """,
        digest: "797edbcd1d3055098d1a083b4920e446a1f59f4f"
    )
}

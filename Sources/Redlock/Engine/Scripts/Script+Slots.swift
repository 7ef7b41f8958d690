// SPDX-License-Identifier: Apache-2.0

/// How nodes grant one of several slots, each of which is a lock of its own.
///
/// The key of a slot has its number in its middle, in three digits: what stands before and behind it is given, as there may
/// be many.
extension Script {
    /// Tells in `left` how long the first slot to be free is still held, -1: for ever, and -2 if one is free, the first of
    /// which, from some number on and round, is `free`.
    private static func lookingForFreeSlot(start: String, end: String, count: String, from: String = "0") -> String {
        """
        local free
        local left = -1
        for step = 0, \(count) - 1 do
            local slot = (\(from) + step) % \(count)
            local life = redis.call('PTTL', \(start) .. string.format('%03d', slot) .. \(end))
            if life == -2 then
                free = string.format('%03d', slot)
                left = -2
                break
            end
            if life >= 0 and (left < 0 or life < left) then left = life end
        end
        """
    }

    /// Grants the first slot that is free.
    ///
    /// Clients have agreed on how many there are by whoever was first; another number is refused as long as one slot is held.
    ///
    /// Answers the first token of the block and the number of the slot, from 0; 0 alone if the record is not the one that was
    /// admitted; the number of slots that was agreed on, alone, if it is another; or -1 - n and 0 if the first slot to be free
    /// is held for another n milliseconds, for ever if n is 2^53 - 2.
    ///
    /// KEYS: record, agreed number, queue, queue by expiry, turn. ARGV: owner token, TTL, what a slot and a fence begin with,
    /// how both end, how many slots there are, member, ticket, whether it is to be granted in turn, time of a turn in
    /// milliseconds, beginning of the channels, with which slot to begin, and what `proposing` takes.
    package static let acquireSlot = Script(
        text: """
            \(admitting)
            local limit = tonumber(ARGV[6])
            local agreed = tonumber(redis.call('GET', KEYS[2]) or ARGV[6])
            if agreed and agreed ~= limit and agreed >= 1 and agreed <= 1000 then
                for slot = 0, agreed - 1 do
                    if redis.call('EXISTS', ARGV[3] .. string.format('%03d', slot) .. ARGV[5]) == 1 then return agreed end
                end
            end
            \(lookingForFreeSlot(start: "ARGV[3]", end: "ARGV[5]", count: "limit", from: "ARGV[12]"))
            if not free then return {\(refusal), 0} end
            local turn = redis.call('GET', KEYS[5])
            if ARGV[9] == '1' and turn ~= ARGV[7] then
                if turn then return {-1 - redis.call('PTTL', KEYS[5]), 0} end
                \(waking(channel: "ARGV[11]", time: "ARGV[10]"))
                if wake(KEYS[3], KEYS[5], ARGV[7], tonumber(ARGV[8])) == 1 then return {-1 - ARGV[10], 0} end
            end
            local fence = ARGV[4] .. free .. ARGV[5]
            \(counting(fence: "fence"))
            redis.call('SET', ARGV[3] .. free .. ARGV[5], ARGV[1], 'PX', ARGV[2])
            redis.call('SET', KEYS[2], ARGV[6], 'PX', '\(counterLifeMilliseconds)')
            if turn == ARGV[7] then redis.call('DEL', KEYS[5]) end
            redis.pcall('ZREM', KEYS[3], ARGV[7])
            redis.pcall('ZREM', KEYS[4], ARGV[7])
            return {last - reserve + 1, tonumber(free)}
            """,
        digest: "533b2947f9fb54649275df0a1a0fff06824802e2"
    )

    /// Deletes every slot that is held under the owner token, whichever that is, and wakes the first who waits.
    ///
    /// 2: deleted and somebody is woken, 1: deleted, 0: none was held.
    ///
    /// KEYS: queue, turn. ARGV: owner token, beginning of the channels, time of a turn in milliseconds, the member to be woken
    /// first if it waits, or nothing; what a slot begins with, how it ends, how many there are.
    package static let releaseSlot = Script(
        text: """
            local outcome = 0
            for slot = 0, ARGV[7] - 1 do
                local lock = ARGV[5] .. string.format('%03d', slot) .. ARGV[6]
                if redis.call('GET', lock) == ARGV[1] then
                    redis.call('DEL', lock)
                    outcome = 1
                end
            end
            if outcome == 0 then return 0 end
            \(waking(channel: "ARGV[2]", time: "ARGV[3]"))
            return 1 + wake(KEYS[1], KEYS[2], nil, nil, ARGV[4] ~= '' and ARGV[4])
            """,
        digest: "c46da9baaed0cdee157b0423536ebf9201828e41"
    )

    /// Takes a place in the queue for a slot.
    ///
    /// KEYS: queue, the same members by when they are taken for gone, turn. ARGV: member, ticket, life of the place in
    /// milliseconds, whether it is taken also where a slot is free, what a slot begins with, how it ends, how many there are.
    package static let enqueueForSlot = Script(
        text: """
            \(purging(queue: "KEYS[1]", expiry: "KEYS[2]"))
            \(lookingForFreeSlot(start: "ARGV[5]", end: "ARGV[6]", count: "ARGV[7]"))
            if left == -2 then
                local turn = redis.call('GET', KEYS[3])
                if turn and turn ~= ARGV[1] then left = redis.call('PTTL', KEYS[3]) end
            end
            \(enqueuing(queue: "KEYS[1]", expiry: "KEYS[2]"))
            """,
        digest: "074823c3ec2cbef6de1896b14b8bcf7a20806433"
    )

    /// Gives up a place in the queue for a slot, as `leaveQueue` does for a lock.
    ///
    /// KEYS: queue, the same members by when they are taken for gone, turn. ARGV: member, beginning of the channels, time of a
    /// turn in milliseconds, what a slot begins with, how it ends, how many there are.
    package static let leaveQueueForSlot = Script(
        text: """
            \(leaving(queue: "KEYS[1]", expiry: "KEYS[2]", turn: "KEYS[3]"))
            if waited then return 0 end
            \(lookingForFreeSlot(start: "ARGV[4]", end: "ARGV[5]", count: "ARGV[6]"))
            if not free then return 0 end
            \(waking(channel: "ARGV[2]", time: "ARGV[3]"))
            return wake(KEYS[1], KEYS[3])
            """,
        digest: "82036d55c27d1a67935fd54bc4062d362be905b8"
    )
}

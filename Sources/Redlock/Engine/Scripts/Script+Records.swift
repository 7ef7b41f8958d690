// SPDX-License-Identifier: Apache-2.0

/// What is written for nodes as a whole, and by operators.
extension Script {
    /// Writes a record in place of the one that the client read, or of none; answers what is there afterwards.
    ///
    /// KEYS: record. ARGV: the record that is there, or nothing; the new one before and after the server's time.
    package static let enrol = Script(
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
    package static let replaceRecord = Script(
        text: """
            if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
            redis.call('SET', KEYS[1], ARGV[2])
            return 1
            """,
        digest: "b097e6df6348156cb1aa4db4a160a4d38272d9e9"
    )

    /// Deletes what lies in place of a lock and is none; a real lock, which may have been taken meanwhile, stays.
    ///
    /// Answers how many keys were deleted.
    ///
    /// KEYS: lock, readers.
    package static let removeForeign = Script(
        text: """
            local removed = 0
            for place, command in ipairs({'GET', 'ZCARD'}) do
                local value = redis.pcall(command, KEYS[place])
                if type(value) == 'table' and value.err then
                    if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
                    removed = removed + redis.call('DEL', KEYS[place])
                end
            end
            return removed
            """,
        digest: "6cc2c124ef94c5afa55033b68c8c58a8594c6de6"
    )

    /// Raises the counter, whoever holds the lock; answers where it stands.
    ///
    /// KEYS: fence. ARGV: the least that the counter shall stand at, its life in milliseconds.
    package static let raiseByHand = Script(
        text: """
            local counter = tonumber(redis.call('GET', KEYS[1]) or '0')
            if counter >= tonumber(ARGV[1]) then return counter end
            redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
            return tonumber(ARGV[1])
            """,
        digest: "0bfedcf0a87d883ab8257f942f25cf1a87742624"
    )
}

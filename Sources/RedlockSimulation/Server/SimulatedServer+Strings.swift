// SPDX-License-Identifier: Apache-2.0

/// The commands for strings and for keys of any type, each as Redis has it.
extension SimulatedServer {
    func get(_ words: Words) throws(CommandError) -> Reply {
        switch keys.entry(words[1])?.value {
        case .text(let text): return .text(text)
        case .integer(let number): return .digits(number)
        case .scores, .collection: throw .wrongType
        case nil: return .null
        }
    }

    /// SET key value, with NX, XX and PX in any order behind.
    func set(_ words: Words) throws(CommandError) -> Reply {
        var mustBeThere: Bool?
        var lifePlace: Int?
        var place = 3
        while place < words.count {
            if words.isOption("NX", at: place), mustBeThere == nil {
                mustBeThere = false
            } else if words.isOption("XX", at: place), mustBeThere == nil {
                mustBeThere = true
            } else if words.isOption("PX", at: place), lifePlace == nil, place + 1 < words.count {
                place += 1
                lifePlace = place
            } else {
                throw .syntax
            }
            place += 1
        }
        var end = SimulatedKeys.Entry.never
        if let lifePlace {
            let life = try words.integer(lifePlace)
            guard life > 0, life <= Int64.max - keys.nowMilliseconds else { throw .invalidLife("set") }
            end = keys.nowMilliseconds + life
        }
        let key = words[1]
        if let mustBeThere, keys.contains(key) != mustBeThere { return .null }
        keys.set(key, to: SimulatedKeys.Entry(value: SimulatedKeys.Value(words[2]), endMilliseconds: end))
        return .status("OK")
    }

    /// INCRBY.
    func increment(_ words: Words) throws(CommandError) -> Reply {
        let key = words[1]
        let step = try words.integer(2)
        let counted = try keys.change(key) { (entry) throws(CommandError) -> Int64 in
            switch entry.value {
            case .scores, .collection: throw .wrongType
            case .text: throw .notAnInteger
            case .integer(let number):
                let (sum, overflows) = number.addingReportingOverflow(step)
                if overflows { throw .overflow }
                entry.value = .integer(sum)
                return sum
            }
        }
        if let counted { return .integer(counted) }
        keys.set(key, to: SimulatedKeys.Entry(value: .integer(step), endMilliseconds: SimulatedKeys.Entry.never))
        return .integer(step)
    }

    func exists(_ words: Words) -> Reply {
        // All are looked at, as looking deletes what has ended.
        .integer((1..<words.count).reduce(0) { count, place in count + (keys.contains(words[place]) ? 1 : 0) })
    }

    /// DEL.
    func delete(_ words: Words) -> Reply {
        .integer((1..<words.count).reduce(0) { count, place in count + (keys.remove(words[place]) ? 1 : 0) })
    }

    /// PTTL: -1 for a key that stays, -2 for none.
    func remainingLife(_ words: Words) -> Reply {
        guard let entry = keys.entry(words[1]) else { return .integer(-2) }
        guard entry.endMilliseconds != SimulatedKeys.Entry.never else { return .integer(-1) }
        return .integer(max(0, entry.endMilliseconds - keys.nowMilliseconds))
    }

    /// PEXPIRE: a life that is over deletes the key.
    func setLife(_ words: Words) throws(CommandError) -> Reply {
        let life = try words.integer(2)
        guard life <= Int64.max - keys.nowMilliseconds else { throw .invalidLife("pexpire") }
        return try setEnd(keys.nowMilliseconds + life, words)
    }

    /// PEXPIREAT: an end that is past deletes the key.
    func setEnd(_ words: Words) throws(CommandError) -> Reply {
        try setEnd(words.integer(2), words)
    }

    private func setEnd(_ end: Int64, _ words: Words) throws(CommandError) -> Reply {
        guard words.count == 3 else { throw .unknownOption }
        let key = words[1]
        guard end > keys.nowMilliseconds else { return .integer(keys.remove(key) ? 1 : 0) }
        let isThere: Void? = keys.change(key) { $0.endMilliseconds = end }
        return .integer(isThere == nil ? 0 : 1)
    }

    func time() -> Reply {
        let (seconds, microseconds) = keys.now.quotientAndRemainder(dividingBy: 1_000_000)
        return .array([.digits(seconds), .digits(microseconds)])
    }

    /// PUBLISH: how many heard it.
    func publish(_ words: Words) -> Reply {
        .integer(publisher(words.text(1), words.text(2)))
    }
}

extension CommandError {
    /// For what a real server may understand.
    static let unknownOption = CommandError(text: "ERR a simulated server does not know this option")
}

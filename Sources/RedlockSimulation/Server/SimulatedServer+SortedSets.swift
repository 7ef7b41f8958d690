// SPDX-License-Identifier: Apache-2.0

/// The commands for sorted sets, each as Redis has it.
extension SimulatedServer {
    private func scores(_ key: UnsafeRawBufferPointer) throws(CommandError) -> SimulatedScores? {
        guard let value = keys.entry(key)?.value else { return nil }
        guard case .scores(let scores) = value else { throw .wrongType }
        return scores
    }

    /// ZADD key score member, with more of both behind.
    func addScores(_ words: Words) throws(CommandError) -> Reply {
        guard words.count.isMultiple(of: 2) else { throw .syntax }
        // Nothing is added where one of the scores is none.
        for place in stride(from: 2, to: words.count, by: 2) where words.float(place) == nil { throw .notAFloat }
        let key = words[1]
        let added = try keys.change(key) { (entry) throws(CommandError) in
            guard case .scores(var scores) = entry.value else { throw .wrongType }
            // Not in two places, or it would be copied before it changes.
            entry.value = .collection
            let added = Self.add(words, to: &scores)
            entry.value = .scores(scores)
            return added
        }
        if let added { return .integer(added) }
        var scores = SimulatedScores()
        let count = Self.add(words, to: &scores)
        keys.set(key, to: SimulatedKeys.Entry(value: .scores(scores), endMilliseconds: SimulatedKeys.Entry.never))
        return .integer(count)
    }

    /// Adds the members of a ZADD; answers how many are new.
    private static func add(_ words: Words, to scores: inout SimulatedScores) -> Int64 {
        stride(from: 2, to: words.count, by: 2).reduce(0) { count, place in
            count + (scores.set(words.text(place + 1), to: words.float(place) ?? 0) ? 1 : 0)
        }
    }

    /// ZREM: how many there were.
    ///
    /// A set without members is no key any more.
    func removeMembers(_ words: Words) throws(CommandError) -> Reply {
        let key = words[1]
        guard var scores = try scores(key) else { return .integer(0) }
        let removed = (2..<words.count).reduce(0) { count, place in count + (scores.remove(words.text(place)) ? 1 : 0) }
        if removed > 0 { keep(scores, at: key) }
        return .integer(Int64(removed))
    }

    /// ZREMRANGEBYSCORE key from to.
    func removeRangeByScore(_ words: Words) throws(CommandError) -> Reply {
        let key = words[1]
        guard let lowest = words.bound(2), let highest = words.bound(3) else { throw .noRange }
        guard var scores = try scores(key) else { return .integer(0) }
        let places = scores.places(from: lowest, to: highest)
        scores.remove(places)
        if !places.isEmpty { keep(scores, at: key) }
        return .integer(Int64(places.count))
    }

    private func keep(_ scores: SimulatedScores, at key: UnsafeRawBufferPointer) {
        if scores.isEmpty {
            _ = keys.remove(key)
        } else {
            _ = keys.change(key) { $0.value = .scores(scores) }
        }
    }

    /// ZRANGE key from to, with WITHSCORES behind or without.
    func range(_ words: Words) throws(CommandError) -> Reply {
        let start = try words.integer(2)
        let end = try words.integer(3)
        let withScores = words.isOption("WITHSCORES", at: 4)
        guard words.count == (withScores ? 5 : 4) else { throw .unknownOption }
        guard let scores = try scores(words[1]) else { return .array([]) }
        let count = Int64(scores.count)
        let first = max(0, start < 0 ? start + count : start)
        let last = min(count - 1, end < 0 ? end + count : end)
        return .array(scores.members(first <= last ? Int(first)..<Int(last) + 1 : 0..<0, withScores: withScores))
    }

    /// ZRANGEBYSCORE key from to, with WITHSCORES and LIMIT offset count behind.
    func rangeByScore(_ words: Words) throws(CommandError) -> Reply {
        guard let lowest = words.bound(2), let highest = words.bound(3) else { throw .noRange }
        var withScores = false
        var limit: (offset: Int64, count: Int64)?
        var place = 4
        while place < words.count {
            if words.isOption("WITHSCORES", at: place) {
                withScores = true
                place += 1
            } else if words.isOption("LIMIT", at: place), place + 2 < words.count {
                limit = (try words.integer(place + 1), try words.integer(place + 2))
                place += 3
            } else {
                throw .syntax
            }
        }
        guard let scores = try scores(words[1]) else { return .array([]) }
        var places = scores.places(from: lowest, to: highest)
        if let limit {
            guard limit.offset >= 0 else { return .array([]) }
            places = places.dropFirst(Int(limit.offset))
            if limit.count >= 0 { places = places.prefix(Int(limit.count)) }
        }
        return .array(scores.members(places, withScores: withScores))
    }

    /// ZSCORE.
    func score(_ words: Words) throws(CommandError) -> Reply {
        guard let score = try scores(words[1])?.score(words.text(2)) else { return .null }
        return .score(score)
    }

    /// ZRANK.
    func rank(_ words: Words) throws(CommandError) -> Reply {
        guard let rank = try scores(words[1])?.rank(words.text(2)) else { return .null }
        return .integer(Int64(rank))
    }

    /// ZCARD.
    func countScores(_ words: Words) throws(CommandError) -> Reply {
        .integer(Int64(try scores(words[1])?.count ?? 0))
    }
}

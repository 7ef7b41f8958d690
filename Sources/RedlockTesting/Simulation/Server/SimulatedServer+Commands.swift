// SPDX-License-Identifier: Apache-2.0

import Hiredis

/// The commands that clients and their scripts call, each as Redis has it.
extension SimulatedServer {
    /// Commands, to say what a user may not do.
    package struct Commands: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let get = Self(rawValue: 1 << 0)
        package static let set = Self(rawValue: 1 << 1)
        package static let exists = Self(rawValue: 1 << 2)
        package static let remainingLife = Self(rawValue: 1 << 3)
        package static let increment = Self(rawValue: 1 << 4)
        package static let setLife = Self(rawValue: 1 << 5)
        package static let delete = Self(rawValue: 1 << 6)
        package static let time = Self(rawValue: 1 << 7)
        /// EVAL and EVALSHA.
        package static let evaluate = Self(rawValue: 1 << 8)
        /// SCRIPT LOAD.
        package static let load = Self(rawValue: 1 << 9)
        package static let information = Self(rawValue: 1 << 10)
        package static let configuration = Self(rawValue: 1 << 11)
        package static let scan = Self(rawValue: 1 << 12)
        package static let ping = Self(rawValue: 1 << 13)

        /// ZADD.
        package static let addScore = Self(rawValue: 1 << 14)
        /// ZREM.
        package static let removeScore = Self(rawValue: 1 << 15)
        /// ZRANGE.
        package static let range = Self(rawValue: 1 << 16)
        /// ZRANGEBYSCORE.
        package static let rangeByScore = Self(rawValue: 1 << 17)
        /// ZRANK.
        package static let rank = Self(rawValue: 1 << 18)
        package static let publish = Self(rawValue: 1 << 19)
        /// ZCARD.
        package static let countScores = Self(rawValue: 1 << 20)

        /// ZSCORE.
        package static let score = Self(rawValue: 1 << 21)
        /// ZREMRANGEBYSCORE.
        package static let removeScores = Self(rawValue: 1 << 22)
        /// PEXPIREAT.
        package static let setEnd = Self(rawValue: 1 << 23)

        package static let all = Self(rawValue: (1 << 24) - 1)

        static let writes: Self = [
            .set, .increment, .setLife, .delete, .addScore, .removeScore, .removeScores, .setEnd,
        ]
        /// Those that may need memory.
        static let growing: Self = [.set, .increment, .addScore]
    }

    func get(_ key: String) throws(CommandError) -> SimulatedKeys.Value? {
        try admit(.get)
        guard let value = keys.entry(key)?.value else { return nil }
        if !value.isString { throw .wrongType }
        return value
    }

    func exists(_ key: String) throws(CommandError) -> Bool {
        try admit(.exists)
        return keys.contains(key)
    }

    /// EXISTS with two keys: whether one of them is there.
    func exists(_ key: String, _ other: String) throws(CommandError) -> Bool {
        try admit(.exists)
        // Both are looked at, as looking deletes what has ended.
        let isFirstThere = keys.contains(key)
        return keys.contains(other) || isFirstThere
    }

    /// PTTL: -1 for a key that stays, -2 for none.
    func remainingLife(_ key: String) throws(CommandError) -> Int64 {
        try admit(.remainingLife)
        guard let entry = keys.entry(key) else { return -2 }
        guard entry.endMilliseconds != SimulatedKeys.Entry.never else { return -1 }
        return max(0, entry.endMilliseconds - keys.nowMilliseconds)
    }

    /// INCRBY.
    func increment(_ key: String, by step: Int64) throws(CommandError) -> Int64 {
        try admit(.increment)
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
        if let counted { return counted }
        keys.set(key, to: SimulatedKeys.Entry(value: .integer(step), endMilliseconds: SimulatedKeys.Entry.never))
        return step
    }

    /// SET, with PX if there is a life; whether the key was set.
    @discardableResult
    func set(
        _ key: String,
        _ value: String,
        lifeMilliseconds: Int64? = nil,
        onlyIfAbsent: Bool = false
    ) throws(CommandError) -> Bool {
        try set(key, SimulatedKeys.Value(value), lifeMilliseconds: lifeMilliseconds, onlyIfAbsent: onlyIfAbsent)
    }

    @discardableResult
    func set(
        _ key: String,
        _ value: SimulatedKeys.Value,
        lifeMilliseconds: Int64? = nil,
        onlyIfAbsent: Bool = false
    ) throws(CommandError) -> Bool {
        try admit(.set)
        var end = SimulatedKeys.Entry.never
        if let lifeMilliseconds {
            guard lifeMilliseconds > 0, lifeMilliseconds <= Int64.max - keys.nowMilliseconds else {
                throw .invalidLife("set")
            }
            end = keys.nowMilliseconds + lifeMilliseconds
        }
        if onlyIfAbsent, keys.contains(key) { return false }
        keys.set(key, to: SimulatedKeys.Entry(value: value, endMilliseconds: end))
        return true
    }

    /// PEXPIRE: a life that is over deletes the key.
    func setLife(_ key: String, _ lifeMilliseconds: Int64) throws(CommandError) {
        try admit(.setLife)
        guard lifeMilliseconds <= Int64.max - keys.nowMilliseconds else { throw .invalidLife("pexpire") }
        guard lifeMilliseconds > 0 else {
            _ = keys.remove(key)
            return
        }
        let end = keys.nowMilliseconds + lifeMilliseconds
        _ = keys.change(key) { $0.endMilliseconds = end }
    }

    /// PEXPIREAT with the score of a member: an end that is past deletes the key.
    func setEnd(_ key: String, _ milliseconds: Double) throws(CommandError) {
        try admit(.setEnd)
        // From here on, Redis writes a score with an exponent, which is no integer.
        guard abs(milliseconds) < 1e17 else { throw .notAnInteger }
        let end = Int64(milliseconds)
        guard end > keys.nowMilliseconds else {
            _ = keys.remove(key)
            return
        }
        _ = keys.change(key) { $0.endMilliseconds = end }
    }

    /// DEL: how many keys there were.
    func delete(_ key: String) throws(CommandError) -> Int64 {
        try admit(.delete)
        return keys.remove(key) ? 1 : 0
    }

    // MARK: Sorted sets

    private func scores(_ key: String) throws(CommandError) -> SimulatedScores? {
        guard let value = keys.entry(key)?.value else { return nil }
        guard case .scores(let scores) = value else { throw .wrongType }
        return scores
    }

    /// ZRANGE key 0 count - 1.
    func range(_ key: String, _ count: Int) throws(CommandError) -> [String] {
        try admit(.range)
        return try scores(key)?.first(count) ?? []
    }

    /// ZRANGEBYSCORE key -inf highest LIMIT 0 count.
    func range(_ key: String, upTo highest: Double, _ count: Int) throws(CommandError) -> [String] {
        try admit(.rangeByScore)
        return try scores(key)?.first(count, upTo: highest) ?? []
    }

    /// ZRANGE key 0 count - 1 WITHSCORES.
    func range(withScores key: String, _ count: Int) throws(CommandError) -> [(String, Double)] {
        try admit(.range)
        return try scores(key)?.firstWithScores(count) ?? []
    }

    /// ZRANGEBYSCORE key (bound +inf WITHSCORES LIMIT 0 count.
    func range(_ key: String, above bound: Double, _ count: Int) throws(CommandError) -> [(String, Double)] {
        try admit(.rangeByScore)
        return try scores(key)?.first(count, above: bound) ?? []
    }

    /// ZRANGE key -1 -1 WITHSCORES.
    func lastScore(_ key: String) throws(CommandError) -> Double? {
        try admit(.range)
        return try scores(key)?.highest
    }

    /// ZSCORE: nil if it is no member.
    func score(_ key: String, _ member: String) throws(CommandError) -> Double? {
        try admit(.score)
        return try scores(key)?.score(member)
    }

    /// ZREMRANGEBYSCORE key -inf highest.
    func removeScores(_ key: String, upTo highest: Double) throws(CommandError) {
        try admit(.removeScores)
        guard var scores = try scores(key) else { return }
        let before = scores.count
        scores.remove(upTo: highest)
        if scores.isEmpty {
            _ = keys.remove(key)
        } else if scores.count < before {
            _ = keys.change(key) { $0.value = .scores(scores) }
        }
    }

    /// ZCARD.
    func count(_ key: String) throws(CommandError) -> Int64 {
        try admit(.countScores)
        return Int64(try scores(key)?.count ?? 0)
    }

    /// ZRANK: nil if it is no member.
    func rank(_ key: String, _ member: String) throws(CommandError) -> Int64? {
        try admit(.rank)
        return try scores(key)?.rank(member).map(Int64.init)
    }

    /// ZADD.
    func addScore(_ key: String, _ score: Double, _ member: String) throws(CommandError) {
        try admit(.addScore)
        let isDone: Void? = try keys.change(key) { (entry) throws(CommandError) in
            guard case .scores(var scores) = entry.value else { throw .wrongType }
            _ = scores.set(member, to: score)
            entry.value = .scores(scores)
        }
        guard isDone == nil else { return }
        var scores = SimulatedScores()
        _ = scores.set(member, to: score)
        keys.set(key, to: SimulatedKeys.Entry(value: .scores(scores), endMilliseconds: SimulatedKeys.Entry.never))
    }

    /// ZREM: how many there were.
    ///
    /// A set without members is no key any more.
    func removeScore(_ key: String, _ member: String) throws(CommandError) -> Int64 {
        try admit(.removeScore)
        guard var scores = try scores(key), scores.remove(member) else { return 0 }
        if scores.isEmpty { return keys.remove(key) ? 1 : 0 }
        _ = keys.change(key) { $0.value = .scores(scores) }
        return 1
    }

    /// PUBLISH: how many heard it.
    func publish(_ channel: String, _ message: String) throws(CommandError) -> Int64 {
        try admit(.publish)
        return publisher(channel, message)
    }

    func time() throws(CommandError) -> RESPValue {
        try admit(.time)
        let (seconds, microseconds) = keys.now.quotientAndRemainder(dividingBy: 1_000_000)
        if seconds != lastSeconds.number { lastSeconds = (seconds, .decimal(seconds)) }
        return .array([lastSeconds.text, .decimal(microseconds)])
    }
}

extension RESPValue {
    /// The bytes of the text.
    static func bulkText(_ text: String) -> RESPValue {
        .bulkString(Array(text.utf8))
    }

    /// The decimal digits of a number that is not negative.
    fileprivate static func decimal(_ number: Int64) -> RESPValue {
        func digit(_ place: Int64) -> UInt8 { UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / place % 10) }
        // Microseconds of a second mostly have six; a literal is made much quicker than an array of any length.
        if (100_000..<1_000_000).contains(number) {
            return .bulkString([digit(100_000), digit(10_000), digit(1_000), digit(100), digit(10), digit(1)])
        }
        return .bulkText(String(number))
    }
}

// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A command that a simulated server knows, by the name that Redis has for it in the rights of users.
package enum Command: String, CaseIterable, Sendable {
    // Those that are called most come first, as they are found first.
    case get = "GET"
    case remainingLife = "PTTL"
    case evaluateDigest = "EVALSHA"
    case time = "TIME"
    case setLife = "PEXPIRE"
    case exists = "EXISTS"
    case removeMember = "ZREM"
    case addScore = "ZADD"
    case set = "SET"
    case rangeByScore = "ZRANGEBYSCORE"
    case range = "ZRANGE"
    case rank = "ZRANK"
    case delete = "DEL"
    case incrementBy = "INCRBY"
    case publish = "PUBLISH"
    case score = "ZSCORE"
    case countScores = "ZCARD"
    case removeRangeByScore = "ZREMRANGEBYSCORE"
    case setEnd = "PEXPIREAT"
    case loadScript = "SCRIPT|LOAD"
    case evaluate = "EVAL"
    case information = "INFO"
    case getConfiguration = "CONFIG|GET"
    case scan = "SCAN"
    case ping = "PING"
    case subscribe = "SUBSCRIBE"

    /// A name of at most 16 bytes in two numbers, which are compared quickly; one of two words has a bar between them.
    private struct Spelling: Equatable {
        private var first: UInt64 = 0
        private var second: UInt64 = 0

        init?(_ name: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer? = nil) {
            guard name.count + (second.map { $0.count + 1 } ?? 0) <= 16 else { return nil }
            withUnsafeMutableBytes(of: &self) { spelling in
                spelling.copyMemory(from: name)
                guard let second else { return }
                spelling[name.count] = UInt8(ascii: "|")
                UnsafeMutableRawBufferPointer(rebasing: spelling[(name.count + 1)...]).copyMemory(from: second)
            }
        }
    }

    private static let all = allCases
    private static let spellings = allCases.compactMap { $0.rawValue.withBytes { Spelling($0) } }

    /// The command that the words begin with; nil if it is not known.
    init?(_ words: Words) {
        // As clients and scripts spell it.
        if let spelling = Spelling(words[0]), let place = Self.spellings.firstIndex(of: spelling) {
            self = Self.all[place]
            return
        }
        if words.count > 1, let spelling = Spelling(words[0], words[1]),
            let place = Self.spellings.firstIndex(of: spelling)
        {
            self = Self.all[place]
            return
        }
        let name = words.text(0).uppercased()
        let whole = words.count > 1 ? name + "|" + words.text(1).uppercased() : name
        guard let command = Self(rawValue: name) ?? Self(rawValue: whole) else { return nil }
        self = command
    }

    /// How many words it has, its name among them.
    func admits(wordCount: Int) -> Bool {
        switch self {
        case .time: wordCount == 1
        case .get, .remainingLife, .countScores: wordCount == 2
        case .incrementBy, .loadScript, .publish, .rank, .score: wordCount == 3
        case .removeRangeByScore: wordCount == 4
        case .information, .ping: wordCount >= 1
        case .delete, .exists, .scan, .subscribe: wordCount >= 2
        case .evaluate, .evaluateDigest, .getConfiguration, .set, .setEnd, .setLife, .removeMember: wordCount >= 3
        case .addScore, .range, .rangeByScore: wordCount >= 4
        }
    }

    /// Whether it brings scripts to a server, or has it run one.
    var isOfScripts: Bool {
        switch self {
        case .evaluate, .evaluateDigest, .loadScript: true
        default: false
        }
    }

    /// Whether scripts may call it.
    var isForScripts: Bool {
        switch self {
        case .evaluate, .evaluateDigest, .getConfiguration, .loadScript, .subscribe: false
        default: true
        }
    }

    /// Whether it may change keys.
    var isWrite: Bool {
        switch self {
        case .addScore, .delete, .incrementBy, .removeMember, .removeRangeByScore, .set, .setEnd, .setLife: true
        default: false
        }
    }

    /// Whether it may need memory.
    var isGrowing: Bool {
        switch self {
        case .addScore, .incrementBy, .set: true
        default: false
        }
    }

    /// Whether a server carries it out while it has no keys to show.
    var needsNoKeys: Bool {
        switch self {
        case .information, .getConfiguration, .time: true
        default: false
        }
    }
}

extension UnsafeRawBufferPointer {
    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count, let start = baseAddress, let otherStart = other.baseAddress else {
            return count == other.count
        }
        return memcmp(start, otherStart, count) == 0
    }
}

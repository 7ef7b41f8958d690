// SPDX-License-Identifier: Apache-2.0

/// The members of a sorted set: by their scores, and those with one score by their names.
struct SimulatedScores: Equatable {
    private struct Member: Equatable {
        let name: String
        let score: Double
    }

    private var members: [Member] = []

    var count: Int { members.count }
    var isEmpty: Bool { members.isEmpty }

    /// The names of the first.
    func first(_ count: Int) -> [String] {
        members.prefix(count).map(\.name)
    }

    /// The names of the first whose scores are not above the highest.
    func first(_ count: Int, upTo highest: Double) -> [String] {
        members.prefix(count).filter { $0.score <= highest }.map(\.name)
    }

    /// The first, each with its score.
    func firstWithScores(_ count: Int) -> [(String, Double)] {
        members.prefix(count).map { ($0.name, $0.score) }
    }

    /// The first whose scores are above the bound, each with its score.
    func first(_ count: Int, above bound: Double) -> [(String, Double)] {
        Array(members.lazy.filter { $0.score > bound }.map { ($0.name, $0.score) }.prefix(count))
    }

    /// The highest score.
    var highest: Double? { members.last?.score }

    func score(_ name: String) -> Double? {
        members.first { $0.name == name }?.score
    }

    mutating func remove(upTo highest: Double) {
        members.removeAll { $0.score <= highest }
    }

    /// How many come before the member; nil if it is none.
    func rank(_ name: String) -> Int? {
        members.firstIndex { $0.name == name }
    }

    /// Whether it is a new member.
    mutating func set(_ name: String, to score: Double) -> Bool {
        let isNew = !remove(name)
        let place = members.firstIndex { (score, name) < ($0.score, $0.name) } ?? members.endIndex
        members.insert(Member(name: name, score: score), at: place)
        return isNew
    }

    /// Whether it was a member.
    mutating func remove(_ name: String) -> Bool {
        guard let place = rank(name) else { return false }
        members.remove(at: place)
        return true
    }
}

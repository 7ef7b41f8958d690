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

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

    /// Where those are whose scores lie between two bounds.
    func places(
        from lowest: (score: Double, isExcluded: Bool),
        to highest: (score: Double, isExcluded: Bool)
    ) -> Range<Int> {
        let start =
            members.firstIndex { lowest.isExcluded ? $0.score > lowest.score : $0.score >= lowest.score } ?? count
        let end = members.firstIndex { highest.isExcluded ? $0.score >= highest.score : $0.score > highest.score }
        return start..<max(start, end ?? count)
    }

    /// The members at these places as a server tells them, each before its score if that is wanted.
    func members(_ places: Range<Int>, withScores: Bool) -> [Reply] {
        guard withScores else { return members[places].map { .text($0.name) } }
        return members[places].flatMap { [.text($0.name), .score($0.score)] }
    }

    /// The names of those whose scores are above the bound.
    func names(above bound: Double) -> [String] {
        members.filter { $0.score > bound }.map(\.name)
    }

    func score(_ name: String) -> Double? {
        members.first { $0.name == name }?.score
    }

    mutating func remove(_ places: Range<Int>) {
        members.removeSubrange(places)
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

// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting
import Testing

extension NodeSet {
    /// The set whose members are the ones of a binary number.
    init(bits: Int) {
        self.init((0..<Int.bitWidth - 1).filter { bits & (1 << $0) != 0 })
    }
}

extension AcquireRound {
    /// Takes one node's answer; returns the decision if this answer made it.
    mutating func decision(after answer: Answer, by node: Int, at now: Instant) -> Decision? {
        if case .end(let decision) = answered(answer, by: node, at: now) { decision } else { nil }
    }
}

/// Every way to give each of `count` nodes one of the values.
func assignments<Value>(of values: [Value], count: Int) -> [[Value]] {
    (0..<count).reduce([[]]) { shorter, _ in shorter.flatMap { start in values.map { start + [$0] } } }
}

/// Every order of the first `count` numbers.
func orders(count: Int) -> [[Int]] {
    guard count > 0 else { return [[]] }
    return orders(count: count - 1).flatMap { shorter in
        (0..<count).map { place in
            var longer = shorter
            longer.insert(count - 1, at: place)
            return longer
        }
    }
}

/// Some orders of the first `count` numbers: all of them up to five, else as many by chance.
func someOrders(count: Int) -> [[Int]] {
    guard count > 5 else { return orders(count: count) }
    var random = SeededRandom(seed: UInt64(count))
    return (0..<120).map { _ in Array(0..<count).shuffled(using: &random) }
}

/// Records an issue, and returns nothing: to leave an exhaustive test at the first failure with `return`.
func recordIssue(_ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation) {
    Issue.record(comment, sourceLocation: sourceLocation)
}

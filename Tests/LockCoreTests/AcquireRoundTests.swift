// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@Suite
struct AcquireRoundTests {
    private static let timing = LeaseTiming(ttlMilliseconds: 10_000, drift: .standard)
    private static let start = Instant(nanoseconds: 1_000_000_000)
    private static let validUntil = timing.validUntil(start: start)
    /// The last moment at which half the TTL is left.
    private static let lastChance = validUntil.advanced(byNanoseconds: -timing.ttlNanoseconds / 2)

    private func round(nodeCount: Int) -> AcquireRound {
        AcquireRound(quorum: Quorum(majorityOf: nodeCount), timing: Self.timing, start: Self.start)
    }

    private static let allAnswers: [AcquireRound.Answer] = [.granted(token: nil), .held, .refused, .unknown]

    /// What the answers that were heard decide: nothing yet, a lease, or why there is none.
    private func expected(_ heard: [AcquireRound.Answer], nodeCount: Int) -> AcquireRound.Decision? {
        let needed = nodeCount / 2 + 1
        let granted = heard.count { $0 == .granted(token: nil) }
        if granted >= needed { return .granted(validUntil: Self.validUntil, token: nil) }
        let against = heard.count - granted
        guard nodeCount - against < needed else { return nil }
        // Could a quorum still have formed, had nobody held the key?
        let faulty = heard.count { $0 == .refused || $0 == .unknown }
        return .failed(nodeCount - faulty < needed ? .quorumUnavailable : .contended)
    }

    @Test(arguments: 1...5)
    func decidesOnceAndAsSoonAsItCan(nodeCount: Int) {
        for answers in assignments(of: Self.allAnswers, count: nodeCount) {
            for order in orders(count: nodeCount) {
                var round = self.round(nodeCount: nodeCount)
                var heard: [AcquireRound.Answer] = []
                var decision: AcquireRound.Decision?
                for node in order {
                    heard.append(answers[node])
                    let returned = round.decision(after: answers[node], by: node, at: Self.start)
                    let isNew = decision == nil
                    if isNew { decision = expected(heard, nodeCount: nodeCount) }
                    guard returned == (isNew ? decision : nil), round.decision == decision else {
                        return recordIssue("\(heard) of \(nodeCount): \(String(describing: round.decision))")
                    }
                }
                guard decision != nil, round.isComplete else {
                    return recordIssue("no decision after all answers \(answers) in the order \(order)")
                }
            }
        }
    }

    @Test(arguments: 1...5)
    func knowsEveryNodeThatMayHoldTheKey(nodeCount: Int) {
        for answers in assignments(of: Self.allAnswers, count: nodeCount) {
            for order in someOrders(count: nodeCount) {
                var round = self.round(nodeCount: nodeCount)
                var clean: NodeSet = []
                for node in order {
                    _ = round.decision(after: answers[node], by: node, at: Self.start)
                    // Only what a node said itself clears it.
                    if answers[node] == .held || answers[node] == .refused { clean.insert(node) }
                    let mayHold = NodeSet(firstNodes: nodeCount).subtracting(clean)
                    guard round.mayHoldKey == mayHold, round.granted.subtracting(round.mayHoldKey).isEmpty else {
                        return recordIssue("\(answers) in the order \(order): \(Array(round.mayHoldKey))")
                    }
                }
                guard round.granted == NodeSet((0..<nodeCount).filter { answers[$0] == .granted(token: nil) }) else {
                    return recordIssue("\(answers) in the order \(order): granted \(Array(round.granted))")
                }
            }
        }
    }

    @Test
    func everyNodeMayHoldTheKeyBeforeAnyAnswered() {
        let round = round(nodeCount: 5)
        #expect(round.mayHoldKey == NodeSet(firstNodes: 5))
        #expect(!round.isComplete)
        #expect(round.decision == nil)
    }

    /// The last vote decides on time, not the time the stragglers take.
    @Test
    func validityCountsFromTheStart() {
        var round = round(nodeCount: 3)
        let granted = AcquireRound.Answer.granted(token: nil)
        #expect(round.decision(after: granted, by: 2, at: Self.start.advanced(byNanoseconds: 1)) == nil)
        let decision = round.decision(after: granted, by: 0, at: Self.start.advanced(byNanoseconds: 3_000_000_000))
        #expect(decision == .granted(validUntil: Instant(nanoseconds: 1_000_000_000 + 9_898_000_000), token: nil))
        #expect(round.decision(after: granted, by: 1, at: Self.start.advanced(byNanoseconds: 60_000_000_000)) == nil)
        #expect(round.decision == decision)
    }

    @Test
    func leaseWithLessThanHalfItsTTLLeftIsNotGranted() {
        let cases: [(Int64, AcquireRound.Decision)] = [
            (-1, .granted(validUntil: Self.validUntil, token: nil)),
            (0, .granted(validUntil: Self.validUntil, token: nil)),
            (1, .failed(.tooSlow)),
            (Self.timing.ttlNanoseconds, .failed(.tooSlow)),
        ]
        for (offset, expected) in cases {
            var round = round(nodeCount: 3)
            let now = Self.lastChance.advanced(byNanoseconds: offset)
            _ = round.decision(after: .granted(token: nil), by: 0, at: Self.start)
            let decision = round.decision(after: .granted(token: nil), by: 1, at: now)
            #expect(decision == expected, "\(offset) ns after the last chance")
            #expect(round.mayHoldKey == [0, 1, 2])
        }
    }

    @Test
    func refusalsDoNotGetOldBeforeTheyDecide() {
        var round = round(nodeCount: 3)
        let late = Self.validUntil.advanced(byNanoseconds: 1)
        #expect(round.decision(after: .held, by: 0, at: late) == nil)
        #expect(round.decision(after: .held, by: 1, at: late) == .failed(.contended))
    }

    @Test
    func decisionAgainstALeaseIsNotRevised() {
        var round = round(nodeCount: 3)
        _ = round.decision(after: .unknown, by: 0, at: Self.start)
        #expect(round.decision(after: .unknown, by: 1, at: Self.start) == .failed(.quorumUnavailable))
        // The late grants still have to be released.
        #expect(round.decision(after: .granted(token: nil), by: 0, at: Self.start) == nil)
        #expect(round.decision(after: .granted(token: nil), by: 1, at: Self.start) == nil)
        #expect(round.decision(after: .granted(token: nil), by: 2, at: Self.start) == nil)
        #expect(round.decision == .failed(.quorumUnavailable))
        #expect(round.mayHoldKey == [0, 1, 2])
    }

    /// A node that granted and then became silent still holds the key.
    @Test
    func grantIsNotTakenBackByALaterSilence() {
        var round = round(nodeCount: 3)
        _ = round.decision(after: .granted(token: nil), by: 0, at: Self.start)
        _ = round.decision(after: .unknown, by: 0, at: Self.start)
        #expect(round.granted == [0])
        #expect(round.mayHoldKey == [0, 1, 2])
        _ = round.decision(after: .granted(token: nil), by: 0, at: Self.start)
        #expect(round.decision == nil, "one node voted twice")
    }
}

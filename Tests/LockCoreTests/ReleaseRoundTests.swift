// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@Suite
struct ReleaseRoundTests {
    private static let allAnswers: [ReleaseRound.Answer] = [.deleted, .notHeld, .unknown]

    /// What the round comes to when all that were asked have answered.
    private func outcome(_ answers: [ReleaseRound.Answer], nodeCount: Int) -> ReleaseRound.Decision {
        let needed = nodeCount / 2 + 1
        let doubtful = answers.count { $0 == .unknown }
        if answers.count(where: { $0 == .deleted }) >= needed { return .released(wasHeld: true) }
        return nodeCount - doubtful >= needed ? .released(wasHeld: false) : .incomplete
    }

    /// Whatever the order, the early decision is the one that all answers together would give.
    @Test(arguments: 1...5)
    func decidesOnceAndAsAllAnswersTogetherWould(nodeCount: Int) {
        for bits in 1..<1 << nodeCount {
            let asked = Array(NodeSet(bits: bits))
            for answers in assignments(of: Self.allAnswers, count: asked.count) {
                for order in someOrders(count: asked.count) {
                    var round = ReleaseRound(quorum: Quorum(majorityOf: nodeCount), asked: NodeSet(asked))
                    guard round.decision == nil else { return recordIssue("decided before an answer") }
                    var decisions: [ReleaseRound.Decision] = []
                    for place in order {
                        decisions += [round.answered(answers[place], by: asked[place])].compactMap { $0 }
                        guard round.decision == decisions.first else { return recordIssue("the decision changed") }
                    }
                    guard decisions == [outcome(answers, nodeCount: nodeCount)] else {
                        return recordIssue("\(answers) from \(asked) in the order \(order): \(decisions)")
                    }
                }
            }
        }
    }

    @Test
    func nothingAskedIsReleasedAtOnce() {
        let round = ReleaseRound(quorum: Quorum(majorityOf: 3), asked: [])
        #expect(round.decision == .released(wasHeld: false))
    }

    @Test
    func returnsAtTheQuorumOfDeletions() {
        var round = ReleaseRound(quorum: Quorum(majorityOf: 5), asked: NodeSet(firstNodes: 5))
        #expect(round.answered(.deleted, by: 4) == nil)
        #expect(round.answered(.deleted, by: 0) == nil)
        #expect(round.answered(.deleted, by: 2) == .released(wasHeld: true))
        #expect(round.answered(.unknown, by: 1) == nil)
    }

    @Test
    func returnsAsSoonAsNobodyCanHaveHeldIt() {
        var round = ReleaseRound(quorum: Quorum(majorityOf: 5), asked: NodeSet(firstNodes: 5))
        #expect(round.answered(.notHeld, by: 0) == nil)
        #expect(round.answered(.notHeld, by: 1) == nil)
        #expect(round.answered(.notHeld, by: 2) == .released(wasHeld: false))
    }

    @Test
    func fewDeletionsAreReleasedAndNotHeld() {
        var round = ReleaseRound(quorum: Quorum(majorityOf: 3), asked: NodeSet(firstNodes: 3))
        #expect(round.answered(.deleted, by: 0) == nil)
        #expect(round.answered(.notHeld, by: 1) == nil, "the last node may yet make it a quorum of deletions")
        #expect(round.answered(.notHeld, by: 2) == .released(wasHeld: false))
    }

    @Test
    func silenceOfTooManyIsIncompleteAfterTheLastAnswer() {
        var round = ReleaseRound(quorum: Quorum(majorityOf: 3), asked: NodeSet(firstNodes: 3))
        #expect(round.answered(.unknown, by: 0) == nil)
        #expect(round.answered(.unknown, by: 1) == nil)
        #expect(round.answered(.deleted, by: 2) == .incomplete)
    }

    @Test
    func nodeThatAnswersTwiceCountsOnce() {
        var round = ReleaseRound(quorum: Quorum(majorityOf: 3), asked: NodeSet(firstNodes: 3))
        #expect(round.answered(.deleted, by: 0) == nil)
        #expect(round.answered(.deleted, by: 0) == nil)
        #expect(round.answered(.deleted, by: 1) == .released(wasHeld: true))
    }
}

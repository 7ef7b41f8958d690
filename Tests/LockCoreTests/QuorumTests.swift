// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@Suite
struct QuorumTests {
    @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4), (64, 33)])
    func isTheSmallestMajority(nodeCount: Int, votesNeeded: Int) {
        let quorum = Quorum(majorityOf: nodeCount)
        #expect(quorum.nodeCount == nodeCount)
        #expect(quorum.votesNeeded == votesNeeded)
        #expect(quorum.nodesThatMayFail == nodeCount - votesNeeded)
    }

    @Test(arguments: 1...7)
    func twoQuorumsShareANode(nodeCount: Int) {
        let needed = Quorum(majorityOf: nodeCount).votesNeeded
        let sets = (0..<1 << nodeCount).map(NodeSet.init(bits:)).filter { $0.count >= needed }
        for left in sets {
            for right in sets where left.intersection(right).isEmpty {
                Issue.record("\(Array(left)) and \(Array(right)) are both quorums")
            }
        }
    }

    /// Two quorums share one node more than may forget, and some share no more.
    @Test(arguments: 1...7)
    func strongerQuorumsShareMoreNodes(nodeCount: Int) {
        let sets = (0..<1 << nodeCount).map(NodeSet.init(bits:))
        for votesNeeded in nodeCount / 2 + 1...nodeCount {
            let quorum = Quorum(nodeCount: nodeCount, votesNeeded: votesNeeded)
            #expect(quorum.nodeCount == nodeCount && quorum.votesNeeded == votesNeeded)
            #expect(quorum.nodesThatMayFail == nodeCount - votesNeeded)
            let quorums = sets.filter { $0.count == votesNeeded }
            let shared = quorums.flatMap { left in quorums.map { $0.intersection(left).count } }
            #expect(shared.min() == quorum.nodesThatMayForget + 1)
        }
    }

    @Test(arguments: [(1, 1, 0), (3, 2, 0), (3, 3, 2), (5, 3, 0), (5, 4, 2), (7, 5, 2), (64, 33, 1)])
    func nodesThatMayForget(nodeCount: Int, votesNeeded: Int, expected: Int) {
        #expect(Quorum(nodeCount: nodeCount, votesNeeded: votesNeeded).nodesThatMayForget == expected)
    }
}

@Suite
struct VoteTallyTests {
    /// What a vote comes to, from all that will ever be said.
    private func outcome(_ votes: [Bool]) -> VoteResult {
        2 * votes.count(where: { $0 }) > votes.count ? .won : .lost
    }

    /// What can be known from a part of the votes: what all completions agree on, else nothing.
    private func knowable(_ votes: [Bool?]) -> VoteResult {
        let ifAllFor = outcome(votes.map { $0 ?? true })
        let ifAllAgainst = outcome(votes.map { $0 ?? false })
        return ifAllFor == ifAllAgainst ? ifAllFor : .pending
    }

    @Test(arguments: 1...7)
    func resultIsKnownAsSoonAsItCanBeAndStays(nodeCount: Int) {
        for votes in assignments(of: [true, false], count: nodeCount) {
            for order in someOrders(count: nodeCount) {
                var tally = VoteTally(quorum: Quorum(majorityOf: nodeCount))
                var heard = [Bool?](repeating: nil, count: nodeCount)
                guard tally.result == .pending else { return recordIssue("decided before a vote") }
                for node in order {
                    tally.vote(votes[node], by: node)
                    heard[node] = votes[node]
                    guard tally.result == knowable(heard) else {
                        return recordIssue("\(votes) in the order \(order): \(tally.result) after \(heard)")
                    }
                }
                guard tally.result == outcome(votes), tally.open.isEmpty else {
                    return recordIssue("\(votes) in the order \(order): \(tally.result), open \(Array(tally.open))")
                }
            }
        }
    }

    @Test(arguments: [2, 4, 6, 64])
    func tieOfAnEvenNumberIsLost(nodeCount: Int) {
        var tally = VoteTally(quorum: Quorum(majorityOf: nodeCount))
        for node in 0..<nodeCount { tally.vote(node % 2 == 0, by: node) }
        #expect(tally.votesFor.count == tally.votesAgainst.count)
        #expect(tally.result == .lost)
    }

    @Test
    func secondVoteOfANodeDoesNotCount() {
        var tally = VoteTally(quorum: Quorum(majorityOf: 3))
        tally.vote(true, by: 1)
        tally.vote(true, by: 1)
        #expect(tally.result == .pending, "one node made a quorum alone")
        tally.vote(false, by: 1)
        #expect(tally.votesFor == [1])
        #expect(tally.votesAgainst.isEmpty)
        tally.vote(false, by: 0)
        tally.vote(true, by: 0)
        tally.vote(false, by: 0)
        #expect(tally.result == .pending)
        #expect(tally.votesAgainst == [0])
        #expect(tally.open == [2])
    }
}

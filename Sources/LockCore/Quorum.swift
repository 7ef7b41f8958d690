// SPDX-License-Identifier: Apache-2.0

/// How many of the configured nodes must agree.
///
/// Counted over the nodes that are configured, never over those that happen to be reachable: two clients that see
/// different halves of the nodes would otherwise each have a majority of their own.
package struct Quorum: Hashable, Sendable {
    /// N: the nodes that are configured.
    package let nodeCount: Int

    /// Q: the votes needed; at least a majority, so that any two quorums share a node.
    package var votesNeeded: Int { isPlanted(.quorumOneTooSmall) ? max(1, quorumSize - 1) : quorumSize }

    private let quorumSize: Int

    /// The smallest quorum over the nodes: a majority.
    package init(majorityOf nodeCount: Int) {
        precondition((1...NodeSet.capacity).contains(nodeCount), "a quorum is taken over 1 to 64 nodes")
        self.nodeCount = nodeCount
        self.quorumSize = nodeCount / 2 + 1
    }

    /// A quorum of the given number of votes, from a majority of the nodes to all of them.
    package init(nodeCount: Int, votesNeeded: Int) {
        precondition((1...NodeSet.capacity).contains(nodeCount), "a quorum is taken over 1 to 64 nodes")
        precondition((nodeCount / 2 + 1...nodeCount).contains(votesNeeded), "a quorum is a majority at least")
        self.nodeCount = nodeCount
        self.quorumSize = votesNeeded
    }

    /// N - Q: how many nodes may be missing before nothing can be decided.
    package var nodesThatMayFail: Int { nodeCount - votesNeeded }

    /// How many nodes may forget a key that they were asked to keep, unseen by anybody, before two quorums need not
    /// share a node that remembers: two quorums share at least 2Q - N nodes.
    package var nodesThatMayForget: Int { 2 * votesNeeded - nodeCount - 1 }
}

/// What is known of a vote: it is open, it is won, or it cannot be won any more.
package enum VoteResult: Hashable, Sendable {
    /// Neither enough votes for nor enough against.
    case pending
    /// A quorum voted for.
    case won
    /// So many voted against that a quorum cannot be reached.
    case lost
}

/// The votes of one round: each node votes once, for or against; the rest is open.
package struct VoteTally: Hashable, Sendable {
    /// What is needed.
    package let quorum: Quorum

    /// The nodes that voted for.
    package private(set) var votesFor: NodeSet = []

    /// The nodes that voted against, whatever the reason.
    package private(set) var votesAgainst: NodeSet = []

    /// A tally without votes.
    package init(quorum: Quorum) {
        self.quorum = quorum
    }

    /// The nodes that have not voted.
    package var open: NodeSet {
        NodeSet(firstNodes: quorum.nodeCount).subtracting(votesFor).subtracting(votesAgainst)
    }

    /// Counts a vote; a second vote of the same node does not count.
    package mutating func vote(_ isFor: Bool, by node: Int) {
        precondition(node < quorum.nodeCount, "only a configured node votes")
        guard !votesFor.contains(node), !votesAgainst.contains(node) else { return }
        if isFor { votesFor.insert(node) } else { votesAgainst.insert(node) }
    }

    /// Won at the Q-th vote for; lost at the first vote against that leaves too few, also where N is even.
    package var result: VoteResult {
        if votesFor.count >= quorum.votesNeeded { return .won }
        if votesAgainst.count > quorum.nodesThatMayFail { return .lost }
        return .pending
    }
}

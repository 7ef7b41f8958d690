// SPDX-License-Identifier: Apache-2.0

/// One round of taking an owner token out of the nodes that hold it or may hold it, or of giving it a last stretch of life
/// there.
package struct ReleaseRound: Hashable, Sendable {
    /// What one node said.
    package enum Answer: Hashable, Sendable {
        /// The key held our owner token, and is deleted or has the life that was asked for.
        case deleted
        /// The key was not there or held another owner token.
        case notHeld
        /// The node did not say; the key may still be there.
        case unknown
    }

    /// How the round was decided.
    package enum Decision: Hashable, Sendable {
        /// A quorum answered; `wasHeld` says whether a quorum of nodes had the key and did with it what was asked for.
        case released(wasHeld: Bool)
        /// Too few nodes answered; what is left dies with its TTL, unless a retry reaches it before.
        case incomplete
    }

    /// The decision, once there is one.
    package private(set) var decision: Decision?

    private let quorum: Quorum
    /// The nodes that were asked and did not answer yet.
    package private(set) var open: NodeSet
    /// The nodes that had the key and did with it what was asked for.
    package private(set) var deleted: NodeSet = []
    /// The nodes of which it is known that they do not hold the key any more, or as was asked for.
    private var answered: NodeSet

    /// A round that asks the given nodes.
    ///
    /// The others surely do not hold the key; they count as answered.
    package init(quorum: Quorum, asked: NodeSet) {
        self.quorum = quorum
        self.open = asked
        self.answered = NodeSet(firstNodes: quorum.nodeCount).subtracting(asked)
        // Nothing was set anywhere: there is nothing to wait for.
        if asked.isEmpty { decision = .released(wasHeld: false) }
    }

    /// Takes one node's answer; returns the decision if this answer made it.
    package mutating func answered(_ answer: Answer, by node: Int) -> Decision? {
        open.remove(node)
        if answer == .deleted { deleted.insert(node) }
        if answer != .unknown { answered.insert(node) }
        guard decision == nil else { return nil }
        decision = decide()
        return decision
    }

    private func decide() -> Decision? {
        if deleted.count >= quorum.votesNeeded { return .released(wasHeld: true) }
        let mayStillBeShownHeld = deleted.count + open.count >= quorum.votesNeeded
        if answered.count >= quorum.votesNeeded, !mayStillBeShownHeld { return .released(wasHeld: false) }
        return open.isEmpty ? .incomplete : nil
    }
}

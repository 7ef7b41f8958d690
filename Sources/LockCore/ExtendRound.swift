// SPDX-License-Identifier: Apache-2.0

/// One round of asking the nodes to keep a lease longer.
package struct ExtendRound: Hashable, Sendable {
    /// What one node said.
    package enum Answer: Hashable, Sendable {
        /// The key still holds our owner token, and its time is now at least the TTL.
        case stillMine
        /// The key is not there.
        case missing
        /// The key holds another owner token.
        case foreign
        /// The node did not say.
        case unknown
    }

    /// How the round was decided.
    package enum Decision: Hashable, Sendable {
        /// A quorum still holds the lease; the holder may count on it until then.
        case extended(validUntil: Instant)
        /// So many nodes no longer have the lease that no quorum can: nothing can bring it back.
        case lost
        /// A quorum still has the lease, but said so after the validity had ended; another owner may have come and gone.
        case tooLate
        /// Too few nodes answered; the lease stays valid as long as it was, and a later round may succeed.
        case inconclusive
    }

    /// When the round began, before the first byte was sent.
    package let start: Instant

    /// The decision, once there is one.
    package private(set) var decision: Decision?

    private let timing: LeaseTiming
    private let validUntil: Instant?
    private var tally: VoteTally

    /// The nodes that said that the key is not there; a round that succeeded may have it set again on them.
    package private(set) var missing: NodeSet = []
    private var gone: NodeSet = []

    /// The nodes that did not answer yet.
    package var open: NodeSet { tally.open }

    /// A round for a lease that is valid until `validUntil`; nil if the caller has the owner token and no more.
    package init(quorum: Quorum, timing: LeaseTiming, start: Instant, validUntil: Instant?) {
        self.tally = VoteTally(quorum: quorum)
        self.timing = timing
        self.start = start
        self.validUntil = validUntil
    }

    /// Takes one node's answer; returns the decision if this answer made it.
    package mutating func answered(_ answer: Answer, by node: Int, at now: Instant) -> Decision? {
        if answer == .missing { missing.insert(node) }
        if answer == .missing || answer == .foreign { gone.insert(node) }
        tally.vote(answer == .stillMine || isPlanted(.missingKeyCountsAsExtended) && answer == .missing, by: node)
        guard decision == nil else { return nil }
        decision = decide(at: now)
        return decision
    }

    private func decide(at now: Instant) -> Decision? {
        if gone.count > tally.quorum.nodesThatMayFail { return .lost }
        switch tally.result {
        case .won:
            // The old validity must still run.
            let extended = timing.validUntil(start: isPlanted(.extensionFromAnswer) ? now : start)
            guard let validUntil else { return now < extended ? .extended(validUntil: extended) : .tooLate }
            return now < validUntil ? .extended(validUntil: max(validUntil, extended)) : .tooLate
        case .lost where tally.open.isEmpty:
            // Only here, with every node heard: while some are open, they may still say that the lease is gone.
            return .inconclusive
        case .lost, .pending:
            return nil
        }
    }
}

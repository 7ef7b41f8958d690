// SPDX-License-Identifier: Apache-2.0

/// One attempt to acquire: one owner token, one question to every node that can be asked, one decision.
///
/// The round is a value: answers go in, the decision comes out once, at the Q-th grant or as soon as Q cannot be
/// reached. It never waits for stragglers; what they say later only tells whether they still need a release.
public struct AcquireRound: Sendable {
    /// What one node said.
    public enum Answer: Hashable, Sendable {
        /// The node set the key to our owner token.
        case granted
        /// The node has the key under another owner token.
        case held
        /// The node surely did not carry the command out: it was not asked, or it refused.
        case refused
        /// Nobody can tell whether the key was set: no answer came, or none that could be understood.
        case unknown
    }

    /// Why a round did not end in a lease.
    public enum Failure: Hashable, Sendable {
        /// Enough nodes work, and too many of them have the key under other owner tokens.
        case contended
        /// Too few nodes work for any quorum.
        case quorumUnavailable
        /// A quorum granted, but so late that less than half the TTL was left.
        case tooSlow
    }

    /// How the round was decided.
    public enum Decision: Hashable, Sendable {
        /// A quorum granted; the holder may count on it until then.
        case granted(validUntil: Instant)
        /// There is no lease; what was or may have been set must be released.
        case failed(Failure)
    }

    /// When the round began, before the first byte was sent.
    public let start: Instant

    /// The times of the lease that is asked for.
    public let timing: LeaseTiming

    /// The decision, once there is one.
    public private(set) var decision: Decision?

    private var tally: VoteTally
    private var held: NodeSet = []
    private var unknown: NodeSet = []

    /// A round in which no node has answered yet.
    public init(quorum: Quorum, timing: LeaseTiming, start: Instant) {
        self.tally = VoteTally(quorum: quorum)
        self.timing = timing
        self.start = start
    }

    /// Takes one node's answer; returns the decision if this answer made it.
    public mutating func answered(_ answer: Answer, by node: Int, at now: Instant) -> Decision? {
        switch answer {
        case .granted: break
        case .held: held.insert(node)
        case .refused: break
        case .unknown: unknown.insert(node)
        }
        tally.vote(answer == .granted, by: node)
        guard decision == nil else { return nil }
        decision = decide(at: now)
        return decision
    }

    private func decide(at now: Instant) -> Decision? {
        switch tally.result {
        case .pending: return nil
        case .won:
            let validUntil = timing.validUntil(start: start)
            let remaining = now.nanoseconds(until: validUntil)
            return remaining < timing.leastRemainingNanoseconds ? .failed(.tooSlow) : .granted(validUntil: validUntil)
        case .lost:
            let faulty = tally.votesAgainst.subtracting(held)
            return .failed(faulty.count > tally.quorum.nodesThatMayFail ? .quorumUnavailable : .contended)
        }
    }

    /// The nodes that granted.
    public var granted: NodeSet { tally.votesFor }

    /// The nodes on which the key may be set: those that granted, those nobody can tell of, and those that have yet
    /// to answer.
    public var mayHoldKey: NodeSet { tally.votesFor.union(unknown).union(tally.open) }

    /// Whether every node has answered or been given up.
    public var isComplete: Bool { tally.open.isEmpty }
}

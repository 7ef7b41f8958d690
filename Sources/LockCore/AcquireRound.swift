// SPDX-License-Identifier: Apache-2.0

/// One attempt to acquire: one owner token, one question to every node that can be asked, one decision.
///
/// The round is a value: answers go in, what is to be done comes out. It decides once, at the Q-th grant or as soon as
/// Q cannot be reached, and never waits for stragglers; what they say later only tells whether they still need a
/// release.
///
/// **Fencing.** Nodes that count the grants of a resource answer with a token. The token of the lease is the highest
/// one that was answered, and the lease is granted only if Q nodes are *confirmed*: their counters stand at that token
/// and their keys are still held. A node that answered the token itself is confirmed; one that answered less is asked to
/// raise its counter first. Any two grants then share a confirmed node; the later grant found the counter there at or
/// above the earlier token, so it has a higher one. No clock is involved.
package struct AcquireRound: Hashable, Sendable {
    /// What one node said to the question.
    package enum Answer: Hashable, Sendable {
        /// The node set the key to our owner token; with a token if it counts its grants.
        case granted(token: Int64?)
        /// The node has the key under another owner token.
        case held
        /// The node surely did not carry the command out: it was not asked, or it refused.
        case refused
        /// Nobody can tell whether the key was set: no answer came, or none that could be understood.
        case unknown
    }

    /// What one node said when it was asked to raise its counter.
    package enum RaiseAnswer: Hashable, Sendable {
        /// The key was still ours, and the counter stands at the token or above.
        case raised
        /// The key was no longer ours.
        case gone
        /// No answer came, or none that could be understood.
        case unknown
    }

    /// Why a round did not end in a lease.
    package enum Failure: Hashable, Sendable {
        /// Enough nodes work, and too many of them have the key under other owner tokens.
        case contended
        /// Too few nodes work for any quorum.
        case quorumUnavailable
        /// A quorum granted, but so late that less than half the TTL was left.
        case tooSlow
    }

    /// How the round was decided.
    package enum Decision: Hashable, Sendable {
        /// A quorum granted; the holder may count on it until then. The token is nil where nodes do not count.
        case granted(validUntil: Instant, token: Int64?)
        /// There is no lease; what was or may have been set must be released.
        case failed(Failure)
    }

    /// What is to be done after an answer.
    package enum Step: Hashable, Sendable {
        /// Ask these nodes to raise their counters to the token.
        case raise(NodeSet, token: Int64)
        /// The round is decided.
        case end(Decision)
    }

    /// When the round began, before the first byte was sent.
    package let start: Instant

    /// The times of the lease that is asked for.
    package let timing: LeaseTiming

    /// The decision, once there is one.
    package private(set) var decision: Decision?

    private var tally: VoteTally
    private var held: NodeSet = []
    private var unknown: NodeSet = []
    private var fence: Fence

    /// A round in which no node has answered yet.
    package init(quorum: Quorum, timing: LeaseTiming, start: Instant) {
        self.tally = VoteTally(quorum: quorum)
        self.fence = Fence(quorum: quorum)
        self.timing = timing
        self.start = start
    }

    /// Takes one node's answer, of which the first counts; returns what is to be done because of it.
    package mutating func answered(_ answer: Answer, by node: Int, at now: Instant) -> Step? {
        // In doubt, whatever the node said before.
        if answer == .unknown { unknown.insert(node) }
        guard tally.open.contains(node) else { return nil }
        switch answer {
        case .granted(let token):
            tally.vote(true, by: node)
            fence.granted(token, by: node)
        case .held, .refused, .unknown:
            if answer == .held { held.insert(node) }
            tally.vote(false, by: node)
            fence.cannotConfirm(node)
        }
        return nextStep(at: now)
    }

    /// Takes one node's answer to the request to raise its counter; returns what is to be done because of it.
    package mutating func answered(_ answer: RaiseAnswer, by node: Int, at now: Instant) -> Step? {
        fence.answered(answer, by: node)
        return nextStep(at: now)
    }

    private mutating func nextStep(at now: Instant) -> Step? {
        guard decision == nil else { return nil }
        if tally.result == .won, let token = fence.token, case let nodes = fence.takeNodesToRaise(), !nodes.isEmpty {
            // Confirmed or not, what is too late for a lease is not worth another round trip.
            guard isInTime(now) else { return end(.failed(.tooSlow)) }
            return .raise(nodes, token: token)
        }
        return decide(at: now).flatMap { end($0) }
    }

    private mutating func end(_ decision: Decision) -> Step {
        self.decision = decision
        return .end(decision)
    }

    private func decide(at now: Instant) -> Decision? {
        switch tally.result {
        case .pending: return nil
        case .won:
            switch fence.result {
            case .pending: return nil
            case .lost: return .failed(reason(without: fence.unconfirmable))
            case .won: break
            }
            guard isInTime(now) else { return .failed(.tooSlow) }
            let start = isPlanted(.validityFromDecision) ? now : start
            return .granted(validUntil: timing.validUntil(start: start), token: fence.token)
        case .lost:
            return .failed(reason(without: tally.votesAgainst))
        }
    }

    /// Whether a quorum would have been possible, had nobody held the key.
    private func reason(without nodes: NodeSet) -> Failure {
        let faulty = nodes.subtracting(held)
        return faulty.count > tally.quorum.nodesThatMayFail ? .quorumUnavailable : .contended
    }

    private func isInTime(_ now: Instant) -> Bool {
        isPlanted(.lateGrantReturned)
            || now.nanoseconds(until: timing.validUntil(start: start)) >= timing.leastRemainingNanoseconds
    }

    /// The nodes that granted.
    package var granted: NodeSet { tally.votesFor }

    /// The nodes on which the key may be set: those that granted, those nobody can tell of, and those that have yet
    /// to answer.
    package var mayHoldKey: NodeSet { tally.votesFor.union(unknown).union(tally.open) }

    /// The nodes that have yet to answer.
    package var awaited: NodeSet { tally.open }

    /// Whether every node has answered or been given up.
    package var isComplete: Bool { tally.open.isEmpty }
}

/// Which nodes are confirmed for which token.
private struct Fence: Hashable, Sendable {
    let quorum: Quorum

    /// The highest token that was answered; fixed as soon as a node is asked to raise its counter to it.
    private(set) var token: Int64?

    /// The nodes that will never be confirmed in this round.
    private(set) var unconfirmable: NodeSet = []

    private var isFixed = false
    /// The nodes that granted, whose counters stand at the token.
    private var confirmed: NodeSet = []
    /// The nodes that granted, whose counters stand below the token and which were not asked to raise them.
    private var below: NodeSet = []
    /// The nodes that were asked to raise their counters and have not answered.
    private var raising: NodeSet = []

    init(quorum: Quorum) {
        self.quorum = quorum
    }

    mutating func granted(_ token: Int64?, by node: Int) {
        guard let token, token != self.token, !(isPlanted(.tokenOfFirstAnswer) && self.token != nil) else {
            confirmed.insert(node)
            return
        }
        if let highest = self.token, token < highest {
            below.insert(node)
        } else if isFixed {
            // Its counter may stand above the fixed token because of somebody else's grant there.
            cannotConfirm(node)
        } else {
            self.token = token
            below = below.union(confirmed)
            confirmed = [node]
        }
    }

    /// Only the first answer of a node that was asked counts: one that did not grant is never confirmed.
    mutating func answered(_ answer: AcquireRound.RaiseAnswer, by node: Int) {
        guard raising.contains(node) else { return }
        raising.remove(node)
        if answer == .raised { confirmed.insert(node) } else { cannotConfirm(node) }
    }

    mutating func cannotConfirm(_ node: Int) {
        unconfirmable.insert(node)
    }

    /// The nodes to ask now; none if enough are confirmed without them.
    mutating func takeNodesToRaise() -> NodeSet {
        guard result != .won else { return [] }
        isFixed = true
        defer { below = [] }
        raising = raising.union(below)
        return below
    }

    var result: VoteResult {
        if isPlanted(.tokenUnconfirmed) { return .won }
        if confirmed.count >= quorum.votesNeeded { return .won }
        return unconfirmable.count > quorum.nodesThatMayFail ? .lost : .pending
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport
import Synchronization

/// One release on its way to the nodes.
final class ReleaseExchange: ScriptSender {
    let claim: Claim
    let ownerToken: OwnerToken
    let timing: LeaseTiming
    /// Who is to be woken first, if it waits.
    private let heir: ClientIdentifier?
    @exclusivity(unchecked) private var round: ReleaseRound
    @exclusivity(unchecked) private var problems: [Int: String] = [:]
    /// Whether a node woke somebody who waits.
    @exclusivity(unchecked) private var wokeSomebody = false
    private let engine: LockEngine
    @exclusivity(unchecked) private var completion: Completion?

    /// Told the decision, what went wrong on which node, and whether somebody was woken.
    typealias Completion = (ReleaseRound.Decision, [Int: String], _ wokeSomebody: Bool) -> Void

    init(
        _ claim: Claim,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        heir: ClientIdentifier?,
        round: ReleaseRound,
        engine: LockEngine,
        completion: Completion?
    ) {
        self.claim = claim
        self.ownerToken = ownerToken
        self.timing = timing
        self.heir = heir
        self.round = round
        self.engine = engine
        self.completion = completion
    }

    var command: NodeCommand {
        let profile = engine.profile
        let turn = engine.turnMilliseconds
        let first = heir.map { claim.member(ofHeir: $0.rawValue) }
        if case .slot(_, let name, let count) = claim, let queue = profile.waitingQueue(of: name) {
            let slots = profile.slots(of: name, count: count)
            return .releaseSlot(slots, queue, ownerToken: ownerToken, turnMilliseconds: turn, first: first)
        }
        var releases = claim.names.compactMap { name in
            profile.waitingQueue(of: name).map { NodeCommand.Release(keys: profile.keys(of: name), queue: $0) }
        }
        if isPlanted(.onlyFirstOfSeveralReleased) { releases = Array(releases.prefix(1)) }
        guard let only = releases.first else {
            return .releasePlain(lock: profile.keys(of: claim.names[0]).lock, ownerToken: ownerToken)
        }
        if claim.isShared { return .releaseShared(only, ownerToken: ownerToken, turnMilliseconds: turn) }
        return .release(releases, ownerToken: ownerToken, turnMilliseconds: turn, first: first)
    }

    func command(for node: Int) -> NodeCommand? { command }

    func received(_ reply: RESPValue, from node: Int) {
        switch reply {
        case .integer(let outcome) where outcome == 1 || outcome == 2:
            if outcome == 2 { wokeSomebody = true }
            engine.ledger.settle(ownerToken, at: node)
            count(.deleted, by: node)
        case .integer(0):
            engine.ledger.settle(ownerToken, at: node)
            count(.notHeld, by: node)
        default:
            problems[node] = reply.problem
            engine.ledger.note(self, at: node)
            count(.unknown, by: node)
        }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        problems[node] = failure.message
        engine.ledger.note(self, at: node)
        count(.unknown, by: node)
    }

    /// Counts the nodes that cannot be asked; what they may hold is released when they are back.
    func countAbsent(_ nodes: NodeSet) {
        for node in nodes {
            problems[node] = engine.problem(of: node)
            engine.ledger.note(self, at: node)
            count(.unknown, by: node)
        }
    }

    private func count(_ answer: ReleaseRound.Answer, by node: Int) {
        guard let decision = round.answered(answer, by: node) else { return }
        let completion = self.completion
        self.completion = nil
        completion?(decision, problems, wokeSomebody)
    }
}

extension LockEngine {
    /// Releases an owner token on the nodes that hold it or may hold it; the completion is called once, at a quorum of
    /// answers or when no more can come.
    func release(
        _ claim: Claim,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        heir: ClientIdentifier? = nil,
        from nodes: NodeSet,
        completion: ReleaseExchange.Completion? = nil
    ) {
        let round = ReleaseRound(quorum: quorum, asked: nodes)
        if let decision = round.decision {
            completion?(decision, [:], false)
            return
        }
        let exchange = ReleaseExchange(
            claim,
            ownerToken: ownerToken,
            timing: timing,
            heir: heir,
            round: round,
            engine: self,
            completion: completion
        )
        send(exchange.command, to: nodes.intersection(connectedNodes), receiver: exchange)
        exchange.countAbsent(nodes.subtracting(connectedNodes))
    }

    /// Releases what an attempt set or may have set.
    func release(
        _ attempt: AcquireAttempt,
        heir: ClientIdentifier? = nil,
        completion: ReleaseExchange.Completion? = nil
    ) {
        let nodes = attempt.nodesToRelease
        attempt.stop()
        deferredAttempts.remove(attempt.deferralNumber)
        releaseSpareToken(of: attempt)
        release(
            attempt.claim,
            ownerToken: attempt.ownerToken,
            timing: attempt.timing,
            heir: heir,
            from: nodes,
            completion: completion
        )
    }

    /// Releases what was set under the spare token; nobody waits for it.
    private func releaseSpareToken(of attempt: AcquireAttempt) {
        guard !attempt.nodesWithSpareToken.isEmpty else { return }
        release(
            attempt.claim,
            ownerToken: attempt.spareToken,
            timing: attempt.timing,
            from: attempt.nodesWithSpareToken
        )
    }

    /// Ends a lease: hands it over to a task that waits, or takes its owner token out of the nodes.
    ///
    /// - Parameter heir: the client that is to have the lock next, if it waits; then it is not handed over.
    func release(_ lease: HeldLease, heir: ClientIdentifier? = nil, completion: @escaping () -> Void) {
        let now = surroundings.now
        // Whoever is next may have come just now.
        if heir == nil, let next = lease.state.withLock({ lease.handOver(&$0, now: now) }) {
            follow(lease, to: next)
            next.begin()
            return completion()
        }
        metrics.released(heldNanoseconds: lease.granted.nanoseconds(until: now))
        // Counted first, so that nobody takes the engine for idle in between.
        releaseCount += 1
        if !isPlanted(.renewedAfterRelease) { keeper.remove(lease) }
        lease.callEndHandlers()
        giveWay(after: lease)
        release(lease.attempt, heir: heir) { [unowned self] _, _, wokeSomebody in
            releaseCount -= 1
            releaseAnswered(lease, wokeSomebody: wokeSomebody)
            completion()
            callIdleWaiters()
        }
    }

    /// Ends a lease and leaves its lock to whoever has the owner token; not one that was released, lost or handed over,
    /// which is not its holder's to give away.
    func detach(_ lease: HeldLease) {
        guard lease.isKept else { return }
        let isHeld = lease.state.withLock { state in
            defer { state.isReleased = true }
            state.releasePlan = state.releasePlan ?? ReleasePlan(reason: "given away")
            return !state.isReleased
        }
        guard isHeld else { return }
        keeper.remove(lease)
        ledger.giveAway(lease.ownerToken, timing: lease.attempt.timing)
        lease.attempt.stop()
        lease.callEndHandlers()
        vacate(lease)
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import Synchronization

/// How leases and attempts end.
extension LockEngine {
    /// Releases an owner token on the nodes that hold it or may hold it; the completion is called once, at a quorum of
    /// answers or when no more can come.
    ///
    /// - Parameter keptUntil: until when the nodes keep the lock all the same; it is released at once if nil.
    func release(
        _ claim: Claim,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        heir: ClientIdentifier? = nil,
        keptUntil: Instant? = nil,
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
            keptUntil: keptUntil,
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
        keptUntil: Instant? = nil,
        completion: ReleaseExchange.Completion? = nil
    ) {
        let nodes = attempt.nodesToRelease
        attempt.stop()
        deferredAttempts.remove(attempt.deferralNumber)
        if !attempt.nodesWithSpareToken.isEmpty {
            // Its outcome changes nothing for the caller.
            release(
                attempt.claim,
                ownerToken: attempt.spareToken,
                timing: attempt.timing,
                keptUntil: keptUntil,
                from: attempt.nodesWithSpareToken
            )
        }
        release(
            attempt.claim,
            ownerToken: attempt.ownerToken,
            timing: attempt.timing,
            heir: heir,
            keptUntil: keptUntil,
            from: nodes,
            completion: completion
        )
    }

    /// Ends a lease: hands it over to a task that waits, takes its owner token out of the nodes, or has them keep it for the
    /// rest of its minimum hold.
    ///
    /// What came of it stands in the lease when the completion is called.
    ///
    /// - Parameter heir: the client that is to have the lock next, if it waits; then it is not handed over.
    func release(_ lease: HeldLease, heir: ClientIdentifier? = nil, completion: @escaping () -> Void) {
        let now = surroundings.now
        // A successor may have come just now.
        if heir == nil, let next = lease.state.withLock({ lease.handOver(&$0, now: now) }) {
            follow(lease, to: next)
            next.begin()
            return completion()
        }
        metrics.released(heldNanoseconds: lease.granted.nanoseconds(until: now))
        // Counted first, so that the engine does not count as idle in between.
        releaseCount += 1
        if !isPlanted(.renewedAfterRelease) { keeper.remove(lease) }
        lease.keptUntil = lease.restOfMinimumHold(at: now)
        lease.callEndHandlers()
        giveWay(after: lease)
        release(lease.attempt, heir: heir, keptUntil: lease.keptUntil) { [unowned self] decision, outcomes, woke in
            releaseCount -= 1
            note(decision, outcomes, ofRelease: lease, begun: now)
            releaseAnswered(lease, wokeSomebody: woke)
            completion()
            callIdleWaiters()
        }
    }

    /// Notes in the lease what came of its release, and tells it if no quorum confirmed it.
    private func note(
        _ decision: ReleaseRound.Decision,
        _ outcomes: [Int: String],
        ofRelease lease: HeldLease,
        begun: Instant
    ) {
        let rest = lease.keptUntil.map { Duration.nanoseconds(begun.nanoseconds(until: $0)) }
        let outcome: ReleaseOutcome
        switch decision {
        case .released(wasHeld: true): outcome = rest.map { .kept(for: $0) } ?? .released
        case .released(wasHeld: false) where rest == nil: outcome = .released
        case .released, .incomplete:
            let keyLife = begun.nanoseconds(until: lease.attempt.keysSurelyExpired)
            let unconfirmed = UnconfirmedRelease(
                resource: lease.resource,
                nodes: report(outcomes),
                longestRemaining: max(.nanoseconds(max(0, keyLife)), rest ?? .zero),
                restOfMinimumHold: rest
            )
            outcome = .unconfirmed(unconfirmed)
            releaseUnconfirmed(unconfirmed)
        }
        lease.state.withLock { $0.releaseOutcome = outcome }
    }

    /// Ends a lease and leaves its lock to the process that has the owner token; not one that was released, lost or handed over,
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

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport
import Synchronization

/// One release on its way to the nodes.
final class ReleaseExchange: ScriptSender {
    let resource: String
    let ownerToken: OwnerToken
    let timing: LeaseTiming
    private var round: ReleaseRound
    private var problems: [Int: String] = [:]
    /// Whether a node woke somebody who waits.
    private var wokeSomebody = false
    private let engine: LockEngine
    private var completion: Completion?

    /// Told the decision, what went wrong on which node, and whether somebody was woken.
    typealias Completion = (ReleaseRound.Decision, [Int: String], _ wokeSomebody: Bool) -> Void

    init(
        resource: String,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        round: ReleaseRound,
        engine: LockEngine,
        completion: Completion?
    ) {
        self.resource = resource
        self.ownerToken = ownerToken
        self.timing = timing
        self.round = round
        self.engine = engine
        self.completion = completion
    }

    var command: NodeCommand {
        .release(
            lock: engine.profile.lockKey(resource),
            ownerToken: ownerToken,
            waking: engine.profile.waitingQueue(resource)
        )
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
        resource: String,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        from nodes: NodeSet,
        completion: ReleaseExchange.Completion? = nil
    ) {
        let round = ReleaseRound(quorum: quorum, asked: nodes)
        if let decision = round.decision {
            completion?(decision, [:], false)
            return
        }
        let exchange = ReleaseExchange(
            resource: resource,
            ownerToken: ownerToken,
            timing: timing,
            round: round,
            engine: self,
            completion: completion
        )
        send(exchange.command, to: nodes.intersection(connectedNodes), receiver: exchange)
        exchange.countAbsent(nodes.subtracting(connectedNodes))
    }

    /// Releases what an attempt set or may have set.
    func release(_ attempt: AcquireAttempt, completion: ReleaseExchange.Completion? = nil) {
        let nodes = attempt.nodesToRelease
        attempt.stop()
        deferredAttempts.remove(attempt.deferralNumber)
        releaseSpareToken(of: attempt)
        release(
            resource: attempt.resource,
            ownerToken: attempt.ownerToken,
            timing: attempt.timing,
            from: nodes,
            completion: completion
        )
    }

    /// Releases what was set under the spare token; nobody waits for it.
    private func releaseSpareToken(of attempt: AcquireAttempt) {
        guard !attempt.nodesWithSpareToken.isEmpty else { return }
        release(
            resource: attempt.resource,
            ownerToken: attempt.spareToken,
            timing: attempt.timing,
            from: attempt.nodesWithSpareToken
        )
    }

    /// Ends a lease: hands it over to a task that waits, or takes its owner token out of the nodes.
    func release(_ lease: HeldLease, completion: @escaping () -> Void) {
        metrics.released(heldNanoseconds: lease.granted.nanoseconds(until: surroundings.now))
        if handOver(lease) {
            if isPlanted(.releasedAtHandOver) { release(lease.attempt) }
            return completion()
        }
        // Counted first, so that nobody takes the engine for idle in between.
        releaseCount += 1
        if !isPlanted(.renewedAfterRelease) { keeper.remove(lease) }
        lease.callEndHandlers()
        giveWay(after: lease)
        release(lease.attempt) { [unowned self] _, _, wokeSomebody in
            releaseCount -= 1
            releaseAnswered(lease, wokeSomebody: wokeSomebody)
            completion()
            callIdleWaiters()
        }
    }

    /// Ends a lease and leaves its lock to whoever has the owner token.
    func detach(_ lease: HeldLease) {
        lease.state.withLock { $0.isReleased = true }
        keeper.remove(lease)
        ledger.giveAway(lease.ownerToken, timing: lease.attempt.timing)
        lease.attempt.stop()
        lease.callEndHandlers()
        vacate(lease)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport
import Synchronization

/// One release on its way to the nodes; or, as long as the minimum hold is not over, what has them keep the lock for the rest.
final class ReleaseExchange: ScriptSender {
    let claim: Claim
    let ownerToken: OwnerToken
    let timing: LeaseTiming
    /// Who is to be woken first, if it waits.
    private let heir: ClientIdentifier?
    /// Until when the nodes are to keep the lock; it is deleted from then on, or at once if nil.
    let keptUntil: Instant?
    @exclusivity(unchecked) private var round: ReleaseRound
    @exclusivity(unchecked) private var problems: [Int: String] = [:]
    /// Whether a node woke somebody who waits.
    @exclusivity(unchecked) private var wokeSomebody = false
    private let engine: LockEngine
    @exclusivity(unchecked) private var completion: Completion?

    /// Told the decision, what is known of each node unless a quorum had the lock, and whether a waiter was woken.
    typealias Completion = (ReleaseRound.Decision, [Int: String], _ wokeSomebody: Bool) -> Void

    init(
        _ claim: Claim,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        heir: ClientIdentifier?,
        keptUntil: Instant?,
        round: ReleaseRound,
        engine: LockEngine,
        completion: Completion?
    ) {
        self.claim = claim
        self.ownerToken = ownerToken
        self.timing = timing
        self.heir = heir
        self.keptUntil = keptUntil
        self.round = round
        self.engine = engine
        self.completion = completion
    }

    /// The command as it is to be sent now.
    var command: NodeCommand {
        restMilliseconds.map(keepingCommand) ?? releasingCommand
    }

    private var restMilliseconds: Int64? {
        guard let keptUntil, !isPlanted(.minimumHoldForgotten) else { return nil }
        let rest = engine.surroundings.now.nanoseconds(until: keptUntil)
        return rest > 0 ? (rest + 999_999) / 1_000_000 : nil
    }

    private func keepingCommand(for milliseconds: Int64) -> NodeCommand {
        let keys = claim.locks.map(engine.profile.keys(of:))
        if claim.isShared { return .setLifeShared(keys[0], ownerToken: ownerToken, lifeMilliseconds: milliseconds) }
        return .setLife(keys, ownerToken: ownerToken, lifeMilliseconds: milliseconds)
    }

    private var releasingCommand: NodeCommand {
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
        completion?(decision, decision == .released(wasHeld: true) ? [:] : outcomes, wokeSomebody)
    }

    /// What is known of each node.
    private var outcomes: [Int: String] {
        var outcomes = problems
        for node in engine.allNodes where outcomes[node] == nil {
            if round.open.contains(node) {
                outcomes[node] = "did not answer yet"
            } else if round.deleted.contains(node) {
                outcomes[node] = keptUntil == nil ? "released it" : "keeps it"
            } else {
                outcomes[node] = "does not have it"
            }
        }
        return outcomes
    }
}

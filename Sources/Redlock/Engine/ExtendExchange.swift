// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// One round of extending a lease, on its way to the nodes.
final class ExtendExchange: ScriptSender {
    /// Told the decision, and what is known of each node unless the lock was extended.
    typealias Completion = (ExtendRound.Decision, [Int: String]) -> Void

    private static let longestLifeMilliseconds: Int64 = 86_400_000

    private let claim: Claim
    private let ownerToken: OwnerToken
    private let timing: LeaseTiming
    /// The lease that is extended; nil if the caller has the owner token and no more.
    private let lease: HeldLease?
    private var round: ExtendRound
    private var problems: [Int: String] = [:]
    private let engine: LockEngine
    private var completion: Completion?

    init(
        claim: Claim,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        lease: HeldLease?,
        round: ExtendRound,
        engine: LockEngine,
        completion: @escaping Completion
    ) {
        self.claim = claim
        self.ownerToken = ownerToken
        self.timing = timing
        self.lease = lease
        self.round = round
        self.engine = engine
        self.completion = completion
    }

    /// Asks the nodes, and counts those that cannot be asked.
    func send(to nodes: NodeSet) {
        engine.renewAgreement(of: claim, on: nodes)
        let withSpareToken = nodes.intersection(lease?.attempt.takenBack ?? [])
        engine.send(command(ownerToken), to: nodes.subtracting(withSpareToken), receiver: self)
        if let lease, !withSpareToken.isEmpty {
            engine.send(command(lease.attempt.spareToken), to: withSpareToken, receiver: self)
        }
        for node in engine.allNodes.subtracting(nodes) {
            problems[node] = engine.problem(of: node)
            count(.unknown, by: node)
        }
    }

    private func command(_ ownerToken: OwnerToken) -> NodeCommand {
        var keys = claim.locks.map(engine.profile.keys(of:))
        if isPlanted(.onlyFirstOfSeveralExtended) { keys = [keys[0]] }
        if claim.isShared {
            return .extendShared(keys[0], ownerToken: ownerToken, ttlMilliseconds: timing.ttlMilliseconds)
        }
        return .extend(keys, ownerToken: ownerToken, ttlMilliseconds: timing.ttlMilliseconds)
    }

    /// Not any more once the lease has ended: nothing is renewed behind a release.
    func command(for node: Int) -> NodeCommand? {
        if let lease, !lease.isKept { return nil }
        guard let lease, lease.attempt.takenBack.contains(node) else { return command(ownerToken) }
        return command(lease.attempt.spareToken)
    }

    func received(_ reply: RESPValue, from node: Int) {
        switch reply {
        case .integer(-2):
            problems[node] = "does not have the lock"
            count(.missing, by: node)
            repairIfExtended(node)
        case .integer(-3):
            problems[node] = "another owner has the lock"
            count(.foreign, by: node)
        case .integer(let remainingMilliseconds):
            if let deviation = deviation(at: node, remainingMilliseconds: remainingMilliseconds) {
                problems[node] = "its clock jumped"
                engine.admission.clockDeviated(deviation, at: node, reading: nil)
                return count(.unknown, by: node)
            }
            guard engine.admission.countsExtension(of: node) else {
                problems[node] = engine.problem(of: node)
                return count(.unknown, by: node)
            }
            lease?.noteExtension(at: node, start: round.start, timing: timing)
            count(.stillMine, by: node)
        default:
            problems[node] = reply.problem
            if engine.profile.isStandard { engine.admission.inspect(node) }
            count(.unknown, by: node)
        }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        problems[node] = failure.message
        count(.unknown, by: node)
    }

    private func count(_ answer: ExtendRound.Answer, by node: Int) {
        guard let decision = round.answered(answer, by: node, at: engine.surroundings.now) else { return }
        let completion = self.completion
        self.completion = nil
        guard case .extended = decision else {
            completion?(decision, outcomes)
            return
        }
        completion?(decision, [:])
        for missing in round.missing { repair(missing) }
    }

    /// What is known of each node.
    private var outcomes: [Int: String] {
        var outcomes = problems
        for node in engine.allNodes where outcomes[node] == nil {
            outcomes[node] = round.open.contains(node) ? "did not answer yet" : "has the lock"
        }
        return outcomes
    }

    // MARK: Clocks

    /// How far the node's clock went astray if the key lives shorter than it must, or longer than it ever was to.
    private func deviation(at node: Int, remainingMilliseconds: Int64) -> ClockDeviation? {
        guard engine.profile.isStandard, remainingMilliseconds >= 0,
            let bounds = lease?.expectedLife(at: node, now: engine.surroundings.now)
        else { return nil }
        // A key may have been given any life by somebody else; longer than a day is as wrong as a day.
        let found = min(remainingMilliseconds, Self.longestLifeMilliseconds + bounds.upperBound / 1_000_000) * 1_000_000
        // Redis counts whole milliseconds.
        let tolerance = timing.driftNanoseconds + 1_000_000
        guard found < bounds.lowerBound - tolerance || found > bounds.upperBound + tolerance else { return nil }
        return ClockDeviation(
            range: bounds.lowerBound - found - tolerance...bounds.upperBound - found + tolerance
        )
    }

    // MARK: Repair

    private func repairIfExtended(_ node: Int) {
        if case .extended = round.decision { repair(node) }
    }

    private func repair(_ node: Int) {
        if let lease { engine.repair(lease, on: node, timing: timing) }
    }
}

extension LockEngine {
    /// Asks every node to keep the key at least for the TTL from now.
    ///
    /// Nodes whose vote on the lease came too late are asked for the spare token: they do not have it until they are
    /// repaired.
    func extend(_ lease: HeldLease, timing: LeaseTiming, completion: @escaping ExtendExchange.Completion) {
        extend(
            lease.claim,
            ownerToken: lease.ownerToken,
            timing: timing,
            lease: lease,
            completion: completion
        )
    }

    /// Asks every node to keep the key at least for the TTL from now, for a caller that has the owner token and no more.
    func extend(
        _ claim: Claim,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        completion: @escaping ExtendExchange.Completion
    ) {
        extend(claim, ownerToken: ownerToken, timing: timing, lease: nil, completion: completion)
    }

    private func extend(
        _ claim: Claim,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        lease: HeldLease?,
        completion: @escaping ExtendExchange.Completion
    ) {
        lease?.attempt.noteExtension()
        let round = ExtendRound(
            quorum: quorum,
            timing: timing,
            start: surroundings.now,
            validUntil: lease?.validUntil
        )
        let exchange = ExtendExchange(
            claim: claim,
            ownerToken: ownerToken,
            timing: timing,
            lease: lease,
            round: round,
            engine: self,
            completion: completion
        )
        exchange.send(to: admission.extendable)
    }
}

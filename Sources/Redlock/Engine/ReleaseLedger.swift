// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// What is still to be released on nodes that did not answer.
///
/// A key whose release was not confirmed would keep others out until its TTL is over. The ledger tries again, when the
/// node is back or after a while, until the key has surely expired.
final class ReleaseLedger {
    private struct Entry {
        let resource: String
        let timing: LeaseTiming
        var nodes: NodeSet
        var surelyExpired: Instant
    }

    private static let retryNanoseconds: Int64 = 500_000_000

    private unowned let engine: LockEngine
    private var entries: [OwnerToken: Entry] = [:]
    private var retryTimer: (any LoopTimer)?

    init(engine: LockEngine) {
        self.engine = engine
    }

    /// How many owner tokens are still to be released somewhere.
    var count: Int { entries.count }

    /// Notes that a node did not confirm a release.
    func note(_ exchange: ReleaseExchange, at node: Int) {
        let now = engine.surroundings.now
        // Counted from now: a node that was slow may have set the key only just before it answered.
        let expiry = exchange.timing.surelyExpired(
            sent: now,
            delayNanoseconds: engine.configuration.nodeTimeout.nanoseconds
        )
        var entry =
            entries[exchange.ownerToken]
            ?? Entry(resource: exchange.resource, timing: exchange.timing, nodes: [], surelyExpired: expiry)
        // The time of a node is that of the first doubt: retries do not make a key live longer.
        if !entry.nodes.contains(node) {
            entry.nodes.insert(node)
            entry.surelyExpired = max(entry.surelyExpired, expiry)
        }
        entries[exchange.ownerToken] = entry
        retryLater()
    }

    /// Notes that a node answered: there is nothing left to release.
    func settle(_ ownerToken: OwnerToken, at node: Int) {
        guard !entries.isEmpty, entries[ownerToken] != nil else { return }
        entries[ownerToken]?.nodes.remove(node)
        if entries[ownerToken]?.nodes.isEmpty == true { entries[ownerToken] = nil }
    }

    /// Forgets an owner token that is not to be released any more.
    func forget(_ ownerToken: OwnerToken) {
        entries[ownerToken] = nil
    }

    /// Sends everything that is still to be released on a node.
    func retry(at node: Int) {
        forgetExpired()
        for (ownerToken, entry) in entries where entry.nodes.contains(node) {
            engine.release(resource: entry.resource, ownerToken: ownerToken, timing: entry.timing, from: [node])
        }
    }

    private func retryLater() {
        guard retryTimer == nil, !engine.isShuttingDown else { return }
        let next = engine.surroundings.now.advanced(byNanoseconds: Self.retryNanoseconds)
        retryTimer = engine.surroundings.schedule(at: next) { [weak self] in
            guard let self else { return }
            retryTimer = nil
            forgetExpired()
            for node in engine.usableNodes { retry(at: node) }
            if !entries.isEmpty { retryLater() }
        }
    }

    private func forgetExpired() {
        let now = engine.surroundings.now
        entries = entries.filter { $0.value.surelyExpired > now }
    }
}

/// One release on its way to the nodes.
final class ReleaseExchange: ReplyReceiver {
    let resource: String
    let ownerToken: OwnerToken
    let timing: LeaseTiming
    private var round: ReleaseRound
    private var problems: [Int: String] = [:]
    private var wholeScriptSent: NodeSet = []
    private let engine: LockEngine
    private var completion: ((ReleaseRound.Decision, [Int: String]) -> Void)?

    init(
        resource: String,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        round: ReleaseRound,
        engine: LockEngine,
        completion: ((ReleaseRound.Decision, [Int: String]) -> Void)?
    ) {
        self.resource = resource
        self.ownerToken = ownerToken
        self.timing = timing
        self.round = round
        self.engine = engine
        self.completion = completion
    }

    var command: NodeCommand { .deleteIfEqual(key: resource, ownerToken: ownerToken) }

    func received(_ reply: RESPValue, from node: Int) {
        switch reply {
        case .integer(1):
            engine.ledger.settle(ownerToken, at: node)
            count(.deleted, by: node)
        case .integer(0):
            engine.ledger.settle(ownerToken, at: node)
            count(.notHeld, by: node)
        case .error(let text) where text.isMissingScript && !wholeScriptSent.contains(node):
            wholeScriptSent.insert(node)
            engine.send(command, to: [node], receiver: self, wholeScript: true)
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
            problems[node] = engine.surroundings.failure(of: node)?.message ?? "not connected"
            engine.ledger.note(self, at: node)
            count(.unknown, by: node)
        }
    }

    private func count(_ answer: ReleaseRound.Answer, by node: Int) {
        guard let decision = round.answered(answer, by: node) else { return }
        let completion = self.completion
        self.completion = nil
        completion?(decision, problems)
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
        completion: ((ReleaseRound.Decision, [Int: String]) -> Void)? = nil
    ) {
        let round = ReleaseRound(quorum: quorum, asked: nodes)
        if let decision = round.decision {
            completion?(decision, [:])
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
        send(exchange.command, to: nodes.intersection(usableNodes), receiver: exchange)
        exchange.countAbsent(nodes.subtracting(usableNodes))
    }

    /// Releases what an attempt set or may have set.
    func release(_ attempt: AcquireAttempt, completion: ((ReleaseRound.Decision, [Int: String]) -> Void)? = nil) {
        let nodes = attempt.nodesToRelease
        attempt.stop()
        deferredAttempts[ObjectIdentifier(attempt)] = nil
        release(
            resource: attempt.resource,
            ownerToken: attempt.ownerToken,
            timing: attempt.timing,
            from: nodes,
            completion: completion
        )
    }
}

extension String {
    /// Whether an error reply says that the node does not have the script: it was restarted, or told to forget.
    var isMissingScript: Bool { hasPrefix("NOSCRIPT") }
}

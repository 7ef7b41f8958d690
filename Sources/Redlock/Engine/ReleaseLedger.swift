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
        /// Those that came first are released first.
        let number: Int
        let claim: Claim
        let timing: LeaseTiming
        var nodes: NodeSet
        var surelyExpired: Instant
        /// Until when the lock is to stay; it is released from then on.
        var keptUntil: Instant?
    }

    private static let retryNanoseconds: Int64 = 500_000_000

    private unowned let engine: LockEngine
    @exclusivity(unchecked) private var entries: [OwnerToken: Entry] = [:]
    private var entryCount = 0
    /// Owner tokens that were given away: whoever has them now must not lose the lock to a late release of ours.
    private var givenAway: [OwnerToken: Instant] = [:]
    private var retryTimer: (any LoopTimer)?

    init(engine: LockEngine) {
        self.engine = engine
    }

    /// Notes that a node did not confirm a release.
    func note(_ exchange: ReleaseExchange, at node: Int) {
        guard givenAway[exchange.ownerToken] == nil, !isPlanted(.releaseNotRetried) else { return }
        let now = engine.surroundings.now
        // Counted from now: a node that was slow may have set the key only just before it answered.
        let expiry = exchange.timing.surelyExpired(
            sent: now,
            delayNanoseconds: engine.nodeTimeoutNanoseconds
        )
        entryCount += 1
        var entry =
            entries[exchange.ownerToken]
            ?? Entry(
                number: entryCount,
                claim: exchange.claim,
                timing: exchange.timing,
                nodes: [],
                surelyExpired: expiry
            )
        // The time of a node is that of the first doubt: retries do not make a key live longer.
        if !entry.nodes.contains(node) {
            entry.nodes.insert(node)
            entry.surelyExpired = max(entry.surelyExpired, expiry)
        }
        entry.keptUntil = exchange.keptUntil ?? entry.keptUntil
        entries[exchange.ownerToken] = entry
        retryLater()
    }

    /// Notes that a node answered: there is nothing left to release.
    func settle(_ ownerToken: OwnerToken, at node: Int) {
        guard !entries.isEmpty, entries[ownerToken] != nil else { return }
        entries[ownerToken]?.nodes.remove(node)
        if entries[ownerToken]?.nodes.isEmpty == true { entries[ownerToken] = nil }
    }

    /// Forgets an owner token that is not to be released any more, as somebody else has it now.
    func giveAway(_ ownerToken: OwnerToken, timing: LeaseTiming) {
        let now = engine.surroundings.now
        entries[ownerToken] = nil
        givenAway = givenAway.filter { $0.value > now }
        givenAway[ownerToken] = timing.surelyExpired(
            sent: now,
            delayNanoseconds: engine.nodeTimeoutNanoseconds
        )
    }

    /// Sends everything that is still to be released on a node.
    func retry(at node: Int) {
        forgetExpired()
        let due = entries.filter { $0.value.nodes.contains(node) }
        for (ownerToken, entry) in due.sorted(by: { $0.value.number < $1.value.number }) {
            engine.release(
                entry.claim,
                ownerToken: ownerToken,
                timing: entry.timing,
                keptUntil: entry.keptUntil,
                from: [node]
            )
        }
    }

    private func retryLater() {
        guard retryTimer == nil, !engine.isShuttingDown else { return }
        let next = engine.surroundings.now.advanced(byNanoseconds: Self.retryNanoseconds)
        retryTimer = engine.surroundings.schedule(at: next) { [self, engine] in
            retryTimer = nil
            forgetExpired()
            for node in engine.connectedNodes { retry(at: node) }
            if !entries.isEmpty { retryLater() }
        }
    }

    private func forgetExpired() {
        let now = engine.surroundings.now
        entries = entries.filter { $0.value.surelyExpired > now }
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import LockCore
import Synchronization

/// Why a lease ended before it was released.
enum LossReason: Sendable {
    /// Its validity ran out: renewal did not get through, or there was none.
    case expired
    /// So many nodes no longer had it that no quorum holds it.
    case takenAway
    /// It was held as long as it was meant to be at most.
    case maximumHold
    /// The client was shut down.
    case shutDown
    /// The clock of this client stood still or jumped.
    case ownClock
}

/// What the release of a lease is to do and to tell besides.
///
/// A class, as there is hardly ever one.
final class ReleasePlan: Sendable {
    /// The client that is to have the lock next, if it waits.
    let heir: ClientIdentifier?
    /// Why the lease ends, for people to read.
    let reason: String?

    init(heir: ClientIdentifier? = nil, reason: String?) {
        self.heir = heir
        self.reason = reason
    }
}

/// A lease as the engine keeps it.
///
/// `@unchecked Sendable`: the state that callers read is guarded by a mutex; the rest is touched on the loop only,
/// from the moment at which the engine hears of the lease.
final class HeldLease: @unchecked Sendable {
    struct State: Sendable {
        var validUntil: Instant
        var loss: LossReason?
        var isReleased = false
        var handOver = HandOver.possible
        /// Those to whom the lock goes by itself, in order; without any, it is released.
        var successors: Deque<AcquireOperation> = []
        /// What the release is to do and to tell besides, if anything.
        var releasePlan: ReleasePlan?
        /// Until when the lock is to stay at least, whenever the lease ends; nil without a minimum hold.
        var minimumHoldEnd: Instant?
        /// What came of the release, once that is known.
        var releaseOutcome: ReleaseOutcome?
        /// What the nodes said to the last extension that did not succeed.
        var problems: [RedlockError.NodeReport] = []

        /// Has the lock released when the lease ends, whoever waits for it.
        mutating func refuseHandOver() {
            if case .possible = handOver { handOver = .refused }
        }
    }

    /// Whether the lock goes to another task of the client when the lease ends.
    enum HandOver: Sendable {
        /// It goes to the first of those that are named.
        case possible
        /// Somebody has seen the owner token, by which the lock can be released, or raised the counter.
        case refused
        /// Another task has the lock under the same owner token; to whom it went, as long as the engine has not followed.
        case done(Succession?)
    }

    /// The grant at the nodes that a lease, and all those that it was handed over to, go back to.
    struct Block: Sendable {
        /// When the nodes were asked.
        let began: Instant
        /// The last fencing token that was reserved; nil where there is none.
        let lastToken: Int64?
    }

    let claim: Claim
    let ownerToken: OwnerToken
    /// Nil in the compatible profile, and where the lock is shared.
    let fencingToken: FencingToken?
    let terms: LeaseTerms
    let engine: LockEngine
    /// The end of the longest hold that was asked for.
    let holdEnd: Instant
    let state: Mutex<State>

    let block: Block

    // On the loop only.
    let attempt: AcquireAttempt
    /// The line in which others of the same client wait.
    var line: WaitingLine?
    let granted: Instant
    var isRenewed: Bool
    /// Until when the nodes keep the lock though the lease was released.
    var keptUntil: Instant?
    /// How many extensions are under way.
    var extensionCount = 0
    var isExtending: Bool { extensionCount > 0 }
    /// When the keeper must next look at the lease.
    var nextDue: Instant
    var nextRenewal: Instant
    /// The place of the lease in the keeper's heap; nil when it is not kept.
    var heapIndex: Int?
    /// Cancels the body that runs under the lease; nil if there is none.
    let canceller: BodyCanceller?
    /// Since when each node keeps the key for which TTL, at the latest that is certain; empty until the first extension.
    private var lastExtensions: [Int: (start: Instant, timing: LeaseTiming)] = [:]
    /// Called once, when the lease is lost or released.
    var endHandlers: [@Sendable () -> Void] = []

    init(
        attempt: AcquireAttempt,
        terms: LeaseTerms,
        validUntil: Instant,
        fencingToken: FencingToken?,
        canceller: BodyCanceller?,
        engine: LockEngine
    ) {
        self.canceller = canceller
        self.fencingToken = fencingToken
        self.attempt = attempt
        self.claim = attempt.claim
        self.ownerToken = attempt.ownerToken
        self.terms = terms
        self.engine = engine
        self.granted = attempt.round.start
        self.isRenewed = terms.renewal == .automatic
        self.nextDue = validUntil
        self.nextRenewal = validUntil
        self.holdEnd =
            terms.maximumHoldNanoseconds.map { attempt.round.start.advanced(byNanoseconds: $0) }
            ?? Instant(nanoseconds: .max)
        self.state = Mutex(
            State(
                validUntil: min(validUntil, holdEnd),
                minimumHoldEnd: terms.minimumHoldEnd(grantedAt: engine.surroundings)
            )
        )
        self.block = Block(
            began: attempt.round.start,
            lastToken: fencingToken.map { $0.rawValue + attempt.tokenCount - 1 }
        )
    }

    /// The lock of a lease that ends now, under the next token of its block, for the next who waits.
    ///
    /// Made by whoever ends the former lease, on whatever thread; the engine adds the rest with `followExtensions`.
    init(
        takingOver former: HeldLease,
        for operation: AcquireOperation,
        before successors: Deque<AcquireOperation>,
        validUntil: Instant,
        now: Instant
    ) {
        canceller = operation.canceller
        let step: Int64 = isPlanted(.tokenReusedAtHandOver) ? 0 : 1
        fencingToken = former.fencingToken.map { FencingToken(rawValue: $0.rawValue + step) }
        attempt = former.attempt
        claim = former.claim
        ownerToken = former.ownerToken
        terms = operation.terms
        engine = former.engine
        granted = now
        isRenewed = operation.terms.renewal == .automatic
        nextDue = validUntil
        nextRenewal = validUntil
        holdEnd =
            operation.terms.maximumHoldNanoseconds.map { now.advanced(byNanoseconds: $0) }
            ?? Instant(nanoseconds: .max)
        state = Mutex(
            State(
                validUntil: min(validUntil, holdEnd),
                successors: successors,
                minimumHoldEnd: operation.terms.minimumHoldEnd(grantedAt: engine.surroundings)
            )
        )
        block = former.block
    }

    /// Takes over what is known of the nodes' keys from the lease before.
    func followExtensions(of former: HeldLease) {
        lastExtensions = former.lastExtensions
    }

    /// Notes that a node keeps the key for the TTL since the start of a round at least.
    func noteExtension(at node: Int, start: Instant, timing: LeaseTiming) {
        lastExtensions[node] = (start, timing)
    }

    /// How long the key may still live on a node, in nanoseconds, if its clock and ours agree.
    func expectedLife(at node: Int, now: Instant) -> ClosedRange<Int64> {
        let last = lastExtensions[node] ?? (attempt.round.start, terms.timing)
        let least = now.nanoseconds(until: last.start.advanced(byNanoseconds: last.timing.ttlNanoseconds))
        // An extension never shortens a life, so an earlier and longer one may still count.
        return least...max(least, attempt.timing.ttlNanoseconds)
    }

    /// Why the lease ended, for people to read.
    var ending: String {
        state.withLock { state in state.loss.map { "lost: \($0.text)" } ?? state.releasePlan?.reason ?? "released" }
    }

    /// What is locked, for people to read.
    var resource: String { claim.resource }

    /// Until when the lock is to stay if the lease is released at the instant; nil if it is to be free then.
    ///
    /// What was lost is not kept: others may have it. A client that is shut down still has what it held.
    func restOfMinimumHold(at now: Instant) -> Instant? {
        guard terms.minimumHoldNanoseconds != nil else { return nil }
        return state.withLock { state in
            guard let end = state.minimumHoldEnd, now < end, now < state.validUntil else { return nil }
            switch state.loss {
            case nil, .shutDown: return end
            case .expired, .takenAway, .maximumHold, .ownClock: return nil
            }
        }
    }

    /// Tells everybody who waits for the end of the lease.
    func callEndHandlers() {
        let handlers = endHandlers
        endHandlers = []
        for handler in handlers { handler() }
    }

    /// Whether the keeper looks after the lease: it was neither released nor lost nor given away.
    var isKept: Bool { heapIndex != nil }

    /// Whether a body runs under the lease, which ends before the lease is released.
    var hasBody: Bool { canceller != nil }

    /// Until when the holder may count on the lease.
    var validUntil: Instant { state.withLock { $0.validUntil } }

    /// Whether the lease ends because it was not meant to be held for longer.
    var isAtHoldEnd: Bool { validUntil >= holdEnd }

    /// When the lease counts as lost unless it is extended: early enough that what runs under it can stop.
    ///
    /// A lease that is not renewed is its holder's own affair until the very end.
    var lossDeadline: Instant {
        isRenewed ? validUntil.advanced(byNanoseconds: -terms.cancellationMarginNanoseconds) : validUntil
    }
}

// MARK: What callers do with it

extension HeldLease {
    /// Releases the lease, unless that was done before.
    ///
    /// Where the lock is handed over, the loop is not woken: that takes longer than all the rest, and is up to the caller
    /// once the next one is on its way.
    ///
    /// - Parameters:
    ///   - endsBody: whether this is the end of the body that ran under the lease.
    ///   - heir: the client that is to have the lock next, if it waits.
    func release(endsBody: Bool = false, heir: ClientIdentifier? = nil) async {
        let now = engine.surroundings.now
        let (isFirst, plan, next) = state.withLock { state in
            let isFirst = !state.isReleased
            state.isReleased = true
            let mayHandOver = isFirst && heir == nil && state.releasePlan?.heir == nil
            return (isFirst, state.releasePlan, mayHandOver ? handOver(&state, now: now) : nil)
        }
        let heir = heir ?? plan?.heir
        guard isFirst || endsBody else { return }
        if let next {
            let deadline = next.lease.lossDeadline
            // Left first, so that the engine hears of the next lease before it hears of its end.
            engine.leave { engine in
                if endsBody { engine.bodyCount -= 1 }
                engine.follow(self, to: next)
            }
            if !LeaseKeeper.isInTime(for: deadline, now: engine.surroundings.now) { engine.wakeLoop() }
            return next.begin()
        }
        // Unsafe only in name: the engine completes every release exactly once, and this is the hot path.
        await withUnsafeContinuation { continuation in
            engine.submit { engine in
                if endsBody { engine.bodyCount -= 1 }
                if isFirst {
                    engine.release(self, heir: heir) { continuation.resume() }
                } else {
                    continuation.resume()
                    engine.callIdleWaiters()
                }
            }
        }
    }

    /// How long the holder may still count on the lease; zero when it ended.
    var remaining: Duration {
        let validUntil = state.withLock { $0.loss == nil && !$0.isReleased ? $0.validUntil : nil }
        guard let validUntil else { return .zero }
        return .nanoseconds(max(0, engine.surroundings.now.nanoseconds(until: validUntil)))
    }

    func lossError() -> RedlockError {
        let (loss, problems) = state.withLock { ($0.loss, $0.problems) }
        let reason = loss?.text ?? "its validity is over"
        let message = "the lease of \"\(resource)\" is lost: \(reason)"
        return RedlockError(.lost, resource: resource, message, nodes: problems)
    }

    /// Whether the holder can no longer count on the lease, by the clock even if nobody noticed yet.
    var isLost: Bool {
        let (loss, isReleased, validUntil) = state.withLock { ($0.loss, $0.isReleased, $0.validUntil) }
        if loss != nil { return true }
        return !isReleased && engine.surroundings.now >= validUntil
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import LockCore
internal import Synchronization

/// Whether a kind of lease has a fencing token: `Fenced` or `Unfenced`.
public protocol LeaseFencing: Sendable {}

/// Leases with a fencing token.
public enum Fenced: LeaseFencing {}

/// Leases without a fencing token.
public enum Unfenced: LeaseFencing {}

extension Lease where Fencing == Fenced {
    /// The number of this grant, for stores to compare: higher than that of every grant of the resource before.
    ///
    /// Where several resources were locked at once, it is the token of each of them.
    public var fencingToken: FencingToken {
        guard let token = held.fencingToken else {
            preconditionFailure("a client whose leases are fenced grants none without its token")
        }
        return token
    }
}

/// A granted lock.
///
/// It belongs to whoever acquired it until it is released, lost, or its validity is over, and it may be used from
/// several tasks. Nothing holds a process back from writing after its lease ended, for example after a long pause:
/// give the store the fencing token, or at least check `isValid` before what must not happen twice, and know that this
/// leaves a moment in between.
///
/// A lease that is renewed automatically and then forgotten, without having been released, is renewed no more and ends
/// with its TTL.
public final class Lease<Fencing: LeaseFencing>: LeaseOfAnyKind {
    let held: HeldLease
    /// Keeps the connections open for as long as somebody may want to release.
    private let client: LockClientCore

    init(_ held: HeldLease, of client: LockClientCore) {
        self.held = held
        self.client = client
    }

    deinit {
        let held = self.held
        guard held.terms.renewal == .automatic, !held.state.withLock({ $0.isReleased }) else { return }
        held.engine.submit { engine in engine.keeper.stopRenewing(held) }
    }

    /// The name of what is locked.
    ///
    /// Of several that were locked at once, all of them, separated by a comma and a space.
    public var resource: String { held.resource }

    /// The number of the slot, from 0; nil for a lock.
    public var slot: Int? { held.claim.slot }

    /// The names of all that is locked, sorted by their bytes.
    public var resources: [String] { held.claim.names.map(\.text) }

    /// What the key holds in Redis; a secret.
    ///
    /// A lease whose owner token was asked for is released and never handed over to another task of this client: whoever
    /// knows the token could release the other's lock. If it was handed over before, this is a token that holds nothing.
    public var ownerToken: OwnerToken {
        held.refuseHandOver()
        guard case .refused = held.state.withLock({ $0.handOver }) else {
            return OwnerToken(highBits: 0, lowBits: 0, label: ownerLabel)
        }
        // Whoever has the token may end the lease without this client: those who wait for it here ask the nodes.
        let held = self.held
        held.engine.submit { $0.vacate(held) }
        return held.ownerToken
    }

    /// The readable part of the owner token.
    public var ownerLabel: String { held.terms.label }

    /// Until when the holder may count on the lease, as far as is known now; an extension moves it.
    public var validUntil: ContinuousClock.Instant {
        held.engine.surroundings.clockInstant(of: held.validUntil)
    }

    /// How long the holder may still count on the lease; zero when it ended.
    public var remaining: Duration { held.remaining }

    /// Whether the holder may count on the lease at this moment, by the continuous clock.
    public var isValid: Bool { remaining > .zero }

    /// Waits until the lease is lost or released.
    ///
    /// A lease that is renewed is lost a margin before its validity ends, so that what runs under it can stop; see
    /// ``LockOptions/cancellationMargin``.
    ///
    /// - Returns: whether it was lost.
    public func ended() async -> Bool {
        let held = self.held
        await withCheckedContinuation { continuation in
            held.engine.submit { _ in
                if held.isKept {
                    held.endHandlers.append { continuation.resume() }
                } else {
                    continuation.resume()
                }
            }
        }
        return held.state.withLock { $0.loss != nil }
    }

    /// Extends the lease: from now on it lives for at least the TTL.
    ///
    /// - Parameter ttl: the TTL to ask for; that of the acquisition if nil.
    /// - Throws: `RedlockError` with `lost` if the lease is gone, and `quorumUnavailable` if too few nodes answered;
    ///   then it stays valid as long as it was.
    public func extend(ttl: Duration? = nil) async throws {
        let timing: LeaseTiming
        if let ttl {
            timing = try LeaseTerms.timing(ttl: ttl, configuration: held.engine.configuration)
        } else {
            timing = held.terms.timing
        }
        let held = self.held
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            held.engine.submit { engine in
                engine.keeper.extend(held, timing: timing) { decision, problems in
                    switch decision {
                    case .extended: continuation.resume()
                    case .lost, .tooLate: continuation.resume(throwing: held.lossError())
                    case .inconclusive:
                        let message = "too few nodes answered to extend \"\(held.resource)\""
                        let nodes = engine.report(problems)
                        continuation.resume(
                            throwing: RedlockError(.quorumUnavailable, resource: held.resource, message, nodes: nodes)
                        )
                    }
                }
            }
        }
    }

    /// Releases the lease on every node that has it or may have it; before its minimum hold is over, has them keep it for the
    /// rest (``LockOptions/minimumHold``).
    ///
    /// Returns when a quorum of nodes answered, or when no more answers can come; ``releaseOutcome`` tells which. What is
    /// left is released in the background, or dies with its TTL. Does nothing if the lease was released before. Is not cut
    /// short when the task is cancelled.
    public func release() async {
        await held.release()
        held.engine.wakeLoop()
    }

    /// What came of the release, once a quorum of nodes has answered or no more answers can come; nil before that, and of a
    /// lease that was given away (``detach()``).
    ///
    /// Of a lease that `withLock` releases, it is known when `withLock` has returned or thrown.
    public var releaseOutcome: ReleaseOutcome? { held.state.withLock { $0.releaseOutcome } }

    /// Has the lock released as soon as the lease ends, though its minimum hold is not over: for work that did not begin.
    ///
    /// See ``LockOptions/minimumHold``. Does nothing without a minimum hold, and after the release.
    public func waiveMinimumHold() {
        held.state.withLock { $0.minimumHoldEnd = nil }
    }

    /// Releases the lease, and wakes the named client before all others that wait for the lock.
    ///
    /// It is a wish about the order and no more: the client may be gone, or somebody who happens to ask at that moment may
    /// have the lock first. If it does not wait, those who do are woken as always. It is for clients that wait for what the
    /// lease was of: the same name alone, or a slot of as many. No client is woken before the minimum hold is over.
    ///
    /// - Parameter client: what the other client is known by; see ``RedlockClient/identifier``.
    public func release(to client: ClientIdentifier) async {
        await held.release(heir: client)
    }

    /// Says what the release of the lease is to do and to tell, whoever releases it and whenever: for leases that `withLock`
    /// releases.
    ///
    /// - Parameters:
    ///   - client: the client that is woken before all others; see ``release(to:)``. None if nil.
    ///   - reason: why the lease ends, in the record of its grant; see ``LockOptions/recordedGrants``. "released" if nil.
    public func planRelease(to client: ClientIdentifier? = nil, because reason: String? = nil) {
        let plan = ReleasePlan(heir: client, reason: reason)
        held.state.withLock { $0.releasePlan = plan }
    }

    /// Gives the lease away to whoever knows its owner token: the client neither renews nor releases it any more, not
    /// even when it is shut down.
    public func detach() async {
        let held = self.held
        await withCheckedContinuation { continuation in
            held.engine.submit { engine in
                engine.detach(held)
                continuation.resume()
                engine.callIdleWaiters()
            }
        }
    }
}

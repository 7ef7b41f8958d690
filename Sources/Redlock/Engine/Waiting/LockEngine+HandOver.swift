// SPDX-License-Identifier: Apache-2.0

import LockCore
import Synchronization

/// Handing a lock over from one task of a client to the next, without asking any node.
///
/// The key stays as it is, under the same owner token; the next holder gets the next fencing token of the block that was
/// reserved with the grant. A grant that was handed over began, in the order of tokens, when its block was reserved.
///
/// The engine names who is next while the lease is held. Whoever ends the lease hands it over by itself, from its own
/// thread, under the mutex of the lease; the engine follows. In between, the former lease stands for the next one: it is
/// not renewed any more, and what would end it ends the next one.
extension LockEngine {
    /// Names the first of a line as the one who has the lock next, if it may have the lease of this client.
    func nameSuccessor(in line: WaitingLine) {
        guard let lease = line.holder else { return }
        let next = line.first.flatMap { lease.maySuit($0) ? $0 : nil }
        lease.state.withLock { state in
            if case .possible = state.handOver { state.handOver = .possible(to: next) }
        }
    }

    /// Sees to it that the lock is not handed over to an operation, so that the engine may answer it.
    ///
    /// - Returns: false if the lock has gone to it, by which it has its answer.
    func withdraw(_ operation: AcquireOperation) -> Bool {
        guard let line = operation.line, line.first === operation, let lease = line.holder else { return true }
        return lease.state.withLock { state in
            switch state.handOver {
            case .done: return false
            case .refused: return true
            case .possible:
                state.handOver = .possible(to: nil)
                return true
            }
        }
    }

    /// Has what is left of the blocks of tokens that this client has of a name never be used.
    func closeBlocks(of name: ResourceName) {
        for line in lines.values where line.claim.names.contains(name) { line.holder?.refuseFurtherHandOver() }
    }

    /// Follows a lock that went from one task to the next.
    func follow(_ lease: HeldLease, to next: Succession) {
        metrics.released(heldNanoseconds: lease.granted.nanoseconds(until: next.lease.granted))
        metrics.handedOver()
        keeper.remove(lease)
        lease.callEndHandlers()
        next.lease.followExtensions(of: lease)
        if isPlanted(.releasedAtHandOver) { release(lease.attempt) }
        keep(next.lease, for: next.operation, in: lease.line)
        // Nobody asks for the next one any more, which may have successors of its own.
        lease.state.withLock { $0.handOver = .done(nil) }
        switch next.lease.state.withLock({ $0.loss }) {
        case .shutDown: endForShutdown(next.lease)
        case let loss?: keeper.lose(next.lease, loss)
        case nil: break
        }
        callIdleWaiters()
    }
}

/// A lock that was handed over, and to whom.
struct Succession: Sendable {
    let operation: AcquireOperation
    let lease: HeldLease
    /// Lets the task go on that has the lock now; taken out beforehand, as the engine forgets it when it follows.
    private let completion: AcquireOperation.Completion?

    fileprivate init(of operation: AcquireOperation, under lease: HeldLease) {
        self.operation = operation
        self.lease = lease
        completion = operation.completion
    }

    /// Lets the task go on that has the lock now.
    func begin() {
        completion?(.success(lease))
    }
}

extension HeldLease {
    /// Whether the lease, as it is now, would do for the next operation; asked on the loop.
    fileprivate func maySuit(_ next: AcquireOperation) -> Bool {
        // What an extension that is under way brings, the next would not hear of.
        isKept && !isExtending && !next.terms.isFair && next.terms.areAlike(terms) && attempt.timing == terms.timing
    }

    /// Hands the lock over to the operation that is named, if the lease is good enough for it, and others than the tasks
    /// of this client had their turn.
    ///
    /// From then on, nobody sees the owner token of this lease any more, which is the next one's. The caller tells the
    /// engine, and then begins what is next.
    func handOver(_ state: inout State, now: Instant) -> Succession? {
        guard case .possible(let next?) = state.handOver, state.loss == nil, now < state.validUntil else { return nil }
        guard block.began.nanoseconds(until: now) < engine.configuration.handOverTime.nanoseconds else { return nil }
        if let lastToken = block.lastToken, let fencingToken, fencingToken.rawValue >= lastToken,
            !isPlanted(.handedOverBeyondBlock)
        {
            return nil
        }
        let least = terms.timing.leastRemainingNanoseconds + next.terms.cancellationMarginNanoseconds
        guard now.nanoseconds(until: state.validUntil) >= least || isPlanted(.handedOverTooLate) else { return nil }
        let lease = HeldLease(takingOver: self, for: next, validUntil: state.validUntil, now: now)
        state.handOver = .done(lease)
        return Succession(of: next, under: lease)
    }

    /// Whether another task has the lock, though the engine may not have followed yet.
    var isHandedOver: Bool {
        state.withLock { if case .done = $0.handOver { true } else { false } }
    }

    /// Has the lock released when the lease ends, whoever waits for it.
    func refuseHandOver() {
        state.withLock { if case .possible = $0.handOver { $0.handOver = .refused } }
    }

    /// Has the lock released when the lease ends, or the one that it went to.
    func refuseFurtherHandOver() {
        refuseHandOver()
        if case .done(let next) = state.withLock({ $0.handOver }) { next?.refuseHandOver() }
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import Synchronization

/// Handing a lock over from one task of a client to the next, without asking any node.
///
/// The key stays as it is, under the same owner token; the next holder gets the next fencing token of the block that was
/// reserved with the grant. A grant that was handed over began, in the order of tokens, when its block was reserved.
extension LockEngine {
    /// Gives a lease that ends now to the next task that waits for its resource, if that may have it.
    ///
    /// - Returns: whether it was handed over; if not, it is to be released.
    func handOver(_ lease: HeldLease) -> Bool {
        guard let line = lease.line, line.holder === lease, let next = line.first,
            lease.mayBeHandedOver(to: next, now: surroundings.now)
        else { return false }
        keeper.remove(lease)
        lease.callEndHandlers()
        metrics.handedOver()
        grant(HeldLease(takingOver: lease, for: next, now: surroundings.now), to: next, in: line)
        return true
    }
}

extension HeldLease {
    /// Whether the lease is good enough for the next task, and others than the tasks of this client had their turn.
    ///
    /// If so, the lease is marked: from then on, nobody sees its owner token any more, which is the next one's.
    fileprivate func mayBeHandedOver(to next: AcquireOperation, now: Instant) -> Bool {
        // What an extension that is under way brings, the next would not hear of.
        guard isKept, !isLost, !isExtending, !next.terms.isFair, next.terms.areAlike(terms),
            attempt.timing == terms.timing
        else {
            return false
        }
        guard block.began.nanoseconds(until: now) < engine.configuration.handOverTime.nanoseconds else { return false }
        if let lastToken = block.lastToken, let fencingToken, fencingToken.rawValue >= lastToken,
            !isPlanted(.handedOverBeyondBlock)
        {
            return false
        }
        let least = terms.timing.leastRemainingNanoseconds + next.terms.cancellationMarginNanoseconds
        guard now.nanoseconds(until: validUntil) >= least || isPlanted(.handedOverTooLate) else { return false }
        return state.withLock { state in
            if state.handOver == .possible { state.handOver = .done }
            return state.handOver == .done
        }
    }

    /// Has the lock released when the lease ends, whoever waits for it.
    func refuseHandOver() {
        state.withLock { if $0.handOver == .possible { $0.handOver = .refused } }
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore

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
    fileprivate func mayBeHandedOver(to next: AcquireOperation, now: Instant) -> Bool {
        // Whoever has seen the owner token can release by it, and that would be somebody else's lock then.
        guard isKept, !isLost, !isOwnerTokenShown, next.terms.areAlike(terms) else { return false }
        guard block.began.nanoseconds(until: now) < engine.configuration.handOverTime.nanoseconds else { return false }
        if let fencingToken, fencingToken.rawValue >= block.lastToken, !isPlanted(.handedOverBeyondBlock) {
            return false
        }
        return now.nanoseconds(until: validUntil) >= terms.timing.leastRemainingNanoseconds
            || isPlanted(.handedOverTooLate)
    }
}

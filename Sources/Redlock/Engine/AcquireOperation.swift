// SPDX-License-Identifier: Apache-2.0

import LockCore

/// One call to acquire: it waits in the line of its resource until there is a lease, an error, or no more time.
///
/// `@unchecked Sendable`: made by the caller, and touched on the loop only from then on; but for what whoever hands a lock
/// over to it reads, which does not change any more, and the completion, which nobody else calls then.
final class AcquireOperation: @unchecked Sendable {
    /// Lets the task go on that waits; a closure would take memory of its own.
    typealias Completion = UnsafeContinuation<HeldLease, any Error>

    let engine: LockEngine
    let claim: Claim
    let terms: LeaseTerms
    let wait: WaitPolicy
    /// Whether an error about contention is to say who holds the lock.
    let namesHolder: Bool
    var isCancelled = false

    var completion: Completion?
    /// What cancels the body that is to run under the lease.
    var canceller: BodyCanceller?
    /// What the engine knows it by while it is under way.
    var number: Int?
    var begun = Instant(nanoseconds: 0)
    var deadlineTimer: (any LoopTimer)?
    /// Where it waits, as the line itself says; nil before and afterwards.
    var line: WaitingLine?
    /// Where it stands among all who want the same, on whatever node: when it came, by the clocks of the nodes; nil until
    /// these are known.
    var ticket: Int64?
    /// Whether it is among those to whom the holders hand the lock over by themselves.
    var isNamed = false

    init(_ claim: Claim, terms: LeaseTerms, wait: WaitPolicy, namesHolder: Bool, engine: LockEngine) {
        self.engine = engine
        self.claim = claim
        self.terms = terms
        self.wait = wait
        self.namesHolder = namesHolder
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import LockCore
import Synchronization

/// Handing a lock over from one task of a client to the next, without asking any node.
///
/// The key stays as it is, under the same owner token; the next holder gets the next fencing token of the block that was
/// reserved with the grant. A grant that was handed over began, in the order of tokens, when its block was reserved.
///
/// The engine names who is next, and after that one, while the lease is held. Whoever ends the lease hands it over by
/// itself, from its own thread, under the mutex of the lease, and the rest of the named with it; the engine follows. In
/// between, the former lease stands for all that came of it: it is not renewed any more, and what would end it ends the
/// last one.
extension LockEngine {
    /// Names those at the front of a line who may have the lease of this client, as many as it may be handed over to.
    func nameSuccessors(in line: WaitingLine) {
        // What an extension that is under way brings, the next would not hear of: nobody is named meanwhile.
        guard let lease = line.holder, lease.isKept, !lease.isExtending else { return }
        lease.withLast { last, state in
            guard case .possible = state.handOver else { return }
            var room = last.handOversLeft - state.successors.count
            guard room > 0 else { return }
            for operation in line.waiting where !operation.isNamed {
                guard room > 0, lease.maySuit(operation) else { return }
                operation.isNamed = true
                state.successors.append(operation)
                room -= 1
            }
        }
    }

    /// Has nobody have the lease by itself until somebody is named again.
    func takeBackSuccessors(of lease: HeldLease) {
        lease.withLast { _, state in
            for operation in state.successors { operation.isNamed = false }
            state.successors = []
        }
    }

    /// Sees to it that the lock is not handed over to an operation, so that the engine may answer it.
    ///
    /// - Returns: false if the lock has gone to it, by which it has its answer.
    func withdraw(_ operation: AcquireOperation) -> Bool {
        guard operation.isNamed, let lease = operation.line?.holder else { return true }
        var hasGone = false
        lease.withLast(passing: { if $0.operation === operation { hasGone = true } }) { _, state in
            state.successors.removeAll { $0 === operation }
        }
        return !hasGone
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
        completion?.resume(returning: lease)
    }
}

extension HeldLease {
    /// How many are named at once where there are no tokens that could be used up.
    private static let mostSuccessors = 256

    /// How many tokens are left for hand-overs; where there are none, as many as are named at once.
    fileprivate var handOversLeft: Int {
        guard let lastToken = block.lastToken, let fencingToken, !isPlanted(.handedOverBeyondBlock) else {
            return Self.mostSuccessors
        }
        return Int(lastToken - fencingToken.rawValue)
    }

    /// Whether there is no token for another hand-over.
    var isBlockUsedUp: Bool { handOversLeft == 0 }

    /// Whether the lease, as it is now, would do for another operation; asked on the loop.
    fileprivate func maySuit(_ next: AcquireOperation) -> Bool {
        terms.handsOver && !next.terms.isFair && next.terms.areAlike(terms) && attempt.timing == terms.timing
    }

    /// Hands the lock over to the first of those who are named, if the lease is good enough for it, and others than the
    /// tasks of this client had their turn.
    ///
    /// From then on, nobody sees the owner token of this lease any more, which is the next one's. The caller tells the
    /// engine, and then begins what is next.
    func handOver(_ state: inout State, now: Instant) -> Succession? {
        guard case .possible = state.handOver, let next = state.successors.first, state.loss == nil,
            now < state.validUntil
        else { return nil }
        guard block.began.nanoseconds(until: now) < engine.configuration.handOverTime.nanoseconds else { return nil }
        guard handOversLeft > 0 else { return nil }
        let least = terms.timing.leastRemainingNanoseconds + next.terms.cancellationMarginNanoseconds
        guard now.nanoseconds(until: state.validUntil) >= least || isPlanted(.handedOverTooLate) else { return nil }
        state.successors.removeFirst()
        let lease = HeldLease(
            takingOver: self,
            for: next,
            before: state.successors,
            validUntil: state.validUntil,
            now: now
        )
        state.successors = []
        let succession = Succession(of: next, under: lease)
        state.handOver = .done(succession)
        state.releaseOutcome = .released
        return succession
    }

    /// Does something with the lease that the lock has gone to by now, from this one on, and its state.
    ///
    /// - Parameter passing: told every hand-over in between.
    func withLast<Outcome>(
        passing: (Succession) -> Void = { _ in },
        _ body: (HeldLease, inout State) -> Outcome
    ) -> Outcome {
        var lease = self
        while true {
            let step = lease.state.withLock { state -> Step<Outcome> in
                if case .done(let next?) = state.handOver { return .next(next) }
                return .last(body(lease, &state))
            }
            switch step {
            case .last(let outcome): return outcome
            case .next(let next):
                passing(next)
                lease = next.lease
            }
        }
    }

    private enum Step<Outcome> {
        case last(Outcome)
        case next(Succession)
    }

    /// Whether another task has the lock, though the engine may not have followed yet.
    var isHandedOver: Bool {
        state.withLock { if case .done = $0.handOver { true } else { false } }
    }

    /// Has the lock released when the lease ends, whoever waits for it.
    func refuseHandOver() {
        state.withLock { $0.refuseHandOver() }
    }

    /// Has the lock released when the lease ends, or the last one that it went to.
    func refuseFurtherHandOver() {
        withLast { _, state in state.refuseHandOver() }
    }
}

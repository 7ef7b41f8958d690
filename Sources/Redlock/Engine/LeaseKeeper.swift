// SPDX-License-Identifier: Apache-2.0

import LockCore
import Logging
import Synchronization

/// Keeps the leases of a client: renews them in time, and says so when one is lost.
///
/// It asks no timer to be exact. While leases are kept, it looks at the continuous clock at least every 100 ms, because
/// timers stand still while the machine sleeps and validity does not.
final class LeaseKeeper {
    private static let longestTickNanoseconds: Int64 = 100_000_000

    private unowned let engine: LockEngine
    private var leases = LeaseHeap()
    private var timer: (any LoopTimer)?
    private var timerInstant = Instant(nanoseconds: .max)
    private let gridNanoseconds: Int64

    init(engine: LockEngine) {
        self.engine = engine
        gridNanoseconds = Int64(engine.surroundings.randomBits() >> 2)
    }

    var count: Int { leases.count }
    var all: [HeldLease] { leases.elements }

    func add(_ lease: HeldLease) {
        let began = lease.terms.timing.start(ofValidUntil: lease.validUntil)
        lease.nextRenewal = lease.isRenewed ? renewalInstant(lease, from: began) : Instant(nanoseconds: .max)
        lease.nextDue = min(lease.nextRenewal, lease.lossDeadline)
        leases.insert(lease)
        setTimer()
    }

    /// Forgets a lease that was released, lost or given away.
    func remove(_ lease: HeldLease) {
        lease.isRenewed = false
        leases.remove(lease)
    }

    /// Stops renewing a lease that nobody can release any more; it ends with its TTL.
    func stopRenewing(_ lease: HeldLease) {
        guard lease.isRenewed, lease.isKept else { return }
        lease.isRenewed = false
        lease.nextRenewal = Instant(nanoseconds: .max)
        reschedule(lease)
        engine.logger.warning(
            "a lease was forgotten without being released; it ends with its TTL",
            metadata: ["resource": "\(lease.resource)"]
        )
    }

    // MARK: Ticks

    private func setTimer() {
        guard let first = leases.first else { return }
        let now = engine.surroundings.now
        let nextTick =
            isPlanted(.sleepOverlooked) ? first.nextDue : now.advanced(byNanoseconds: Self.longestTickNanoseconds)
        let next = min(first.nextDue, nextTick)
        guard timer == nil || next < timerInstant else { return }
        timer?.cancel()
        timerInstant = next
        timer = engine.surroundings.schedule(at: next) { [engine] in engine.keeper.tick() }
    }

    /// Whether the keeper, which looks after the former lease until then, by itself takes over one early enough that is lost
    /// at the deadline.
    static func isInTime(for deadline: Instant, now: Instant) -> Bool {
        now.advanced(byNanoseconds: 2 * longestTickNanoseconds) < deadline
    }

    private func tick() {
        timer = nil
        engine.takeInbox()
        let now = engine.surroundings.now
        while let lease = leases.first, lease.nextDue <= now {
            if lease.isHandedOver {
                // The next one has its own deadlines, as soon as the engine has followed.
                lease.nextDue = now.advanced(byNanoseconds: Self.longestTickNanoseconds)
                leases.update(lease)
            } else if now >= lease.lossDeadline {
                lose(lease, lease.isAtHoldEnd ? .maximumHold : .expired)
            } else if lease.nextRenewal <= now, !lease.isExtending {
                renew(lease)
            } else {
                if lease.nextRenewal <= now { lease.nextRenewal = retryInstant(lease) }
                reschedule(lease)
            }
        }
        setTimer()
        engine.callIdleWaiters()
    }

    /// Moves a lease to its place after what is due for it changed.
    private func reschedule(_ lease: HeldLease) {
        lease.nextDue = min(lease.nextRenewal, lease.lossDeadline)
        leases.update(lease)
    }

    // MARK: Renewal

    /// A third of the TTL after the last grant or extension began, or somewhat earlier.
    ///
    /// Rounded down to a grid, so that many renewals share a write; the grid of each client lies elsewhere by chance,
    /// so that clients that started together do not renew together.
    private func renewalInstant(_ lease: HeldLease, from start: Instant) -> Instant {
        // The last stretch of a bounded hold needs no renewal.
        guard lease.validUntil < lease.holdEnd, !isPlanted(.neverRenewed) else { return Instant(nanoseconds: .max) }
        let third = lease.terms.timing.ttlNanoseconds / 3
        let spacing = third / 16
        let instant = start.advanced(byNanoseconds: third)
        let offset = (instant.nanoseconds - gridNanoseconds % spacing) % spacing
        return instant.advanced(byNanoseconds: -(offset < 0 ? offset + spacing : offset))
    }

    /// Often enough to get through as soon as the nodes are back, seldom enough not to press them.
    private func retryInstant(_ lease: HeldLease) -> Instant {
        engine.surroundings.now.advanced(byNanoseconds: lease.terms.timing.ttlNanoseconds / 20)
    }

    private func renew(_ lease: HeldLease) {
        let start = engine.surroundings.now
        lease.nextRenewal = Instant(nanoseconds: .max)
        reschedule(lease)
        extend(lease, timing: lease.terms.timing) { [self] decision, _ in
            guard lease.isRenewed else { return }
            switch decision {
            case .extended: lease.nextRenewal = renewalInstant(lease, from: start)
            case .inconclusive: lease.nextRenewal = retryInstant(lease)
            case .lost, .tooLate: return
            }
            reschedule(lease)
            setTimer()
        }
    }

    /// Extends a lease in one round; a round that finds it gone loses it.
    func extend(
        _ lease: HeldLease,
        timing: LeaseTiming,
        completion: @escaping ExtendExchange.Completion
    ) {
        guard lease.isKept, engine.surroundings.now < lease.validUntil else {
            completion(.tooLate, [:])
            return
        }
        countExtension(of: lease, 1)
        // The next one is renewed by itself.
        guard !lease.isHandedOver else {
            countExtension(of: lease, -1)
            completion(.tooLate, [:])
            return
        }
        // What a node holds for longer must be released for longer.
        if timing.ttlMilliseconds > lease.attempt.timing.ttlMilliseconds { lease.attempt.timing = timing }
        engine.extend(lease, timing: timing) { [self, engine] decision, problems in
            countExtension(of: lease, -1)
            guard lease.isKept else {
                completion(.tooLate, problems)
                return
            }
            switch decision {
            case .extended(let extended):
                let capped = min(extended, lease.holdEnd)
                lease.state.withLock { state in
                    state.validUntil = max(state.validUntil, capped)
                    state.problems = []
                }
                engine.metrics.extended()
                completion(.extended(validUntil: capped), problems)
            case .lost:
                note(problems, of: lease)
                lose(lease, .takenAway)
                completion(decision, problems)
                engine.callIdleWaiters()
            case .tooLate where engine.surroundings.now < lease.validUntil:
                // Another extension succeeded meanwhile.
                completion(.inconclusive, problems)
            case .tooLate:
                lose(lease, lease.isAtHoldEnd ? .maximumHold : .expired)
                completion(decision, problems)
                engine.callIdleWaiters()
            case .inconclusive:
                note(problems, of: lease)
                engine.logger.debug(
                    "lease could not be extended yet",
                    metadata: ["resource": "\(lease.resource)", "nodes": "\(engine.report(problems))"]
                )
                completion(decision, problems)
            }
        }
    }

    /// A lease is not handed over while it is extended.
    private func countExtension(of lease: HeldLease, _ change: Int) {
        lease.extensionCount += change
        guard let line = lease.line, line.holder === lease else { return }
        if lease.isExtending {
            engine.takeBackSuccessors(of: lease)
        } else {
            engine.nameSuccessors(in: line)
        }
    }

    private func note(_ problems: [Int: String], of lease: HeldLease) {
        let report = engine.report(problems)
        lease.state.withLock { $0.problems = report }
    }

    // MARK: Loss

    /// Ends a lease that its holder still relies on; nothing brings it back.
    func lose(_ lease: HeldLease, _ reason: LossReason) {
        guard lease.isKept else { return }
        let last = lease.withLast { last, state in
            if last === lease || !state.isReleased {
                state.loss = reason
            } else {
                // Its release is on its way: nobody is to have the lock after it.
                state.refuseHandOver()
            }
            return last
        }
        if last !== lease {
            // It has ended in time, and the one that it went to is lost; the engine says so when it follows.
            if !isPlanted(.lossNotTold) { last.canceller?.cancel() }
            return
        }
        remove(lease)
        if !isPlanted(.lossNotTold) { lease.canceller?.cancel() }
        lease.callEndHandlers()
        engine.leaseLost(lease, reason)
        engine.vacate(lease)
    }

    /// Ends every lease at once.
    func loseAll(_ reason: LossReason) {
        for lease in all { lose(lease, reason) }
        engine.callIdleWaiters()
    }
}

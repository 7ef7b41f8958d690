// SPDX-License-Identifier: Apache-2.0

import LockCore
import Synchronization

extension LockEngine {
    /// Ends the engine in good order; see `RedlockClient.shutdown`.
    func shutDown(graceNanoseconds: Int64, completion: @escaping () -> Void) {
        refuseWork()
        let graceEnd = surroundings.now.advanced(byNanoseconds: graceNanoseconds)
        whenIdle(until: graceEnd) { [self] in
            let longestLife = keeper.all.map(\.validUntil).max() ?? surroundings.now
            for lease in keeper.all { endForShutdown(lease) }
            let answersEnd = surroundings.now.advanced(byNanoseconds: configuration.nodeTimeout.nanoseconds * 2)
            whenIdle(until: max(longestLife, answersEnd)) { [self] in
                disconnect()
                completion()
            }
        }
    }

    /// Ends the engine at once: nobody is left who could wait for it.
    func end() {
        refuseWork()
        for lease in keeper.all { keeper.lose(lease, .shutDown) }
        disconnect()
    }

    /// Ends a lease that its holder still relies on, as the client is shut down.
    func endForShutdown(_ lease: HeldLease) {
        keeper.lose(lease, .shutDown)
        // What runs under a lease ends before it is released; a lease without a body ends here.
        guard !lease.hasBody, !lease.isHandedOver else { return }
        lease.state.withLock { $0.isReleased = true }
        release(lease) {}
    }

    private func disconnect() {
        // Whoever waited gives up its place.
        flush()
        admission.stop()
        surroundings.disconnect()
        events.close()
    }

    private func refuseWork() {
        isShuttingDown = true
        parkedLines = []
        deferredAttempts.removeAll()
        resumeThoseWhoWaitForNodes()
        for operation in acquisitions.inOrder { fail(operation, RedlockError.shutDown) }
    }

    // MARK: Idleness

    /// Calls back when no lease is kept, no body runs under a lease and no release waits for its quorum; or when the
    /// time is over.
    private func whenIdle(until deadline: Instant, _ completion: @escaping () -> Void) {
        let waiter = IdleWaiter(completion: completion)
        waiter.timer = surroundings.schedule(at: deadline) { [unowned self] in
            idleWaiters.removeAll { $0 === waiter }
            waiter.complete()
        }
        idleWaiters.append(waiter)
        callIdleWaiters()
    }

    func callIdleWaiters() {
        guard !idleWaiters.isEmpty, keeper.count == 0, bodyCount == 0, releaseCount == 0 else { return }
        let waiters = idleWaiters
        idleWaiters = []
        for waiter in waiters { waiter.complete() }
    }
}

/// Somebody who waits for the engine to have nothing left to do.
final class IdleWaiter {
    var timer: (any LoopTimer)?
    private var completion: (() -> Void)?

    init(completion: @escaping () -> Void) {
        self.completion = completion
    }

    func complete() {
        timer?.cancel()
        let completion = self.completion
        self.completion = nil
        completion?()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport
import Synchronization

extension LockEngine {
    /// Ends the engine in good order; see `RedlockClient.shutdown`.
    func shutDown(graceNanoseconds: Int64, completion: @escaping () -> Void) {
        refuseWork()
        let graceEnd = surroundings.now.advanced(byNanoseconds: graceNanoseconds)
        whenIdle(until: graceEnd) { [self] in
            let longestLife = keeper.all.map(\.validUntil).max() ?? surroundings.now
            for lease in keeper.all { endForShutdown(lease) }
            let answersEnd = surroundings.now.advanced(byNanoseconds: nodeTimeoutNanoseconds * 2)
            whenIdle(until: max(longestLife, answersEnd)) { [self] in
                whenAnswered { [self] in
                    disconnect()
                    completion()
                }
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

    /// Calls back when the nodes have answered all that they were sent, or will answer no more.
    ///
    /// A release has its quorum before the others have read theirs, and a connection that is closed while answers are on
    /// their way takes with it what its node has not read: the key would live on there.
    private func whenAnswered(_ completion: @escaping () -> Void) {
        var nodes = connectedNodes
        for node in nodes where !admission.replies[node].isAwaiting { nodes.remove(node) }
        guard !nodes.isEmpty else { return completion() }
        send(.time, to: nodes, receiver: Farewell(to: nodes, completion))
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

/// The last question to every node: whoever answers it has answered all that came before.
private final class Farewell: ReplyReceiver {
    private var nodes: NodeSet
    private let completion: () -> Void

    init(to nodes: NodeSet, _ completion: @escaping () -> Void) {
        self.nodes = nodes
        self.completion = completion
    }

    func received(_ reply: RESPValue, from node: Int) { heard(node) }

    func failed(_ failure: NodeFailure, at node: Int) { heard(node) }

    private func heard(_ node: Int) {
        nodes.remove(node)
        if nodes.isEmpty { completion() }
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

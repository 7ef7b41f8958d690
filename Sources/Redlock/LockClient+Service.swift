// SPDX-License-Identifier: Apache-2.0

internal import ServiceLifecycle

extension LockClient {
    /// Waits for the graceful shutdown of the application or the cancellation of the task, and shuts the client down.
    ///
    /// A client can be one of the services of an application: it needs no run to work, and ends with the others.
    public func run() async throws {
        try? await gracefulShutdown()
        await shutdown(graceTime: .seconds(10))
    }

    /// Shuts the client down: refuses new work, ends what still waits for a lock, lets the leases that are held end by
    /// themselves for the grace time, and releases the rest.
    ///
    /// The body of a `withLock` that goes on beyond the grace time is cancelled; its lock is released after it has
    /// ended, and this waits for that as long as the lock could live. Detached leases stay.
    ///
    /// Returns when the nodes have answered all that they were sent, or a node timeout is over: a process that ends sooner may
    /// leave locks that it released on nodes which had not read that yet, for their TTL.
    ///
    /// - Parameter graceTime: how long leases may go on.
    public func shutdown(graceTime: Duration = .zero) async {
        await core.shutdown(graceTime: graceTime)
    }
}

extension LockClientCore {
    func shutdown(graceTime: Duration) async {
        let engine = self.engine
        await withCheckedContinuation { continuation in
            engine.submit { engine in
                engine.shutDown(graceNanoseconds: max(.zero, graceTime).nanoseconds) { continuation.resume() }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

extension LockClient {
    /// Runs tasks on the event loop of this client, so that they ask for a lock, and go on once they have it, without a change
    /// of threads.
    ///
    /// A change of threads takes about as long as a round trip to a server nearby. Where that counts, prefer this executor:
    ///
    ///     try await withTaskExecutorPreference(client.taskExecutor) {
    ///         try await client.withLock("account/7") { lease in … }
    ///     }
    ///
    /// It is for short work that waits rather than computes: while such a task computes or blocks, the client can neither
    /// hear the nodes nor renew a lease, and all tasks of one client share one thread. A task on it ends before the event
    /// loop is shut down, or never.
    public var taskExecutor: any TaskExecutor { core.taskExecutor }
}

/// Runs the jobs of tasks on an event loop, between everything else that happens there.
final class EventLoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

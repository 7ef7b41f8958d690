// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

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
///
/// An event loop does not look at its sockets while there is something to run at once, and jobs that call for each other
/// would keep it from that for as long as they go on: no reply would be read. So every few milliseconds they wait for a
/// moment in which the loop has nothing else to do.
final class EventLoopTaskExecutor: TaskExecutor {
    private struct State {
        /// Until when jobs may follow each other.
        var stretchEnd = NIODeadline.uptimeNanoseconds(0)
        var isPausing = false
        var waiting: [UnownedJob] = []
    }

    private enum Step {
        case run
        case wait
        case pause
    }

    /// Longer than what else the loop has to do at once, as a rule; if it is not, the next pause will be.
    private static let pause = TimeAmount.microseconds(50)

    private let eventLoop: any EventLoop
    private let stretch: TimeAmount
    private let state = Mutex(State())

    init(_ eventLoop: any EventLoop, stretch: TimeAmount = .milliseconds(5)) {
        self.eventLoop = eventLoop
        self.stretch = stretch
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        switch state.withLock({ step(for: job, &$0) }) {
        case .run: eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        case .wait: break
        case .pause: eventLoop.scheduleTask(in: Self.pause) { self.goOn() }
        }
    }

    private func step(for job: UnownedJob, _ state: inout State) -> Step {
        if !state.isPausing {
            // One that comes from elsewhere does not follow another.
            guard eventLoop.inEventLoop, NIODeadline.now() >= state.stretchEnd else { return .run }
            state.isPausing = true
            state.waiting.append(job)
            return .pause
        }
        state.waiting.append(job)
        return .wait
    }

    private func goOn() {
        let jobs = state.withLock { state in
            state.isPausing = false
            state.stretchEnd = .now() + stretch
            defer { state.waiting = [] }
            return state.waiting
        }
        for job in jobs { job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Runs the tasks of one simulated process: every step from one suspension to the next is an event of its world.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
package final class SimulatedExecutor: TaskExecutor, @unchecked Sendable {
    private unowned let process: SimulatedProcess

    init(process: SimulatedProcess) {
        self.process = process
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        process.runSoon { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

// SPDX-License-Identifier: Apache-2.0

package import LockCore

/// Runs the tasks of one simulated process: every step from one suspension to the next is an event of its world.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
package final class SimulatedExecutor: TaskExecutor, @unchecked Sendable {
    private unowned let process: SimulatedProcess
    /// When the step that runs now could have begun, by the continuous clock.
    package private(set) var stepBegan: Instant

    init(process: SimulatedProcess) {
        self.process = process
        stepBegan = process.now
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let now = process.now
        process.runSoon { [self] in
            stepBegan = now
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What an elector needs besides the client: real by default, simulated where elections are proved.
package struct ElectionSurroundings: Sendable {
    /// Waits, and ends early if the task is cancelled.
    package let sleep: @Sendable (Duration) async throws -> Void
    /// The clock by which terms end.
    package let now: @Sendable () -> ContinuousClock.Instant
    /// Where tasks of its own run; wherever the runtime puts them if nil.
    package let executor: (any TaskExecutor)?
    /// A number from 0 to 1, by which candidates do not come all at once.
    package let chance: @Sendable () -> Double

    package init(
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        executor: (any TaskExecutor)? = nil,
        chance: @escaping @Sendable () -> Double = { .random(in: 0...1) }
    ) {
        self.sleep = sleep
        self.now = now
        self.executor = executor
        self.chance = chance
    }

    func sleep(for duration: Duration) async throws {
        try await sleep(duration)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What an elector needs besides the client: real by default, simulated where elections are proved.
package struct ElectionSurroundings: Sendable {
    /// Its pauses are measured by it.
    package let clock: any Clock<Duration>
    package let now: @Sendable () -> ContinuousClock.Instant
    /// A number from 0 to 1, by which candidates do not come all at once.
    package let chance: @Sendable () -> Double

    package init(
        clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        chance: @escaping @Sendable () -> Double = { .random(in: 0...1) }
    ) {
        self.clock = clock
        self.now = now
        self.chance = chance
    }

    func sleep(for duration: Duration) async throws {
        try await clock.sleep(for: duration)
    }
}

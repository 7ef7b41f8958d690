// SPDX-License-Identifier: Apache-2.0

/// The times by which a command whose lock ends must be told, and killed.
struct LossDeadlines: Equatable, Sendable {
    /// How long before the end of validity the command is told.
    let margin: Duration
    /// How long before the end of validity it is killed at the latest: time for the system to do it.
    let safety: Duration
    /// How often to look whether the end of validity has moved.
    let checkInterval: Duration
    /// How long the command may take between the two, if there is that much.
    let killAfter: Duration

    /// More than a third of the TTL is never taken: renewal needs room to fail once and succeed.
    init(ttl: Duration, killAfter: Duration, maximumHold: Duration? = nil) {
        let largest = min(ttl, maximumHold ?? ttl) / 3
        safety = min(.milliseconds(100), largest / 4)
        margin = min(killAfter + safety, largest)
        // Renewal moves it on at a third of the TTL.
        checkInterval = ttl / 6
        self.killAfter = killAfter
    }

    /// When to kill, if the command is told at `now`.
    func killTime(
        toldAt now: ContinuousClock.Instant,
        validUntil: ContinuousClock.Instant
    ) -> ContinuousClock.Instant {
        min(now + killAfter, validUntil - safety)
    }
}

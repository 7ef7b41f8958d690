// SPDX-License-Identifier: Apache-2.0

/// A clock that may run fast or slow, be set, or stand still, whatever true time does.
package struct SimulatedClock {
    private var since: Int64
    private var reading: Int64
    /// By how much it is too fast, in parts per million; negative if it is too slow.
    package private(set) var rate: Int64
    /// Whether it stands still.
    package private(set) var isFrozen = false

    /// A clock that shows a reading now.
    package init(reading: Int64, rate: Int64 = 0, at now: Int64) {
        self.reading = reading
        self.since = now
        self.rate = rate
    }

    /// What it shows, in nanoseconds.
    package func read(at now: Int64) -> Int64 {
        guard !isFrozen else { return reading }
        let elapsed = now - since
        return reading + elapsed + elapsed / 1_000_000 * rate + elapsed % 1_000_000 * rate / 1_000_000
    }

    /// When it will show a reading, if nothing is done to it; nil if never, because it stands still.
    package func time(ofReading target: Int64, from now: Int64) -> Int64? {
        let missing = target - read(at: now)
        guard missing > 0 else { return now }
        guard !isFrozen else { return nil }
        // Rounded up, and a little more for the remainders that were dropped.
        return now + missing - missing / (1_000_000 + rate) * rate + abs(rate) / 1_000 + 2
    }

    /// Sets it forward, or back.
    package mutating func step(by nanoseconds: Int64, at now: Int64) {
        rebase(at: now)
        reading += nanoseconds
    }

    /// Changes by how much it is too fast.
    package mutating func setRate(_ rate: Int64, at now: Int64) {
        rebase(at: now)
        self.rate = rate
    }

    /// Lets it stand still, or go on.
    package mutating func setFrozen(_ isFrozen: Bool, at now: Int64) {
        rebase(at: now)
        self.isFrozen = isFrozen
    }

    private mutating func rebase(at now: Int64) {
        reading = read(at: now)
        since = now
    }
}

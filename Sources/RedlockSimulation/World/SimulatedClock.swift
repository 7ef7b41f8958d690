// SPDX-License-Identifier: Apache-2.0

/// A clock that may run fast or slow, be set, or stand still, whatever true time does.
package struct SimulatedClock {
    /// How a clock wanders that something keeps near true time: too fast for a while, then too slow, and so on.
    package struct Wander {
        /// By how much it is too fast or too slow, in parts per million.
        private let rate: Int64
        private let quarter: Int64
        private let phase: Int64

        /// A clock that is too fast or too slow by a rate, in parts per million, and never off by more than a distance.
        ///
        /// - Parameter phase: where in its wandering it is at the beginning, in nanoseconds.
        package init(rate: Int64, furthest: Int64, phase: Int64) {
            self.rate = rate
            quarter = rate > 0 ? max(1, furthest / rate * 1_000_000) : 0
            self.phase = phase
        }

        /// How far off it is.
        fileprivate func distance(at now: Int64) -> Int64 {
            guard rate > 0 else { return 0 }
            let place = (now + phase) % (4 * quarter)
            let way = place < 2 * quarter ? place - quarter : 3 * quarter - place
            return way * rate / 1_000_000
        }
    }

    private var since: Int64
    private var reading: Int64
    private let wander: Wander?
    /// How far off it had wandered by then.
    private var wanderedBefore: Int64
    /// By how much it is too fast besides, in parts per million.
    package private(set) var rate: Int64 = 0
    /// Whether it stands still.
    package private(set) var isFrozen = false

    /// A clock that shows a reading now.
    package init(reading: Int64, wander: Wander? = nil, at now: Int64) {
        self.reading = reading
        self.since = now
        self.wander = wander
        wanderedBefore = wander?.distance(at: now) ?? 0
    }

    /// What it shows, in nanoseconds.
    package func read(at now: Int64) -> Int64 {
        guard !isFrozen else { return reading }
        let elapsed = now - since
        let wandered = (wander?.distance(at: now) ?? 0) - wanderedBefore
        let tooFast = rate == 0 ? 0 : elapsed / 1_000_000 * rate
        return reading + elapsed + tooFast + wandered
    }

    /// About when it will show a reading; nil if never, because it stands still.
    package func time(ofReading target: Int64, from now: Int64) -> Int64? {
        let missing = target - read(at: now)
        guard missing > 0 else { return now }
        guard !isFrozen else { return nil }
        var time = now + missing
        // It is too fast or too slow by a part of the distance, so that what is missing soon is nothing.
        for _ in 0..<8 {
            let error = target - read(at: time)
            guard error != 0 else { break }
            time += error
        }
        return max(now, time)
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
        wanderedBefore = wander?.distance(at: now) ?? 0
    }
}

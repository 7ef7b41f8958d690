// SPDX-License-Identifier: Apache-2.0

import LockCore

/// What a Redis server does with the key of one lock, on a clock of its own rate.
struct SimulatedNode {
    /// Nanoseconds of the node for each million of real time.
    var rate: Int64 = 1_000_000
    private var key: (ownerToken: Int, expiry: Int64)?

    private func time(at now: Instant) -> Int64 {
        now.nanoseconds / 1_000_000 * rate + now.nanoseconds % 1_000_000
    }

    private func holder(at now: Instant) -> Int? {
        key.flatMap { time(at: now) < $0.expiry ? $0.ownerToken : nil }
    }

    mutating func acquire(_ ownerToken: Int, ttlNanoseconds: Int64, at now: Instant) -> AcquireRound.Answer {
        guard holder(at: now) == nil else { return .held }
        key = (ownerToken, time(at: now) + ttlNanoseconds)
        return .granted(token: nil)
    }

    mutating func extend(_ ownerToken: Int, ttlNanoseconds: Int64, at now: Instant) -> ExtendRound.Answer {
        guard let holder = holder(at: now), let expiry = key?.expiry else { return .missing }
        guard holder == ownerToken else { return .foreign }
        key = (ownerToken, max(expiry, time(at: now) + ttlNanoseconds))
        return .stillMine
    }

    mutating func release(_ ownerToken: Int, at now: Instant) -> ReleaseRound.Answer {
        guard holder(at: now) == ownerToken else { return .notHeld }
        key = nil
        return .deleted
    }
}

/// Things that happen at a time, taken out in that order.
struct Agenda<Event> {
    /// The next one stands last; of equal times, the one that was added first.
    private var events: [(time: Instant, event: Event)] = []

    mutating func add(_ event: Event, at time: Instant) {
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if time < events[middle].time { low = middle + 1 } else { high = middle }
        }
        events.insert((time, event), at: low)
    }

    mutating func next() -> (time: Instant, event: Event)? {
        events.popLast()
    }
}

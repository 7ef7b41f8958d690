// SPDX-License-Identifier: Apache-2.0

/// How far the clocks of nodes and clients may run apart while a lease lasts.
package struct ClockDrift: Hashable, Sendable {
    /// The part of the TTL that is set aside for clocks that run at different rates, in parts per million.
    package var rate: Int64

    /// What is set aside besides, whatever the TTL: the precision of expiry in Redis and one millisecond more.
    package var constantNanoseconds: Int64

    /// A drift of the given rate, in parts per million, and the given constant.
    package init(rate: Int64, constantNanoseconds: Int64) {
        self.rate = rate
        self.constantNanoseconds = constantNanoseconds
    }

    /// 1 % of the TTL and 2 ms: the customary bound, ample for clocks that ntpd slews.
    package static let standard = ClockDrift(rate: 10_000, constantNanoseconds: 2_000_000)

    /// 16 % of the TTL and 2 ms: enough where chrony slews with its defaults, by up to 8.3 % on either side.
    package static let strict = ClockDrift(rate: 160_000, constantNanoseconds: 2_000_000)

    /// What is taken off a TTL of the given length.
    package func nanoseconds(forTTLNanoseconds ttl: Int64) -> Int64 {
        let (scaled, overflow) = ttl.multipliedReportingOverflow(by: rate)
        let share = overflow ? ttl / 1_000_000 * rate : scaled / 1_000_000
        return share + constantNanoseconds
    }
}

/// The times of one lease: what is asked of the nodes and what the holder may count on.
package struct LeaseTiming: Hashable, Sendable {
    /// TTL: what the nodes are asked for; whole milliseconds, as Redis counts.
    package let ttlMilliseconds: Int64

    /// What is set aside for clocks that run apart.
    package let driftNanoseconds: Int64

    /// The times of a lease of the given TTL.
    package init(ttlMilliseconds: Int64, drift: ClockDrift) {
        self.ttlMilliseconds = ttlMilliseconds
        self.driftNanoseconds = drift.nanoseconds(forTTLNanoseconds: ttlMilliseconds * 1_000_000)
    }

    /// The TTL in nanoseconds.
    package var ttlNanoseconds: Int64 { ttlMilliseconds * 1_000_000 }

    /// How long the holder may count on a round that began at `start`.
    ///
    /// `start` is read before the first byte is handed to the transport: no node can have set its key earlier.
    package func validUntil(start: Instant) -> Instant {
        start.advanced(byNanoseconds: ttlNanoseconds - (isPlanted(.driftForgotten) ? 0 : driftNanoseconds))
    }

    /// When the round began that a holder may count on until then.
    package func start(ofValidUntil validUntil: Instant) -> Instant {
        validUntil.advanced(byNanoseconds: driftNanoseconds - ttlNanoseconds)
    }

    /// The least that must be left of a lease when it is granted: half the TTL.
    package var leastRemainingNanoseconds: Int64 { ttlNanoseconds / 2 }

    /// By when no node can hold a key any more that a command sent at `sent` has set or will yet set, if the node
    /// carried it out no later than `delayNanoseconds` after it was sent.
    package func surelyExpired(sent: Instant, delayNanoseconds: Int64) -> Instant {
        // One after the other: the instant stays at the last one there is where the sum would overflow.
        sent.advanced(byNanoseconds: ttlNanoseconds)
            .advanced(byNanoseconds: driftNanoseconds)
            .advanced(byNanoseconds: delayNanoseconds)
    }
}

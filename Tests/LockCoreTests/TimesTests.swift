// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@Suite
struct InstantTests {
    @Test
    func advancesAndMeasures() {
        let start = Instant(nanoseconds: 1_000)
        let later = start.advanced(byNanoseconds: 234)
        #expect(later == Instant(nanoseconds: 1_234))
        #expect(start.nanoseconds(until: later) == 234)
        #expect(later.nanoseconds(until: start) == -234)
        #expect(start < later && !(later < start) && !(start < start))
        #expect(later.advanced(byNanoseconds: -234) == start)
    }

    @Test
    func staysAtTheEndsRatherThanOverflow() {
        #expect(Instant(nanoseconds: .max - 1).advanced(byNanoseconds: 2) == Instant(nanoseconds: .max))
        #expect(Instant(nanoseconds: .max).advanced(byNanoseconds: .max) == Instant(nanoseconds: .max))
        #expect(Instant(nanoseconds: .min + 1).advanced(byNanoseconds: -2) == Instant(nanoseconds: .min))
        #expect(Instant(nanoseconds: .min).advanced(byNanoseconds: .min) == Instant(nanoseconds: .min))
        #expect(Instant(nanoseconds: .max).advanced(byNanoseconds: -1) == Instant(nanoseconds: .max - 1))
    }

    @Test
    func measuringStaysAtTheEndsToo() {
        let (first, last) = (Instant(nanoseconds: .min), Instant(nanoseconds: .max))
        #expect(first.nanoseconds(until: last) == .max)
        #expect(last.nanoseconds(until: first) == .min)
        #expect(Instant(nanoseconds: -1).nanoseconds(until: last) == .max)
        #expect(last.nanoseconds(until: last) == 0)
    }
}

@Suite
struct LeaseTimingTests {
    /// TTL x 0.01 + 2 ms, the drift of the published algorithm.
    @Test(arguments: [(10_000, 102.0), (1_000, 12.0), (30_000, 302.0), (1, 2.01), (100, 3.0), (86_400_000, 864_002.0)])
    func driftIsThePublishedOne(ttlMilliseconds: Int64, driftMilliseconds: Double) {
        let timing = LeaseTiming(ttlMilliseconds: ttlMilliseconds, drift: .standard)
        #expect(timing.driftNanoseconds == Int64((driftMilliseconds * 1_000_000).rounded()))
    }

    /// The client's clock is slewed one way and a node's the other, each by 8.3 %: the lease ends before the key does.
    @Test(arguments: [1_000, 10_000, 30_000, 86_400_000] as [Int64])
    func strictDriftOutlastsClocksThatAreSlewed(ttlMilliseconds: Int64) {
        let slewed = 1.0 / 12
        func leaseEndsInTime(_ drift: ClockDrift) -> Bool {
            let timing = LeaseTiming(ttlMilliseconds: ttlMilliseconds, drift: drift)
            let validity = Double(timing.ttlNanoseconds - timing.driftNanoseconds)
            return validity / (1 - slewed) < Double(timing.ttlNanoseconds) / (1 + slewed)
        }
        #expect(leaseEndsInTime(.strict))
        #expect(!leaseEndsInTime(.standard))
        let drift = LeaseTiming(ttlMilliseconds: ttlMilliseconds, drift: .strict).driftNanoseconds
        #expect(drift == ttlMilliseconds * 160_000 + 2_000_000)
    }

    @Test
    func validityIsTheTTLLessTheDriftFromTheStart() {
        let timing = LeaseTiming(ttlMilliseconds: 10_000, drift: .standard)
        let start = Instant(nanoseconds: 5_000_000_000)
        #expect(timing.ttlNanoseconds == 10_000_000_000)
        #expect(timing.validUntil(start: start) == Instant(nanoseconds: 5_000_000_000 + 9_898_000_000))
        #expect(timing.leastRemainingNanoseconds == 5_000_000_000)
        #expect(timing.surelyExpired(sent: start, delayNanoseconds: 7) == Instant(nanoseconds: 15_102_000_007))
    }

    /// Shorter than the constant part of the drift: such a lease is over before it began, and is never granted.
    @Test
    func tinyTTLIsNeverValid() {
        let timing = LeaseTiming(ttlMilliseconds: 2, drift: .standard)
        let start = Instant(nanoseconds: 0)
        #expect(timing.validUntil(start: start) < start)
        var round = AcquireRound(quorum: Quorum(majorityOf: 1), timing: timing, start: start)
        #expect(round.decision(after: .granted(token: nil), by: 0, at: start) == .failed(.tooSlow))
    }

    @Test
    func hugeTTLDoesNotOverflow() {
        let longest = Int64.max / 1_000_000
        for drift in [ClockDrift.standard, ClockDrift(rate: 160_000, constantNanoseconds: 2_000_000)] {
            let timing = LeaseTiming(ttlMilliseconds: longest, drift: drift)
            let exact = Double(timing.ttlNanoseconds) * Double(drift.rate) / 1_000_000
            #expect(abs(Double(timing.driftNanoseconds) - exact) / exact < 0.000_001)
            #expect(timing.validUntil(start: Instant(nanoseconds: .max)) == Instant(nanoseconds: .max))
            let expired = timing.surelyExpired(sent: Instant(nanoseconds: 0), delayNanoseconds: 0)
            #expect(expired == Instant(nanoseconds: .max) || expired.nanoseconds > timing.ttlNanoseconds)
        }
        #expect(ClockDrift.standard.nanoseconds(forTTLNanoseconds: .max) > Int64.max / 101)
    }

    @Test
    func driftGrowsWithTheTTLAlsoWhereTheArithmeticChanges() {
        // Beyond this TTL the product of TTL and rate no longer fits 64 bits.
        let edge = Int64.max / ClockDrift.standard.rate
        let before = ClockDrift.standard.nanoseconds(forTTLNanoseconds: edge)
        let after = ClockDrift.standard.nanoseconds(forTTLNanoseconds: edge + 1)
        #expect(abs(after - before) <= ClockDrift.standard.rate)
    }
}

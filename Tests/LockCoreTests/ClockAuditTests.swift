// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting
import Testing

@Suite
struct ClockAuditTests {
    private static let microsecond: Int64 = 1_000
    private static let millisecond: Int64 = 1_000_000
    private static let second: Int64 = 1_000_000_000
    private static let epochMicroseconds: Int64 = 1_767_225_600_000_000

    /// A reading of a server's clock that has run on by so much since the beginning.
    private func sample(sent: Int64, roundTrip: Int64 = 0, serverMicroseconds: Int64) -> ClockSample {
        ClockSample(
            sent: Instant(nanoseconds: sent),
            received: Instant(nanoseconds: sent + roundTrip),
            serverMicroseconds: Self.epochMicroseconds + serverMicroseconds
        )
    }

    // MARK: What agrees

    /// As fast and as slow as the drift allows, read now and then.
    ///
    /// Questions and answers are quick or slow, and some are sent before the answer to the last one is there.
    @Test(arguments: [(ClockDrift.standard, 10_000), (.strict, 160_000)] as [(ClockDrift, Int64)])
    func clocksWithinTheDriftAgree(drift: ClockDrift, partsPerMillion: Int64) {
        var random = SeededRandom(seed: 40)
        for rate in [-partsPerMillion, -partsPerMillion / 2, 0, 1, partsPerMillion] {
            var audit = ClockAudit(drift: drift)
            var now: Int64 = 5 * Self.second
            var read = now
            var received = now
            for _ in 0..<4_000 {
                let longest = Int64.random(in: 0..<10, using: &random) == 0 ? 5 * Self.second : 10 * Self.millisecond
                now += Int64.random(in: 0...longest, using: &random)
                read = max(read, now + Int64.random(in: 0...50 * Self.millisecond, using: &random))
                received = max(received, read + Int64.random(in: 0...50 * Self.millisecond, using: &random))
                let server = read / Self.microsecond * (1_000_000 + rate) / 1_000_000
                let sample = sample(sent: now, roundTrip: received - now, serverMicroseconds: server)
                if let deviation = audit.read(sample) { return recordIssue("\(rate) ppm: \(deviation) at \(now)") }
                guard audit.lastRead == sample.received else { return recordIssue("not read at \(now)") }
            }
        }
    }

    /// The client's clock stood still for 2,900 to 3,100 ms, as the others showed: this server's is expected to have
    /// gone on likewise, and is found out if it has not.
    @Test
    func clockThatWentOnLikeTheOthersAgreesWhereTheClientsStoodStill() {
        let common = ClockDeviation(range: 2_900 * Self.millisecond...3_100 * Self.millisecond)
        for (stoodStillMicroseconds, agrees) in [
            (2_880_000, false), (2_900_000, true), (3_000_000, true), (3_100_000, true), (3_130_000, false),
            (0, false), (33_000_000, false),
        ] as [(Int64, Bool)] {
            var audit = ClockAudit(drift: ClockDrift(rate: 0, constantNanoseconds: 2_000_000))
            #expect(audit.read(sample(sent: 0, serverMicroseconds: 0)) == nil)
            audit.advance(by: common)
            let reading = sample(sent: Self.second, serverMicroseconds: 1_000_000 + stoodStillMicroseconds)
            #expect((audit.read(reading) == nil) == agrees, "stood still for \(stoodStillMicroseconds) µs")
        }
    }

    @Test
    func firstReadingHasNothingToDisagreeWith() {
        var audit = ClockAudit(drift: .standard)
        #expect(audit.lastRead == nil)
        #expect(audit.read(sample(sent: 7, roundTrip: 2, serverMicroseconds: -1)) == nil)
        #expect(audit.lastRead == Instant(nanoseconds: 9))
    }

    // MARK: Jumps

    /// The client's clock advanced by 990 to 1,050 ms, and the tolerance is 2 ms and 1 % of the longer.
    @Test
    func jumpsAreFoundFromJustAboveTheTolerance() {
        let tolerance: Int64 = 2_000 + 10_500
        for (advanced, isFound) in [
            (1_050_000 + tolerance, false), (1_050_000 + tolerance + 1, true),
            (990_000 - tolerance, false), (990_000 - tolerance - 1, true),
            (3_600_000_000, true), (-3_600_000_000, true), (0, true), (1_020_000, false),
        ] {
            var audit = ClockAudit(drift: .standard)
            _ = audit.read(sample(sent: 0, roundTrip: 10 * Self.millisecond, serverMicroseconds: 0))
            let sample = sample(sent: Self.second, roundTrip: 50 * Self.millisecond, serverMicroseconds: advanced)
            guard let deviation = audit.read(sample) else {
                #expect(!isFound, "advanced by \(advanced) µs")
                continue
            }
            #expect(isFound, "advanced by \(advanced) µs")
            let least = (advanced - 1_050_000 - tolerance) * Self.microsecond
            let most = (advanced - 990_000 + tolerance) * Self.microsecond
            #expect(deviation.range == least...most)
            #expect(deviation.milliseconds == (advanced - 1_020_000) / 1_000)
            #expect(audit.lastRead == Instant(nanoseconds: 10 * Self.millisecond), "it did not agree since")
        }
    }

    /// Until whoever found it begins anew, nothing agrees with a clock that has jumped.
    @Test
    func jumpIsNotForgotten() {
        var audit = ClockAudit(drift: .standard)
        _ = audit.read(sample(sent: 0, serverMicroseconds: 0))
        for time: Int64 in 1...10 {
            let jumped = sample(sent: time * Self.second, serverMicroseconds: time * 1_000_000 + 500_000)
            #expect(audit.read(jumped) != nil)
        }
        audit.restart(at: sample(sent: 11 * Self.second, serverMicroseconds: 11_500_000))
        #expect(audit.lastRead == Instant(nanoseconds: 11 * Self.second))
        #expect(audit.read(sample(sent: 12 * Self.second, serverMicroseconds: 12_500_000)) == nil)
        #expect(audit.read(sample(sent: 12 * Self.second, serverMicroseconds: 12_000_000)) != nil)
    }

    /// What may have drifted is counted over seconds, not since the connection was made.
    @Test
    func jumpIsFoundAfterHoursAsWell() {
        var audit = ClockAudit(drift: .standard)
        for time: Int64 in 0...4 * 3_600 {
            guard audit.read(sample(sent: time * Self.second, serverMicroseconds: time * 1_000_000)) == nil else {
                return recordIssue("a clock that is right deviates after \(time) s")
            }
        }
        let end: Int64 = 4 * 3_600 + 1
        #expect(audit.read(sample(sent: end * Self.second, serverMicroseconds: end * 1_000_000 + 40_000)) != nil)
        #expect(audit.read(sample(sent: end * Self.second, serverMicroseconds: end * 1_000_000 - 40_000)) != nil)
    }

    // MARK: Rates

    /// After how many readings, one each millisecond with round trips of one, the clock is found; nil if never.
    private func readingsUntilFound(
        partsPerMillion: Int64,
        drift: ClockDrift,
        seconds: Int64,
        comparingNeighbours: Bool = false
    ) -> Int64? {
        var audit = ClockAudit(drift: drift)
        return (0..<seconds * 1_000).first { reading in
            let server = reading * 1_000 + reading * partsPerMillion / 1_000
            let sample = sample(
                sent: reading * Self.millisecond,
                roundTrip: Self.millisecond,
                serverMicroseconds: server
            )
            let isFound = audit.read(sample) != nil
            if comparingNeighbours { audit.restart(at: sample) }
            return isFound
        }
    }

    /// What it gains must exceed the tolerance and the round trip: 3 ms at twice the rate that is allowed takes 0.3 s.
    @Test(arguments: [20_000, -20_000, 100_000, -100_000, 12_000, -12_000] as [Int64])
    func clockOfTheWrongRateIsFoundSoon(partsPerMillion: Int64) {
        let readings = readingsUntilFound(partsPerMillion: partsPerMillion, drift: .standard, seconds: 5)
        let excess = partsPerMillion.magnitude - 10_000
        // 3 ms of gain, and a few readings for what is rounded.
        #expect((readings ?? .max) <= Int64(3_100_000_000 / excess / 1_000) + 5, "\(String(describing: readings))")
    }

    /// Compared with the reading before, ten times the rate that is allowed hides behind the round trips for ever.
    @Test
    func controlComparingNeighboursOnly() {
        for partsPerMillion: Int64 in [20_000, -20_000, 100_000, 1_000_000] {
            let readings = readingsUntilFound(
                partsPerMillion: partsPerMillion,
                drift: .standard,
                seconds: 20,
                comparingNeighbours: true
            )
            #expect(readings == nil, "\(partsPerMillion) ppm")
        }
    }

    /// chrony slews by up to 8.3 %.
    @Test(arguments: [83_000, -83_000, 160_000] as [Int64])
    func slewedClockAgreesWithTheStrictDrift(partsPerMillion: Int64) {
        #expect(readingsUntilFound(partsPerMillion: partsPerMillion, drift: .strict, seconds: 10) == nil)
        #expect(readingsUntilFound(partsPerMillion: partsPerMillion, drift: .standard, seconds: 10) != nil)
    }

    // MARK: Extremes

    /// Numbers of servers come from outside.
    @Test
    func extremeNumbersNeverTrap() {
        var random = SeededRandom(seed: 41)
        let extremes: [Int64] = [
            .min, .min + 1, .min / 2, .min / 1_000, -1, 0, 1, .max / 1_000, .max / 2, .max - 1, .max,
        ]
        func number() -> Int64 {
            let number = Int64(bitPattern: random.next())
            return Bool.random(using: &random) ? extremes.randomElement(using: &random) ?? 0 : number
        }
        var found = 0
        for _ in 0..<3_000 {
            var audit = ClockAudit(drift: Bool.random(using: &random) ? .standard : .strict)
            var deviations: [ClockDeviation] = []
            var offsets: [Int64] = []
            for _ in 0..<5 {
                let sample = ClockSample(
                    sent: Instant(nanoseconds: number()),
                    received: Instant(nanoseconds: number()),
                    serverMicroseconds: number()
                )
                offsets.append(sample.offsetNanoseconds)
                if let deviation = audit.read(sample) { deviations.append(deviation) }
                if Bool.random(using: &random) { audit.restart(at: sample) }
            }
            found += deviations.count
            for deviation in deviations where !deviation.range.contains(deviation.milliseconds * 1_000_000) {
                // Cut to milliseconds, it may lie just outside a narrow range.
                let width = deviation.range.upperBound.subtractingReportingOverflow(deviation.range.lowerBound)
                #expect(!width.overflow && width.partialValue < 1_000_000)
            }
            _ = ClockComparison.culprit(deviations, nodeCount: 5)
            guard let median = ClockComparison.median(offsets), let least = offsets.min(), let most = offsets.max(),
                (least...most).contains(median)
            else { return recordIssue("no median of \(offsets)") }
        }
        #expect(found > 3_000)
    }
}

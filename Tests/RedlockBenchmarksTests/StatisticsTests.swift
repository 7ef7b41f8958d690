// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RedlockBenchmarks

struct StatisticsTests {
    @Test
    func medianIsTheMiddleOne() {
        #expect([Double]().median == nil)
        #expect([7.0].median == 7)
        #expect([9.0, 1, 5].median == 5)
        #expect([4.0, 1, 3, 2].median == 2.5)
    }

    /// A round in which everything was slow leaves the ratio what it is.
    @Test
    func ratiosAreTakenWithinRounds() throws {
        let limit = row(.limitPlain, cyclesPerSecond: [1_000, 100, 2_000])
        let subject = row(.standard, cyclesPerSecond: [500, 60, 1_000])
        let ratio = try #require(Findings.ratio(of: subject, to: limit, \.cyclesPerSecond))
        #expect(abs(ratio - 0.5) < 1e-9)
    }

    @Test
    func thereIsNoRatioToNothing() {
        let limit = row(.limitPlain, cyclesPerSecond: [])
        #expect(Findings.ratio(of: row(.standard, cyclesPerSecond: [5]), to: limit, \.cyclesPerSecond) == nil)
    }

    @Test
    func percentilesAreThoseOfWhatWasRecorded() throws {
        var record = LatencyRecord()
        #expect(record.latency == nil)
        for microseconds in Int64(1)...1_000 { record.record(nanoseconds: microseconds * 1_000) }
        let latency = try #require(record.latency)
        #expect(abs(latency.median - 500) < 1)
        #expect(abs(latency.p99 - 990) < 2)
        #expect(abs(latency.longest - 1_000) < 2)
        let last = try #require(latency.distribution.last)
        #expect(last.part == 1)
        #expect(zip(latency.distribution, latency.distribution.dropFirst()).allSatisfy { $0.part <= $1.part })
    }
}

struct HoldTimelineTests {
    @Test
    func findsTheGapsWhateverTheOrder() {
        let timeline = HoldTimeline([Hold(begin: 30, end: 40), Hold(begin: 0, end: 10), Hold(begin: 11, end: 25)])
        #expect(timeline.gaps == [1, 5])
        #expect(timeline.overlapCount == 0)
    }

    @Test
    func findsAnOverlap() {
        let timeline = HoldTimeline([Hold(begin: 0, end: 10), Hold(begin: 9, end: 12), Hold(begin: 20, end: 30)])
        #expect(timeline.overlapCount == 1)
        #expect(timeline.gaps == [8])
    }

    /// The one that is held for long goes on beyond the end of the short one within it.
    @Test
    func findsTwoOverlapsOfOneLongHold() {
        let timeline = HoldTimeline([Hold(begin: 0, end: 100), Hold(begin: 10, end: 20), Hold(begin: 30, end: 40)])
        #expect(timeline.overlapCount == 2)
        #expect(timeline.gaps.isEmpty)
    }

    @Test
    func whoBeginsWhenTheOtherEndsDoesNotOverlap() {
        let timeline = HoldTimeline([Hold(begin: 0, end: 10), Hold(begin: 10, end: 20)])
        #expect(timeline.overlapCount == 0)
        #expect(timeline.gaps == [0])
    }

    @Test
    func severalProcessesAreMergedToOne() {
        var one = Measurement(seconds: 2)
        (one.cycles, one.acquisitionsOfEach, one.holds) = (2, [2], [Hold(begin: 0, end: 10), Hold(begin: 20, end: 30)])
        var other = Measurement(seconds: 3)
        (other.cycles, other.acquisitionsOfEach, other.holds) = (1, [1], [Hold(begin: 12, end: 21)])
        let merged = Measurement(merging: [one, other])
        #expect(merged.seconds == 3)
        #expect(merged.cycles == 3)
        #expect(merged.acquisitionsOfEach == [2, 1])
        #expect(merged.overlaps == 1)
        #expect(merged.unfairness == 2)
        #expect(merged.holds == nil)
    }
}

/// A row of W2 with five nodes and 64 tasks.
func row(_ subject: BenchmarkReport.Subject, cyclesPerSecond: [Double]) -> BenchmarkReport.Row {
    var row = RowPlan(workload: .concurrent, subject: subject, nodeCount: 5, taskCount: 64, seconds: 1).emptyRow
    for cycles in cyclesPerSecond {
        var measurement = Measurement(seconds: 1)
        measurement.cycles = Int(cycles)
        row.add(measurement)
    }
    return row
}

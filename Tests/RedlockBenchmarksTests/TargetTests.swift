// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RedlockBenchmarks

struct TargetTests {
    private let title = "W2, 5 nodes, 64 tasks: cycles/s, compatible to limit"

    private func judge(_ cyclesPerSecond: Double, isShort: Bool = false) throws -> BenchmarkReport.TargetResult {
        let findings = Findings(rows: [
            row(.limitPlain, cyclesPerSecond: [1_000]), row(.compatible, cyclesPerSecond: [cyclesPerSecond]),
        ])
        return try #require(Target.judge(findings, isShort: isShort).first { $0.title == title })
    }

    @Test
    func whatReachesTheLimitIsMet() throws {
        let result = try judge(800)
        #expect(result.isMet)
        #expect(result.measured == 0.8)
    }

    @Test
    func whatDoesNotIsMissed() throws {
        #expect(try !judge(799).isMet)
    }

    @Test
    func aShortRunNoticesHalfOfWhatIsUsual() throws {
        #expect(try judge(225, isShort: true).isMet)
        #expect(try !judge(224, isShort: true).isMet)
    }

    @Test
    func whatWasNotMeasuredIsNoTarget() {
        #expect(Target.judge(Findings(rows: []), isShort: false).isEmpty)
        #expect(Target.judge(Findings(rows: [row(.compatible, cyclesPerSecond: [1])]), isShort: false).isEmpty)
    }

    /// Its rows are there, and no round said anything.
    @Test
    func whatCouldNotBeMeasuredIsMissed() throws {
        let findings = Findings(rows: [
            row(.limitPlain, cyclesPerSecond: []), row(.compatible, cyclesPerSecond: [1_000]),
        ])
        let result = try #require(Target.judge(findings, isShort: false).first { $0.title == title })
        #expect(result.measured == nil)
        #expect(!result.isMet)
    }

    /// One lost lease in one round of three is not in the median, and must be told all the same.
    @Test(arguments: [true, false])
    func oneLostLeaseIsOneTooMany(isShort: Bool) throws {
        let plan = RowPlan(
            workload: .renewing,
            subject: .standard,
            nodeCount: 5,
            taskCount: 10_000,
            timeToLiveSeconds: 10,
            seconds: 1
        )
        for (lost, isMet) in [([0, 0, 0], true), ([0, 1, 0], false)] {
            var row = plan.emptyRow
            for count in lost {
                var measurement = Measurement(seconds: 1)
                measurement.lostLeases = count
                row.add(measurement)
            }
            let results = Target.judge(Findings(rows: [row]), isShort: isShort)
            let result = try #require(results.first { $0.title.hasSuffix("leases lost") })
            #expect(result.isMet == isMet)
        }
    }

    @Test
    func titlesAreUnlike() {
        #expect(Set(Target.all.map(\.title)).count == Target.all.count)
    }
}

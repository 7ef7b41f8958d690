// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import RedlockBenchmarks

@Suite("HTML report")
struct ReportTests {
    // MARK: Axes

    @Test(
        "A linear axis has round ticks, begins at zero and reaches the greatest value",
        arguments: [
            (12.0, ["0", "2", "4", "6", "8", "10", "12"]),
            (0.55, ["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]),
            (198_485, ["0", "50,000", "100,000", "150,000", "200,000"]),
            (0, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ] as [(Double, [String])]
    )
    func linearTicks(most: Double, labels: [String]) {
        let scale = AxisScale.linear(upTo: most)
        #expect(scale.ticks.map(\.label) == labels)
        #expect(scale.domain.lowerBound == 0)
        #expect(scale.domain.upperBound >= most)
    }

    @Test("Every linear axis has few ticks and covers its values", arguments: -40..<40)
    func linearTicksAreFew(exponent: Int) {
        let most = pow(1.7, Double(exponent))
        let scale = AxisScale.linear(upTo: most)
        #expect(scale.domain.upperBound >= most * (1 - 1e-9))
        #expect((2...7).contains(scale.ticks.count))
    }

    @Test(
        "A logarithmic axis has decades, and 2 and 5 in between where there are few",
        arguments: [
            ([63.0, 420], ["50", "100", "200", "500"]),
            ([0.3, 70_000], ["0.1", "1", "10", "100", "1,000", "10,000", "100,000"]),
            ([100, 100], ["100", "200"]),
            ([1, 1_000], ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1,000"]),
            ([], ["1", "2", "5", "10"]),
        ] as [([Double], [String])]
    )
    func logarithmicTicks(values: [Double], labels: [String]) {
        let scale = AxisScale.logarithmic(covering: values)
        #expect(scale.ticks.map(\.label) == labels)
        for value in values {
            #expect(scale.domain.contains(value))
        }
    }

    @Test("A logarithmic axis over very much does not have more labels than there is room for")
    func manyDecades() {
        let scale = AxisScale.logarithmic(covering: [1e-7, 3e9])
        #expect(scale.ticks.count <= 11)
        #expect(scale.domain.contains(1e-7) && scale.domain.contains(3e9))
    }

    @Test("Powers of two and whole numbers are labelled as such")
    func countTicks() {
        let tasks = AxisScale.powersOfTwo(covering: (0...12).map { exp2(Double($0)) })
        #expect(tasks.ticks.map(\.label) == ["1", "4", "16", "64", "256", "1,024", "4,096"])
        #expect(tasks.position(of: 64) == 0.5)
        let nodes = AxisScale.wholeNumbers(covering: [1, 7, 3])
        #expect(nodes.ticks.map(\.label) == ["1", "2", "3", "4", "5", "6", "7"])
    }

    @Test("On the axis of percentiles, each further nine takes as much room as the one before")
    func percentileScale() {
        let scale = AxisScale.percentiles
        #expect(abs(scale.position(of: 0.9) - 1.0 / 3) < 1e-9)
        #expect(abs(scale.position(of: 0.99) - 2.0 / 3) < 1e-9)
        #expect(scale.position(of: 1) == 1)
    }

    @Test("Values that span decades have a logarithmic axis, others a linear one")
    func fittingScale() {
        #expect(AxisScale.fitting([10, 1_000]).isLogarithmic)
        #expect(!AxisScale.fitting([10, 100]).isLogarithmic)
        #expect(!AxisScale.fitting([]).isLogarithmic)
    }

    // MARK: Text

    @Test("Numbers have commas between thousands, and a point")
    func numbers() {
        #expect(NumberText.grouped(1_234_567.891, decimals: 2) == "1,234,567.89")
        #expect(NumberText.grouped(999.6) == "1,000")
        #expect(NumberText.grouped(-1_234) == "−1,234")
        #expect(NumberText.grouped(-0.001, decimals: 2) == "0.00")
        #expect(NumberText.grouped(.nan) == "–")
        #expect(NumberText.inThreeDigits(0.012345) == "0.0123")
        #expect(NumberText.inThreeDigits(98_765.4) == "98,765")
        #expect(NumberText.inThreeDigits(0) == "0")
    }

    @Test("Text is escaped, in elements and in attributes")
    func escaping() {
        let markup = Markup.element("p", ["title": "\"a\" & b"], [Markup("<b>\u{1}")])
        #expect(markup.text == "<p title=\"&quot;a&quot; &amp; b\">&lt;b&gt;\u{FFFD}</p>")
    }

    @Test("Nothing that the results name becomes an element of the page")
    func escapedPage() {
        var report = BenchmarkReport.short
        report.machine.processor = "<script>alert(1)</script>"
        report.targets = [.init(title: "a < b & c", measured: 1, limit: 2, isFloor: true, unit: "<i>")]
        let text = HTMLReport(report).text
        #expect(!text.contains("<script") && !text.contains("<i>"))
        #expect(text.contains("a &lt; b &amp; c"))
    }

    @Test("The page asks for nothing from elsewhere")
    func selfContained() {
        let text = HTMLReport(.full).text.replacing("http://www.w3.org/2000/svg", with: "")
        for reference in ["http:", "https:", "src=", "href=", "url(", "@import", "<script"] {
            #expect(!text.contains(reference), "\(reference)")
        }
    }

    // MARK: Labels

    @Test("Labels that would lie on each other move apart, in their order and within the drawing")
    func labelPlacement() {
        #expect(LabelPlacement.spread([50, 10, 90], distance: 17, within: 0...100) == [50, 10, 90])
        #expect(LabelPlacement.spread([99, 98, 5], distance: 10, within: 0...100) == [100, 90, 5])
        #expect(LabelPlacement.spread([3, 1, 2], distance: 10, within: 0...100) == [21, 1, 11])
    }

    // MARK: Targets

    @Test(
        "A target is called met, missed or not measured",
        arguments: [
            (0.8, true, "✓ met"), (0.5, true, "✓ met"), (0.4, true, "✗ missed"), (0.8, false, "✗ missed"),
            (0.4, false, "✓ met"), (nil, true, "– not measured"),
        ] as [(Double?, Bool, String)]
    )
    func targets(measured: Double?, isFloor: Bool, verdict: String) {
        var report = BenchmarkReport.short
        report.targets = [.init(title: "speed", measured: measured, limit: 0.5, isFloor: isFloor, unit: "")]
        #expect(HTMLReport(report).text.contains(">\(verdict)</td>"))
    }

    // MARK: Plots

    @Test("All plots are there when their rows are")
    func allPlots() {
        #expect(plots(of: .full) == Self.allPlots)
    }

    @Test("A plot without its rows is left out")
    func missingRows() {
        #expect(plots(of: .short).isEmpty)
        var report = BenchmarkReport.full
        report.rows.removeAll { $0.workload == .contended }
        #expect(plots(of: report) == Self.allPlots.filter { !$0.hasPrefix("contention") })
        // With one number of nodes, there is nothing to compare.
        report.rows.removeAll { $0.nodeCount == 3 }
        #expect(!plots(of: report).contains("throughput-over-nodes"))
    }

    private static let allPlots = [
        "acquire-latency", "throughput-over-tasks", "throughput-over-nodes", "processor-time", "contention",
        "contention-empty", "commands",
    ]

    private func plots(of report: BenchmarkReport) -> [String] {
        HTMLReport(report).text.matches(of: /<figure id="([a-z-]+)"/).map { String($0.1) }
    }

    @Test("What a row has nothing of is a dash, and a column of dashes is left out")
    func dashes() {
        let text = HTMLReport(.full).text
        #expect(text.contains("<td class=\"number\">–</td>"))
        #expect(!text.contains("memory of waiters"))
    }

    @Test("Two that had one lock at once are told of first")
    func overlaps() {
        var report = BenchmarkReport.full
        #expect(!HTMLReport(report).text.contains("Two had one lock at once"))
        report.rows[0].rounds[0].overlaps = 1
        #expect(HTMLReport(report).text.contains("Two had one lock at once"))
    }

    // MARK: Figures of rows

    @Test("The ratio to the limit is the median of the ratios of the rounds, against a row of the same size")
    func ratioToLimit() {
        var report = BenchmarkReport.short
        report.rows = [
            .sample(.concurrent, .limitPlain, nodes: 5, tasks: 64, rates: [100, 1_000, 100]),
            .sample(.concurrent, .standard, nodes: 5, tasks: 64, rates: [50, 600, 10]),
            .sample(.concurrent, .standard, nodes: 3, tasks: 64, rates: [50]),
        ]
        #expect(report.ratioToLimit(of: report.rows[0]) == 1)
        #expect(report.ratioToLimit(of: report.rows[1]) == 0.5)
        #expect(report.ratioToLimit(of: report.rows[2]) == nil)
    }

    @Test("A latency is read from the distribution, or from the percentiles if there is none")
    func latencies() {
        var latency = Latency(median: 10, p90: 20, p99: 30, p999: 40, longest: 50)
        #expect(latency.microseconds(of: 0.99) == 30)
        #expect(latency.microseconds(of: 0.98) == nil)
        latency.distribution = [
            .init(part: 0, microseconds: 5), .init(part: 0.9, microseconds: 25),
        ]
        #expect(latency.microseconds(of: 0.5) == 25)
        #expect(latency.microseconds(of: 0.99) == 50)
    }
}

extension BenchmarkReport {
    /// Of a run that measured nothing.
    fileprivate static let short = BenchmarkReport(
        machine: Machine(processor: "processor", coreCount: 2, system: "system", redisVersion: "7", swiftVersion: "6"),
        began: "2026-01-02T03:04:05Z",
        rounds: 1,
        rows: [],
        instructions: [],
        targets: []
    )

    /// With rows for every plot.
    fileprivate static let full: BenchmarkReport = {
        var report = short
        for subject in [Subject.limitPlain, .compatible, .standard] {
            report.rows += [
                .sample(.uncontended, subject, nodes: 5, tasks: 1, rates: [5_000]),
                .sample(.concurrent, subject, nodes: 5, tasks: 64, rates: [50_000]),
                .sample(.concurrent, subject, nodes: 5, tasks: 4_096, rates: [60_000]),
                .sample(.concurrent, subject, nodes: 3, tasks: 64, rates: [80_000]),
            ]
        }
        report.rows[0].commandsPerNodeAndAcquisition = [2]
        for (hold, rate) in [(1_000, 700), (0, 90_000)] {
            var row = BenchmarkReport.Row.sample(.contended, .standard, nodes: 5, tasks: 16, rates: [rate])
            row.holdMicroseconds = hold
            report.rows.append(row)
        }
        return report
    }()
}

extension BenchmarkReport.Row {
    /// Each round with that many cycles in a second.
    fileprivate static func sample(
        _ workload: BenchmarkReport.Workload,
        _ subject: BenchmarkReport.Subject,
        nodes: Int,
        tasks: Int,
        rates: [Int]
    ) -> Self {
        Self(
            workload: workload,
            subject: subject,
            nodeCount: nodes,
            taskCount: tasks,
            processCount: 1,
            isDurable: false,
            rounds: rates.map { rate in
                Measurement(
                    seconds: 1,
                    cycles: rate,
                    acquire: workload == .uncontended
                        ? Latency(median: 100, p90: 150, p99: 200, p999: 400, longest: 900) : nil,
                    processorSeconds: 1
                )
            },
            commandsPerNodeAndSecond: [],
            commandsPerNodeAndAcquisition: []
        )
    }
}

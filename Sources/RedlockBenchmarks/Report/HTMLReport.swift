// SPDX-License-Identifier: Apache-2.0

/// One page that shows what a run of the benchmarks found, and needs nothing besides itself.
struct HTMLReport {
    private let report: BenchmarkReport

    /// The sizes that the plots compare: a usual number of nodes, and enough tasks to keep them busy.
    private let nodeCount = 5
    private let taskCount = 64

    init(_ report: BenchmarkReport) {
        self.report = report
    }

    var text: String {
        let page = Markup.element("html", ["lang": "en"], [head, .element("body", [:], [header, main])])
        return "<!DOCTYPE html>\n\(page.text)\n"
    }

    private let title = "Benchmarks of redlock"

    private var head: Markup {
        .element(
            "head",
            [:],
            [
                .element("meta", ["charset": "utf-8"]),
                .element("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
                .element("meta", ["name": "color-scheme", "content": "light dark"]),
                .element("title", [:], [Markup("\(title), \(report.began)")]),
                .element("style", [:], [Markup(verbatim: StyleSheet.text)]),
            ]
        )
    }

    private var header: Markup {
        let machine = report.machine
        let cores = machine.coreCount == 1 ? "1 core" : "\(machine.coreCount) cores"
        let rounds = report.rounds == 1 ? "1 round" : "\(report.rounds) rounds"
        return .element(
            "header",
            [:],
            [
                .element("h1", [:], [Markup(title)]),
                .element("p", [:], [Markup("Began \(report.began), \(rounds).")]),
                .element(
                    "p",
                    [:],
                    [
                        Markup(
                            "\(machine.processor), \(cores); \(machine.system); Redis \(machine.redisVersion); "
                                + "Swift \(machine.swiftVersion)"
                        )
                    ]
                ),
                .element(
                    "p",
                    ["class": "reading"],
                    [
                        """
                        How to read it: every figure is the median of the rounds of this one run, and ratios compare with \
                        the limit, a C program that sends prepared bytes and counts replies, which the same servers \
                        reached in the same rounds.
                        """
                    ]
                ),
            ]
        )
    }

    private var main: Markup {
        let sections = [overlapWarning, TargetTable(targets: report.targets).markup, plots, tables]
        return .element("main", [:], sections.compactMap(\.self))
    }

    /// Nothing else on the page matters if two had one lock at once.
    private var overlapWarning: Markup? {
        let count = report.rows.flatMap(\.rounds).reduce(0) { $0 + $1.overlaps }
        guard count > 0 else { return nil }
        return .element(
            "p",
            ["class": "missed", "role": "alert"],
            [Markup("✗ Two had one lock at once, \(NumberText.grouped(count)) times; see the overlaps in the tables.")]
        )
    }

    private var plots: Markup? {
        let throughput = ThroughputPlots(report: report, nodeCount: nodeCount, taskCount: taskCount)
        let bars = BarPlots(report: report, nodeCount: nodeCount, taskCount: taskCount)
        let figures = [
            LatencyPlot(report: report, nodeCount: nodeCount).figure, throughput.overTasks, throughput.overNodes,
            bars.processorTime, bars.contention, bars.emptyContention, bars.commands,
        ]
        .compactMap(\.self)
        guard !figures.isEmpty else { return nil }
        return .element(
            "section",
            ["id": "plots"],
            [.element("h2", [:], ["Plots"]), .element("div", ["class": "figures"], figures.map(\.markup))]
        )
    }

    private var tables: Markup? {
        let workloads = BenchmarkReport.Workload.allCases.map { WorkloadTable(report: report, workload: $0).markup }
        let sections = (workloads + [InstructionTable(counts: report.instructions).markup]).compactMap(\.self)
        guard !sections.isEmpty else { return nil }
        return .element("section", ["id": "rows"], [.element("h2", [:], ["All figures"])] + sections)
    }
}

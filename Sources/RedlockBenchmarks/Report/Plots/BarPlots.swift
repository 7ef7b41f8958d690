// SPDX-License-Identifier: Apache-2.0

/// What is compared between subjects at one size.
struct BarPlots {
    let report: BenchmarkReport
    let nodeCount: Int
    let taskCount: Int

    /// Nil if nobody counted commands.
    var commands: Figure? {
        let counted = report.rows.filter { $0.commandsPerNodeAndAcquisition.median != nil }
        let bars = BenchmarkReport.Workload.allCases.flatMap { workload in
            BenchmarkReport.Subject.inOrder.flatMap { subject in
                usual(of: counted.filter { $0.workload == workload && $0.subject == subject })
            }
        }
        return plot(
            name: "commands",
            title: "Commands that a node is sent for one acquisition with its release",
            explanation: """
                Each workload and subject at the size nearest to N = \(nodeCount) and \(taskCount) tasks. \
                Fewer leave more of the node to others.
                """,
            axisTitle: "commands per acquisition and node",
            rows: bars,
            label: { "\($0.workload.rawValue) \(subjectAndSize($0))" },
            value: \.commandsPerNodeAndAcquisition.median
        )
    }

    /// Nil if no row has this size.
    var processorTime: Figure? {
        plot(
            name: "processor-time",
            title: "Processor time of the client for 10,000 cycles (W2, N = \(nodeCount), \(taskCount) tasks)",
            explanation: "User and system time together, of the client alone; less is better.",
            axisTitle: "processor time per 10,000 cycles (s)",
            rows: report.rows(.concurrent, ofSize: nodeCount, taskCount),
            label: \.subject.rawValue,
            value: \.processorSecondsPer10000Cycles
        )
    }

    /// Nil if nobody competed for a lock that is held for a while.
    var contention: Figure? {
        plot(
            name: "contention",
            title: "Acquisitions per second of one name, each held for 1 ms (W3)",
            explanation: "The upright line is the most that such holds allow, one after the other without a gap.",
            axisTitle: "acquisitions per second",
            rows: contended { $0 > 0 },
            label: subjectAndSize,
            value: \.cyclesPerSecond,
            reference: BarPlot.Reference(label: "1,000 holds", value: 1_000)
        )
    }

    /// Nil if nobody competed for a lock that is given back at once.
    var emptyContention: Figure? {
        plot(
            name: "contention-empty",
            title: "Acquisitions per second of one name, each given back at once (W3)",
            explanation: "What handing a lock over inside one process costs, as nothing else happens.",
            axisTitle: "acquisitions per second",
            rows: contended { $0 == 0 },
            label: subjectAndSize,
            value: \.cyclesPerSecond
        )
    }

    private func subjectAndSize(_ row: BenchmarkReport.Row) -> String { "\(row.subject.rawValue) · \(row.sizeText)" }

    private func contended(_ isWanted: (_ holdMicroseconds: Int) -> Bool) -> [BenchmarkReport.Row] {
        report.rows.filter { $0.workload == .contended && isWanted($0.holdMicroseconds ?? 0) }
            .sorted(by: BenchmarkReport.Row.standsBefore)
    }

    private func plot(
        name: String,
        title: String,
        explanation: String,
        axisTitle: String,
        rows: [BenchmarkReport.Row],
        label: (BenchmarkReport.Row) -> String,
        value: (BenchmarkReport.Row) -> Double?,
        reference: BarPlot.Reference? = nil
    ) -> Figure? {
        let bars = rows.compactMap { row in
            value(row).map { BarPlot.Bar(label: label(row), value: $0, subject: row.subject) }
        }
        guard !bars.isEmpty else { return nil }
        return BarPlot(
            name: name,
            title: title,
            explanation: explanation,
            axisTitle: axisTitle,
            bars: bars,
            reference: reference
        ).figure
    }

    /// One bar for each size would hide the comparison; this leaves the size that the other plots have, if it is there.
    private func usual(of rows: [BenchmarkReport.Row]) -> [BenchmarkReport.Row] {
        func nearest(_ numbers: [Int], to usual: Int) -> Int? { numbers.min { abs($0 - usual) < abs($1 - usual) } }
        let nodes = nearest(rows.map(\.nodeCount), to: nodeCount)
        let withNodes = rows.filter { $0.nodeCount == nodes }
        let tasks = nearest(withNodes.map(\.taskCount), to: taskCount)
        return withNodes.filter { $0.taskCount == tasks }.sorted(by: BenchmarkReport.Row.standsBefore)
    }
}

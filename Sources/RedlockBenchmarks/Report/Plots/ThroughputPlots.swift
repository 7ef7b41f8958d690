// SPDX-License-Identifier: Apache-2.0

/// How many cycles of acquiring and releasing there are in a second, over the number of tasks and over that of nodes.
struct ThroughputPlots {
    let report: BenchmarkReport
    let nodeCount: Int
    let taskCount: Int

    private let subjects: [BenchmarkReport.Subject] = [.limitPlain, .compatible, .standard]
    private let ranges = "Thin upright lines reach from the slowest round to the fastest."

    /// Nil if there are not two numbers of tasks.
    var overTasks: Figure? {
        plot(
            name: "throughput-over-tasks",
            title: "Cycles per second over the number of tasks (W1 and W2, N = \(nodeCount))",
            rows: concurrentRows.filter { $0.nodeCount == nodeCount } + singleTaskRows,
            x: \.taskCount,
            axisTitle: "tasks at the same time (log scale)",
            scale: AxisScale.powersOfTwo
        )
    }

    /// Nil if there are not two numbers of nodes.
    var overNodes: Figure? {
        plot(
            name: "throughput-over-nodes",
            title: "Cycles per second over the number of nodes (W2, \(NumberText.grouped(taskCount)) tasks)",
            rows: concurrentRows.filter { $0.taskCount == taskCount },
            x: \.nodeCount,
            axisTitle: "nodes (N)",
            scale: AxisScale.wholeNumbers
        )
    }

    private var concurrentRows: [BenchmarkReport.Row] {
        report.rows.filter { $0.workload == .concurrent && $0.isPlain && subjects.contains($0.subject) }
    }

    /// One task that does the same as the many, unless it is among them already.
    private var singleTaskRows: [BenchmarkReport.Row] {
        guard !concurrentRows.contains(where: { $0.nodeCount == nodeCount && $0.taskCount == 1 }) else { return [] }
        return report.rows(.uncontended, ofSize: nodeCount, 1).filter { subjects.contains($0.subject) }
    }

    private func plot(
        name: String,
        title: String,
        rows: [BenchmarkReport.Row],
        x: KeyPath<BenchmarkReport.Row, Int>,
        axisTitle: String,
        scale: ([Double]) -> AxisScale
    ) -> Figure? {
        let measured = rows.filter { $0.cyclesPerSecond != nil }
        let places = Set(measured.map { $0[keyPath: x] })
        guard places.count > 1 else { return nil }
        let rates = measured.compactMap(\.cyclesPerSecondRange).flatMap { [$0.lowerBound, $0.upperBound] }
        let vertical = AxisScale.fitting(rates)
        return LinePlot(
            name: name,
            title: title,
            explanation: [ranges, comparison(in: measured)].compactMap(\.self).joined(separator: " "),
            horizontal: LinePlot.Axis(title: axisTitle, scale: scale(places.map(Double.init))),
            vertical: LinePlot.Axis(
                title: "cycles per second" + (vertical.isLogarithmic ? " (log scale)" : ""),
                scale: vertical
            ),
            series: series(measured, x: x)
        ).figure
    }

    private func series(
        _ rows: [BenchmarkReport.Row],
        x: KeyPath<BenchmarkReport.Row, Int>
    ) -> [LinePlot.Series] {
        subjects.compactMap { subject in
            let points = rows.filter { $0.subject == subject }.sorted { $0[keyPath: x] < $1[keyPath: x] }
                .compactMap { row in
                    row.cyclesPerSecond.map { rate in
                        LinePlot.Point(x: Double(row[keyPath: x]), y: rate, range: row.cyclesPerSecondRange)
                    }
                }
            return points.isEmpty ? nil : LinePlot.Series(subject: subject, points: points)
        }
    }

    /// What the plot says in one sentence: how near to the limit we come at the size that both plots have.
    private func comparison(in rows: [BenchmarkReport.Row]) -> String? {
        let ratios = [BenchmarkReport.Subject.compatible, .standard].compactMap { subject -> String? in
            let row = rows.first {
                $0.subject == subject && $0.nodeCount == nodeCount && $0.taskCount == taskCount
            }
            guard let row, let ratio = report.ratioToLimit(of: row) else { return nil }
            return "\(subject.rawValue) reaches \(NumberText.grouped(ratio * 100)) % of the limit"
        }
        guard !ratios.isEmpty else { return nil }
        return "With \(NumberText.grouped(taskCount)) tasks and N = \(nodeCount), "
            + ratios.joined(separator: ", ") + "."
    }
}

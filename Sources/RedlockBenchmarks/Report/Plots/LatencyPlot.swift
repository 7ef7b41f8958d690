// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How long acquiring takes without contention, as a distribution for each subject.
struct LatencyPlot {
    let report: BenchmarkReport
    let nodeCount: Int

    /// Nil if no row has latencies.
    var figure: Figure? {
        let series = series
        guard !series.isEmpty else { return nil }
        return LinePlot(
            name: "acquire-latency",
            title: "Time to acquire a lock, without contention (W1, N = \(nodeCount))",
            explanation: """
                So many percent of all acquisitions took at most that long. To the right the rare, slow ones: each label \
                further, a tenth as many are slower.
                """,
            horizontal: LinePlot.Axis(title: "percentile (%)", scale: .percentiles),
            vertical: LinePlot.Axis(
                title: "time to acquire (µs, log scale)",
                scale: .logarithmic(covering: series.flatMap { $0.points.map(\.y) })
            ),
            series: series
        ).figure
    }

    private var series: [LinePlot.Series] {
        report.rows(.uncontended, ofSize: nodeCount, 1).compactMap { row in
            let points = Self.parts.compactMap { part in
                row.median { $0.acquire?.microseconds(of: part) }.map { microseconds in
                    LinePlot.Point(x: part, y: microseconds, isMarked: Self.labelled.contains(part))
                }
            }
            // A time of zero has no place on a logarithmic axis.
            let positive = points.filter { $0.y > 0 }
            return positive.isEmpty ? nil : LinePlot.Series(subject: row.subject, points: positive)
        }
    }

    private static let labelled = AxisScale.percentiles.ticks.map(\.value)

    /// What is labelled, and in between sixteen steps to each further nine.
    private static let parts: [Double] = {
        // The steps of whole nines are labelled already.
        let between = (1..<48).filter { $0 % 16 != 0 }.map { step in 1 - pow(10, -Double(step) / 16) }
        return (labelled + between).sorted()
    }()
}

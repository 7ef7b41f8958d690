// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What `redlock bench` measured, for people and as JSON.
struct BenchmarkText {
    let nodes: [String]
    let quorum: Int
    /// How long each measurement was to go on.
    let duration: Duration
    /// How long each task had the lock that was handed over.
    let hold: Duration
    let uncontended: CycleResult
    let throughput: CycleResult
    let handOver: HandOverResult
    let style: TextStyle

    /// A heading, the table, and whether the lock that was handed over excluded.
    var lines: [String] {
        let count = nodes.count == 1 ? "1 node" : "\(nodes.count) nodes"
        return ["\(count), quorum \(quorum), \(duration.readable) for each measurement", ""] + table + ["", exclusion]
    }

    private var table: [String] {
        let rows = [
            ["", "tasks", "per second", "p50", "p90", "p99", "max"],
            Self.row("acquire, uncontended", uncontended.taskCount, uncontended.cyclesPerSecond, uncontended.acquire),
            Self.row("release, uncontended", uncontended.taskCount, uncontended.cyclesPerSecond, uncontended.release),
            Self.row("acquire, side by side", throughput.taskCount, throughput.cyclesPerSecond, throughput.acquire),
            Self.row("release, side by side", throughput.taskCount, throughput.cyclesPerSecond, throughput.release),
            Self.row("gap at a hand-over", handOver.taskCount, handOver.acquisitionsPerSecond, handOver.gap),
        ]
        let widths = rows[0].indices.map { column in rows.map(\.[column].count).max() ?? 0 }
        return rows.map { row in
            let numbers = row.indices.dropFirst().map { row[$0].paddedInFront(to: widths[$0]) }
            return ([row[0].padded(to: widths[0])] + numbers).joined(separator: "  ")
        }
    }

    private static func row(_ title: String, _ tasks: Int, _ rate: Double, _ latencies: LatencyHistogram) -> [String] {
        let percentiles = [0.5, 0.9, 0.99].map(latencies.percentile) + [latencies.longest]
        return [title, "\(tasks)", "\(Int(rate.rounded()))"] + percentiles.map(\.inThreeDigits)
    }

    private var exclusion: String {
        let bodies = "of the \(handOver.acquisitionCount) tasks in turn that had the one lock"
        guard handOver.overlapCount > 0 else { return "overlaps: 0 \(bodies) for \(hold.readable)" }
        return style.coloured("OVERLAPS: \(handOver.overlapCount) \(bodies) HAD IT WHILE ANOTHER DID", .red)
    }

    /// The fields that the help of `redlock bench` names.
    var json: JSONLine {
        .object([
            ("nodes", .array(nodes.map(JSONLine.string))),
            ("quorum", .integer(Int64(quorum))),
            ("concurrency", .integer(Int64(throughput.taskCount))),
            ("durationMilliseconds", .integer(duration.wholeMilliseconds)),
            ("uncontended", Self.json(of: uncontended)),
            ("throughput", Self.json(of: throughput)),
            (
                "handOver",
                .object([
                    ("tasks", .integer(Int64(handOver.taskCount))),
                    ("holdMilliseconds", .integer(hold.wholeMilliseconds)),
                    ("elapsedMilliseconds", .integer(handOver.elapsed.wholeMilliseconds)),
                    ("acquisitions", .integer(Int64(handOver.acquisitionCount))),
                    ("acquisitionsPerSecond", .integer(Int64(handOver.acquisitionsPerSecond.rounded()))),
                    ("gapMicroseconds", Self.json(of: handOver.gap)),
                    ("overlaps", .integer(Int64(handOver.overlapCount))),
                ])
            ),
        ])
    }

    private static func json(of result: CycleResult) -> JSONLine {
        .object([
            ("tasks", .integer(Int64(result.taskCount))),
            ("elapsedMilliseconds", .integer(result.elapsed.wholeMilliseconds)),
            ("cycles", .integer(Int64(result.release.count))),
            ("cyclesPerSecond", .integer(Int64(result.cyclesPerSecond.rounded()))),
            ("acquireMicroseconds", json(of: result.acquire)),
            ("releaseMicroseconds", json(of: result.release)),
        ])
    }

    private static func json(of latencies: LatencyHistogram) -> JSONLine {
        func microseconds(_ duration: Duration) -> JSONLine { .integer(Int64(duration.microseconds.rounded(.up))) }
        return .object([
            ("p50", microseconds(latencies.percentile(0.5))),
            ("p90", microseconds(latencies.percentile(0.9))),
            ("p99", microseconds(latencies.percentile(0.99))),
            ("max", microseconds(latencies.longest)),
        ])
    }
}

extension Duration {
    fileprivate var microseconds: Double { self / .microseconds(1) }

    /// With three digits, in the unit that fits: `87.3 µs`, `1.24 ms`, `3.05 s`.
    var inThreeDigits: String {
        // What would be rounded to 1000 has the next unit.
        let (number, unit) =
            switch microseconds {
            case ..<999.5: (microseconds, "µs")
            case ..<999_500: (microseconds / 1_000, "ms")
            default: (microseconds / 1_000_000, "s")
            }
        let decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0
        return "\(number.text(decimals: decimals)) \(unit)"
    }
}

extension Double {
    /// With so many digits behind the point; for numbers from 0 that are not too large to be read.
    fileprivate func text(decimals: Int) -> String {
        let scale = (0..<decimals).reduce(1) { power, _ in power * 10 }
        let scaled = Int((self * Double(scale)).rounded())
        guard decimals > 0 else { return String(scaled) }
        let fraction = String(scale + scaled % scale).dropFirst()
        return "\(scaled / scale).\(fraction)"
    }
}

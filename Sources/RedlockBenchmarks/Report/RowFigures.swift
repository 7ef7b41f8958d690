// SPDX-License-Identifier: Apache-2.0

/// What the report says of a row: medians over its rounds.
extension BenchmarkReport.Row {
    var cyclesPerSecond: Double? { median(\.cyclesPerSecond) }

    /// From the slowest round to the fastest; nil if no round counted cycles.
    var cyclesPerSecondRange: ClosedRange<Double>? {
        let rates = rounds.compactMap(\.cyclesPerSecond)
        guard let slowest = rates.min(), let fastest = rates.max() else { return nil }
        return slowest...fastest
    }

    var processorSecondsPer10000Cycles: Double? { median { $0.processorMicrosecondsPerCycle.map { $0 / 100 } } }

    /// Whether one process did it with nodes that keep all in memory, which is what most plots compare.
    var isPlain: Bool { processCount == 1 && !isDurable }

    /// The order of the report: sizes from small to large, and within each the limits first.
    static func standsBefore(_ first: Self, _ second: Self) -> Bool {
        first.order.lexicographicallyPrecedes(second.order)
    }

    private var order: [Int] {
        [
            nodeCount, taskCount, processCount, isDurable ? 1 : 0, holdMicroseconds ?? 0, timeToLiveSeconds ?? 0,
            subject.rank,
        ]
    }

    /// The size for people: `N = 5, 64 tasks, 4 processes, 1 ms holds, durable`.
    var sizeText: String {
        let tasks = taskCount == 1 ? "1 task" : "\(NumberText.grouped(taskCount)) tasks"
        let hold = holdMicroseconds.map { $0 == 0 ? ", empty holds" : ", \(NumberText.grouped($0 / 1_000)) ms holds" }
        return "N = \(nodeCount), \(tasks)" + (processCount > 1 ? ", \(processCount) processes" : "") + (hold ?? "")
            + (isDurable ? ", durable" : "")
    }
}

extension BenchmarkReport {
    /// The plain rows of one workload and size, one for each subject, the limits first.
    func rows(_ workload: Workload, ofSize nodeCount: Int, _ taskCount: Int) -> [Row] {
        rows.filter {
            $0.workload == workload && $0.nodeCount == nodeCount && $0.taskCount == taskCount && $0.isPlain
        }.sorted(by: Row.standsBefore)
    }

    /// Cycles per second as a part of what the limit reached with the same servers in the same round.
    ///
    /// The machine is not equally fast in all rounds, so it is the median of ratios, not the ratio of medians.
    func ratioToLimit(of row: Row) -> Double? {
        Findings(rows: rows).limit(of: row).flatMap { Findings.ratio(of: row, to: $0, \.cyclesPerSecond) }
    }
}

extension Latency {
    /// What that part of all did not exceed, in microseconds.
    func microseconds(of part: Double) -> Double? {
        if distribution.isEmpty { return named.first { $0.part == part }?.microseconds }
        return distribution.first { $0.part >= part }?.microseconds ?? longest
    }

    /// The percentiles that are there without a distribution.
    private var named: [Point] {
        [
            Point(part: 0.5, microseconds: median), Point(part: 0.9, microseconds: p90),
            Point(part: 0.99, microseconds: p99), Point(part: 0.999, microseconds: p999),
        ]
    }
}

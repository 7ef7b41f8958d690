// SPDX-License-Identifier: Apache-2.0

/// All rows of one workload.
struct WorkloadTable {
    let report: BenchmarkReport
    let workload: BenchmarkReport.Workload

    /// Nil if it did not run.
    var markup: Markup? {
        let rows = report.rows.filter { $0.workload == workload }.sorted(by: BenchmarkReport.Row.standsBefore)
        guard !rows.isEmpty else { return nil }
        let table = Table(columns: columns, rows: rows) { !$0.hasSameSize(as: $1) }
        return .element(
            "section",
            ["id": workload.rawValue],
            [.element("h3", [:], [Markup("\(workload.rawValue): \(workload.title)")]), table.markup]
        )
    }

    private typealias Column = Table<BenchmarkReport.Row>.Column

    private var columns: [Column] { size + speed + cost + safety }

    private var size: [Column] {
        [
            .text("subject", \.subject.rawValue),
            .number("N") { Double($0.nodeCount) },
            .number("tasks") { Double($0.taskCount) },
            .number("processes") { Double($0.processCount) },
            .text("durable") { $0.isDurable ? "yes" : "no" },
            .digits("hold (ms)") { row in row.holdMicroseconds.map { Double($0) / 1_000 } },
            .number("TTL (s)") { row in row.timeToLiveSeconds.map(Double.init) },
        ]
    }

    private var speed: [Column] {
        [
            .number("cycles/s", \.cyclesPerSecond),
            .number("ratio to limit", decimals: 2, report.ratioToLimit),
            .digits("acquire p50 (µs)") { row in row.median { $0.acquire?.median } },
            .digits("acquire p99 (µs)") { row in row.median { $0.acquire?.p99 } },
            .digits("gap p50 (µs)") { row in row.median { $0.gap?.median } },
            .digits("gap p99 (µs)") { row in row.median { $0.gap?.p99 } },
        ]
    }

    private var cost: [Column] {
        [
            .digits("CPU per 10,000 cycles (s)", \.processorSecondsPer10000Cycles),
            .number("peak memory (MB)", decimals: 1) { row in
                row.median { $0.peakMemoryBytes > 0 ? Double($0.peakMemoryBytes) / 1e6 : nil }
            },
            .number("memory of waiters (MB)", decimals: 1) { row in
                row.median { $0.waitingMemoryBytes.map { Double($0) / 1e6 } }
            },
            .number("commands per node and s", \.commandsPerNodeAndSecond.median),
            .digits("commands per node and acquisition", \.commandsPerNodeAndAcquisition.median),
        ]
    }

    /// These are sums over all rounds, since one is one too many, and they are there only if they are not zero.
    private var safety: [Column] {
        [
            Column(title: "leases lost (all rounds)") { row in alarm(row.rounds.reduce(0) { $0 + $1.lostLeases }) },
            Column(title: "overlaps (all rounds)") { row in alarm(row.rounds.reduce(0) { $0 + $1.overlaps }) },
        ]
    }

    private func alarm(_ count: Int) -> Table<BenchmarkReport.Row>.Cell? {
        count > 0 ? Table.Cell(text: NumberText.grouped(count), style: "missed") : nil
    }
}

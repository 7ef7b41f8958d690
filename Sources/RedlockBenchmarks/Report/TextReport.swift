// SPDX-License-Identifier: Apache-2.0

/// What a run found, for people who read it on a terminal: medians of all rounds, and ratios within rounds.
struct TextReport {
    let report: BenchmarkReport
    private let findings: Findings

    init(_ report: BenchmarkReport) {
        self.report = report
        findings = Findings(rows: report.rows)
    }

    /// What it runs on, told before anything is measured.
    static func heading(_ machine: BenchmarkReport.Machine) -> String {
        "\(machine.processor), \(machine.coreCount) cores, \(machine.system), Redis \(machine.redisVersion), "
            + "Swift \(machine.swiftVersion)"
    }

    var text: String {
        let blocks = BenchmarkReport.Workload.allCases.compactMap(block) + [instructions, targets].compactMap(\.self)
        return blocks.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    // MARK: Workloads

    private func block(_ workload: BenchmarkReport.Workload) -> [String]? {
        let rows = report.rows.filter { $0.workload == workload }
        guard !rows.isEmpty else { return nil }
        switch workload {
        case .uncontended: return ["W1  one task, a name of its own"] + cycles(rows).lines
        case .concurrent: return ["W2  many tasks, each with a name of its own"] + cycles(rows).lines
        case .contended: return ["W3  one name that all want"] + contended(rows).lines
        case .renewing: return ["W4  many leases that are renewed"] + renewing(rows).lines
        case .waiting: return ["W5  many who wait for one name"] + waiting(rows).lines
        }
    }

    private func cycles(_ rows: [BenchmarkReport.Row]) -> TextTable {
        var table = TextTable(columns: [
            "subject", "nodes", "tasks", "cycles/s", "of limit", "acquire p50 µs", "of limit", "p99 µs",
            "CPU ms/10,000", "peak MiB",
        ])
        for row in rows {
            // Compared with itself, the limit would be 1 everywhere.
            let limit = row.subject == .limitPlain ? nil : findings.limit(of: row)
            func ratio(_ value: Findings.Value) -> Double? {
                limit.flatMap { Findings.ratio(of: row, to: $0, value) }
            }
            table.add([
                row.subject.rawValue + (row.isDurable ? ", durable nodes" : ""),
                "\(row.nodeCount)",
                "\(row.taskCount)",
                number(row.median(\.cyclesPerSecond)),
                number(ratio(\.cyclesPerSecond), digits: 2),
                number(row.median { $0.acquire?.median }),
                number(ratio { $0.acquire?.median }, digits: 2),
                number(row.median { $0.acquire?.p99 }),
                number(row.median { $0.processorMicrosecondsPerCycle.map { $0 * 10 } }),
                number(row.median { Double($0.peakMemoryBytes) / 1_048_576 }, digits: 1),
            ])
        }
        return table
    }

    private func contended(_ rows: [BenchmarkReport.Row]) -> TextTable {
        var table = TextTable(columns: [
            "subject", "nodes", "processes", "tasks", "hold ms", "acquisitions/s", "gap p50 µs", "p99 µs", "max/min",
            "overlaps", "commands", "with scripts'",
        ])
        for row in rows {
            table.add([
                row.subject.rawValue,
                "\(row.nodeCount)",
                "\(row.processCount)",
                "\(row.taskCount)",
                number(row.holdMicroseconds.map { Double($0) / 1_000 }),
                number(row.median(\.cyclesPerSecond)),
                number(row.median { $0.gap?.median }, digits: 1),
                number(row.median { $0.gap?.p99 }, digits: 1),
                number(row.median(\.unfairness), digits: 2),
                "\(row.rounds.map(\.overlaps).reduce(0, +))",
                number(row.median { perCycle($0, \.commands) }, digits: 2),
                number(row.median { perCycle($0, \.calls) }, digits: 2),
            ])
        }
        return table
    }

    private func perCycle(_ measurement: Measurement, _ count: (Traffic) -> Double) -> Double? {
        guard let traffic = measurement.traffic, measurement.cycles > 0 else { return nil }
        return count(traffic) / Double(measurement.cycles)
    }

    private func renewing(_ rows: [BenchmarkReport.Row]) -> TextTable {
        var table = TextTable(columns: [
            "subject", "nodes", "leases", "TTL s", "CPU %", "commands/s and node", "lost",
            "writes/100 ms and node",
            "reads/100 ms", "peak MiB",
        ])
        for row in rows {
            let timeToLive = row.timeToLiveSeconds ?? 0
            table.add([
                row.subject.rawValue,
                "\(row.nodeCount)",
                "\(row.taskCount)",
                "\(timeToLive)",
                number(row.median { $0.processorShare.map { $0 * 100 } }, digits: 2),
                number(row.commandsPerNodeAndSecond.median),
                "\(row.rounds.map(\.lostLeases).reduce(0, +))",
                number(row.median { $0.writesPerNodeAndTick(nodeCount: row.nodeCount) }, digits: 2),
                number(
                    row.median { measurement in measurement.traffic.map { $0.reads / measurement.seconds / 10 } },
                    digits: 2
                ),
                number(row.median { Double($0.peakMemoryBytes) / 1_048_576 }, digits: 1),
            ])
        }
        return table
    }

    private func waiting(_ rows: [BenchmarkReport.Row]) -> TextTable {
        var table = TextTable(columns: [
            "subject", "nodes", "waiters", "commands/s and node", "CPU %", "bytes per waiter", "bytes per bare task",
        ])
        for row in rows {
            let count = Double(row.taskCount)
            table.add([
                row.subject.rawValue,
                "\(row.nodeCount)",
                "\(row.taskCount)",
                number(row.commandsPerNodeAndSecond.median, digits: 2),
                number(row.median { $0.processorShare.map { $0 * 100 } }, digits: 2),
                number(row.median { $0.waitingMemoryBytes.map { Double($0) / count } }),
                number(row.median { $0.bareMemoryBytes.map { Double($0) / count } }),
            ])
        }
        return table
    }

    // MARK: The rest

    private var instructions: [String]? {
        guard report.rows.contains(where: { $0.workload == .uncontended }) else { return nil }
        guard !report.instructions.isEmpty else {
            return ["Instructions: not counted, as neither perf nor callgrind counts any here, or in a short run"]
        }
        var table = TextTable(columns: ["subject", "nodes", "instructions per cycle", "of limit", "counted by"])
        for count in report.instructions {
            let limit = report.instructions.first { $0.subject == .limitPlain && $0.nodeCount == count.nodeCount }
            table.add([
                count.subject.rawValue,
                "\(count.nodeCount)",
                number(count.instructionsPerCycle),
                count.subject == .limitPlain
                    ? "" : number(limit.map { count.instructionsPerCycle / $0.instructionsPerCycle }, digits: 2),
                count.counter,
            ])
        }
        return ["Instructions in user space, one task"] + table.lines
    }

    private var targets: [String]? {
        guard !report.targets.isEmpty else { return nil }
        var table = TextTable(columns: ["target", "asked", "measured", ""])
        for target in report.targets {
            let digits = target.limit < 100 ? 2 : 0
            table.add([
                target.title,
                "\(target.isFloor ? "≥" : "≤") \(number(target.limit, digits: digits))\(target.unit.isEmpty ? "" : " ")\(target.unit)",
                number(target.measured, digits: digits),
                target.isMet ? "met" : "missed",
            ])
        }
        return table.lines
    }

    /// A dash for what was not measured.
    private func number(_ value: Double?, digits: Int = 0) -> String {
        value.map { NumberText.grouped($0, decimals: digits) } ?? "-"
    }
}

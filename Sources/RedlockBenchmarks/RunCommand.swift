// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Measures everything, or what is asked for, and judges it.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Measures everything and prints a table (the default)."
    )

    @Option(help: "How often everything is measured; what is told is the median.")
    var rounds: Int = 3
    @Option(help: "How long one measurement of W1 to W3 goes on.")
    var seconds: Double?
    @Option(help: "Only these workloads, separated by commas: W1, W2, W3, W4, W5.", transform: Self.workloads)
    var only: Set<BenchmarkReport.Workload> = Set(BenchmarkReport.Workload.allCases)
    @Flag(help: "A form of about a minute, which notices when something has become twice as slow.")
    var short = false
    @Flag(help: "Fails if a target is missed.")
    var check = false
    @Option(help: "Writes everything that was measured into this file.")
    var json: String?
    @Option(help: "Writes tables and plots into this file, for a browser.")
    var html: String?
    @Flag(help: "Shows no progress.")
    var quiet = false

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds must be 1 at least") }
        guard seconds ?? 1 > 0 else { throw ValidationError("--seconds must be above 0") }
    }

    func run() async throws {
        let machine = await BenchmarkReport.Machine.ofThisProcess()
        show(TextReport.heading(machine))
        let missed = try await report(on: machine)
        guard check, !missed.isEmpty else { return }
        // What is missed once in a short run may be noise, and is not when it is missed again.
        guard short, !missed.contains(where: \.isExact) else { throw ExitCode.failure }
        show("missed, and measured once more")
        let titles = Set(missed.map(\.title))
        let missedAgain = try await report(on: machine).filter { $0.isExact || titles.contains($0.title) }
        guard missedAgain.isEmpty else { throw ExitCode.failure }
    }

    /// Measures, tells, and returns what was missed.
    private func report(on machine: BenchmarkReport.Machine) async throws -> [BenchmarkReport.TargetResult] {
        let command = self
        let report = try await cancelledBySignals { try await command.measure(on: machine) }
        show(TextReport(report).text)
        if let json { try write(report, to: json) }
        if let html { try HTMLReport(report).text.write(toFile: html, atomically: true, encoding: .utf8) }
        return report.targets.filter { !$0.isMet }
    }

    private func measure(on machine: BenchmarkReport.Machine) async throws -> BenchmarkReport {
        let plan =
            short
            ? Plan.short(rounds: rounds, seconds: seconds ?? 0.5, workloads: only)
            : Plan.full(rounds: rounds, seconds: seconds ?? 1, workloads: only)
        var report = BenchmarkReport(
            machine: machine,
            began: Date.now.ISO8601Format(),
            rounds: rounds,
            rows: [],
            instructions: [],
            targets: []
        )
        try await Coordinator(plan: plan, progress: ProgressLine(isQuiet: quiet)).run(&report)
        report.targets = Target.judge(Findings(rows: report.rows), isShort: short)
        return report
    }

    private func write(_ report: BenchmarkReport, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(report).write(to: URL(fileURLWithPath: path))
    }

    /// Prints it at once, also into a pipe.
    private func show(_ text: String) {
        print(text)
        fflush(nil)
    }

    private static func workloads(_ text: String) throws -> Set<BenchmarkReport.Workload> {
        let names = text.split(separator: ",").map(String.init)
        return Set(
            try names.map { name in
                guard let workload = BenchmarkReport.Workload(rawValue: name) else {
                    throw ValidationError("there is no workload \(name), but W1 to W5")
                }
                return workload
            }
        )
    }
}

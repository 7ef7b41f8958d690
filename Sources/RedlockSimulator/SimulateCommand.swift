// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import LockCore

/// Runs the client in one simulated world after the other.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Runs the client in one simulated world after the other, and says what must never be and was.",
        discussion: """
            A world has 1 to 7 servers, 2 to 8 clients, a network, clocks, and faults; all of them follow from its seed. \
            With --seed, one world is run and told.
            """
    )

    @Option(help: "How many worlds.")
    var seeds: UInt64 = 1_000
    @Option(help: "The first seed.")
    var from: UInt64 = 0
    @Option(help: "One world, of this seed: everything that happens in it is told.")
    var seed: UInt64?
    @Option(
        help:
            "Only faults of these kinds, separated by commas: \(FaultKind.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var faults: String?
    @Option(help: "Plants this mistake into the client, to see it found.")
    var plant: String?

    func run() throws {
        let allowed = try allowedFaults()
        if let plant {
            guard let bug = PlantedBug(rawValue: plant) else {
                let names = PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("there is no mistake \(plant), but \(names)")
            }
            Mutant(mistake: .client(bug)).plant(true)
        }
        if let seed { return tell(Scenario(seed: seed, allowed: allowed)) }
        var campaign = Campaign(seeds: from..<from + seeds) { Scenario(seed: $0, allowed: allowed) }
        campaign.repeatsOneOf = max(1, seeds / 1_000)
        let line = ProgressLine(total: seeds)
        let result = campaign.run { line.show($0.worlds, violations: $0.violations.count) }
        line.end()
        for (seed, violation) in result.violations.prefix(3) {
            print("\nseed \(seed): \(violation)")
            for line in Replay(Scenario(seed: seed, allowed: allowed), violation).lines() { print(line) }
        }
        for seed in result.unlikeRepeats { print("seed \(seed): two runs were not the same") }
        report(result)
        guard result.violations.isEmpty, result.unlikeRepeats.isEmpty else { throw ExitCode.failure }
    }

    private func allowedFaults() throws -> Set<FaultKind> {
        guard let faults else { return Set(FaultKind.allCases) }
        let kinds = try faults.split(separator: ",").map { name in
            guard let kind = FaultKind(rawValue: String(name)) else {
                throw ValidationError("there is no fault \(name); see --help")
            }
            return kind
        }
        return Set(kinds)
    }

    private func tell(_ scenario: Scenario) {
        print(scenario.description)
        let outcome = Simulation(scenario) { now, line in print("\(now.inSeconds) s  \(line)") }.run()
        print("trace \(String(outcome.trace, radix: 16)), \(outcome.events) events, \(outcome.grants) grants")
        print(outcome.violation.map { "\($0)" } ?? "no violation")
    }

    private func report(_ result: Campaign.Result) {
        let seconds = Double(result.elapsed / .milliseconds(1)) / 1_000
        let simulated = Double(result.simulatedNanoseconds) / 1e9
        func average(_ count: Int) -> String { String(format: "%.1f", Double(count) / Double(max(1, result.worlds))) }
        let rows: [(String, String)] = [
            ("worlds", "\(result.worlds) in \(String(format: "%.1f", seconds)) s"),
            (
                "simulated time",
                "\(String(format: "%.0f", simulated / 3_600)) h, \(Int(simulated / seconds)) times real time"
            ),
            ("grants", "\(result.grants), \(average(result.grants)) in a world, \(result.fewestGrants) at least"),
            ("terms of elections", "\(result.terms)"),
            ("faults", "\(result.faults), \(average(result.faults)) in a world"),
            (
                "events",
                "\(result.events), \(average(result.eventsBesidesHeartbeats)) in a world that are no heartbeats"
            ),
            ("updates lost without tokens", "\(result.updatesLostWithoutTokens)"),
            ("stale writes refused by tokens", "\(result.refusedWrites)"),
            ("peak memory", "\(peakMemoryMebibytes) MiB"),
            ("worlds run twice", "\(result.repeated), \(result.unlikeRepeats.count) unlike"),
        ]
        for (name, value) in rows { print("\(name.padding(toLength: 32, withPad: " ", startingAt: 0))\(value)") }
        print("\(result.worlds) worlds, \(result.violations.count) violations")
    }
}

/// The most memory that the process has had.
private var peakMemoryMebibytes: Int {
    var usage = rusage()
    // RUSAGE_SELF, whose type differs between systems.
    getrusage(0, &usage)
    #if os(Linux)
        return usage.ru_maxrss / 1_024
    #else
        return usage.ru_maxrss / 1_048_576
    #endif
}

/// One line on a terminal that says how far it is.
struct ProgressLine {
    private let total: UInt64
    private let isTerminal = isatty(2) == 1

    init(total: UInt64) {
        self.total = total
    }

    func show(_ count: UInt64, violations: Int) {
        guard isTerminal else { return }
        FileHandle.standardError.write(Data("\r\(count) of \(total) worlds, \(violations) violations ".utf8))
    }

    func end() {
        if isTerminal { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Runs one world after the other.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Runs the client in one simulated world after the other."
    )

    @Option(help: "How many worlds.")
    var seeds: UInt64 = 100
    @Option(help: "The first, or the only one if it is to be told what happens in it.")
    var seed: UInt64?
    @Option(help: "Only these kinds of faults, separated by commas.")
    var faults: String?

    func run() throws {
        let allowed = faults.map { Set($0.split(separator: ",").compactMap { FaultKind(rawValue: String($0)) }) } ?? Set(FaultKind.allCases)
        if let seed {
            let scenario = Scenario(seed: seed, allowed: allowed)
            print(scenario.description)
            let outcome = Simulation(scenario, log: { now, line in print(now.inSeconds, line) }).run()
            print(outcome)
            return
        }
        var grants = 0, events = 0, faults = 0, simulated: Int64 = 0, refused = 0, lost = 0, useful = 0
        let clock = ContinuousClock()
        let begun = clock.now
        for seed in 0..<seeds {
            let outcome = Simulation(Scenario(seed: seed, allowed: allowed)).run()
            grants += outcome.grants
            events += outcome.events
            useful += outcome.eventsBesidesHeartbeats
            faults += outcome.faults
            refused += outcome.refusedWrites
            lost += outcome.updatesLostWithoutTokens
            simulated += outcome.simulatedNanoseconds
            if let violation = outcome.violation { print(seed, violation, Scenario(seed: seed, allowed: allowed).description) }
        }
        print("grants \(grants) events \(events) useful \(useful) faults \(faults) refused \(refused) lost \(lost) simulated \(simulated / 1_000_000_000) s in \(clock.now - begun)")
    }
}

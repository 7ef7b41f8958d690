// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Plants mistakes, one after the other, and looks whether the simulation finds them.
struct MutantsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutants",
        abstract: "Plants mistakes into the client and the scripts, and looks whether the simulation finds each."
    )

    @Option(help: "In how many worlds each must be found.")
    var seeds: UInt64 = 100_000
    @Option(help: "Only the mistakes whose names contain this.")
    var named: String?

    func run() throws {
        let mutants = Mutant.all.filter { named.map($0.name.contains) ?? true }
        guard !mutants.isEmpty else { throw ValidationError("there is no mistake \(named ?? "")") }
        var missed = 0
        print("\("mistake".padded(to: 40)) \("worlds".padded(to: 8)) \("seed".padded(to: 8)) found by")
        for mutant in mutants {
            // A pipe shows it at once, too.
            defer { fflush(nil) }
            if let found = mutant.find(within: seeds) {
                let rule = found.violation.rule.rawValue
                print(
                    "\(mutant.name.padded(to: 40)) \("\(found.worlds)".padded(to: 8)) \("\(found.seed)".padded(to: 8)) \(rule)"
                )
            } else {
                missed += 1
                print("\(mutant.name.padded(to: 40)) not found in \(seeds) worlds")
            }
        }
        print("\(mutants.count) mistakes planted, \(mutants.count - missed) found")
        if missed > 0 { throw ExitCode.failure }
    }
}

extension String {
    /// The text with blanks behind it, for a column of a table.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}

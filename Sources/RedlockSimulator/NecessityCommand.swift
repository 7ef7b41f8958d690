// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Breaks every assumption, with the guard against it and without.
struct NecessityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "necessity",
        abstract: "Breaks every assumption, with the guard against it and without.",
        discussion: "With the guard nothing may be violated; without it something must be, or the guard is of no use."
    )

    @Option(help: "In how many worlds nothing may be violated.")
    var worlds: UInt64 = 2_000
    @Option(help: "In how many worlds something must be violated without the guard.")
    var most: UInt64 = 100_000
    @Option(help: "Only this assumption.")
    var only: String?

    func run() throws {
        var wrong = 0
        print("\("".padded(to: 15)) \("assumption".padded(to: 54)) \("with the guard".padded(to: 28)) without it")
        let rows = Necessity.all.filter { only == nil || $0.assumption == only }
        guard !rows.isEmpty else { throw ValidationError("there is no assumption \(only ?? "")") }
        for row in rows {
            defer { fflush(nil) }
            let (guarded, unguarded) = (row.guarded(worlds: worlds), row.unguarded(worlds: worlds, most: most))
            if guarded.violations > 0 || unguarded.violations == 0 { wrong += 1 }
            let kept =
                "\(guarded.violations) in \(guarded.worlds) worlds"
                + (guarded.violations > 0 ? ": \(guarded.rule)" : "")
            let broken = "\(unguarded.rule), \(unguarded.worlds) worlds"
            print(
                "\(row.assumption.padded(to: 15)) \(row.meaning.padded(to: 54)) \(kept.padded(to: 28)) \(broken)"
            )
            for line in guarded.story { print("    \(line)") }
        }
        print("\(rows.count) rows, \(wrong) not as they must be")
        if wrong > 0 { throw ExitCode.failure }
    }
}

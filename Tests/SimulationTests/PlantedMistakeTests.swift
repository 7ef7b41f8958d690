// SPDX-License-Identifier: Apache-2.0

import Foundation
import LockCore
import Testing

@testable import RedlockSimulator

/// Mistakes are planted and found.
///
/// Each in a process of its own: a mistake is planted into all clients of a process.
///
/// A few that show soon; `make mutants` plants all.
@Suite(.serialized)
struct PlantedMistakeTests {
    @Test(arguments: [
        "quorumOneTooSmall", "driftForgotten", "tokenUnconfirmed", "tokenOfFirstAnswer", "quarantineSkipped",
        "restartOverlooked", "clocksNotCompared", "membershipIgnored", "neverRenewed", "givenUpCallNotReleased",
        "quorumOneTooSmall in elections", "lossNotTold in elections", "release deletes a foreign key",
        "acquire ignores the record", "acquire sets a key without an end",
    ])
    func mistakeIsFound(_ name: String) throws {
        let output = try simulator("mutants", "--seeds", "150", "--named", name)
        #expect(output.status == 0, "\(output.text)")
    }

    /// The control: without a mistake, the same worlds show nothing.
    @Test
    func nothingIsFoundWhereNothingIsPlanted() {
        for mutant in Mutant.all {
            guard case .client = mutant.mistake else { continue }
            let result = Campaign(seeds: 0..<4) { mutant.scenario(seed: $0) }.run()
            #expect(result.violations.isEmpty, "\(mutant.name): \(result.violations)")
        }
    }

    @Test(arguments: ["A2", "A4", "A14", "A15"])
    func assumptionIsNeededAndGuarded(_ assumption: String) throws {
        let output = try simulator("necessity", "--only", assumption, "--worlds", "20", "--most", "150")
        #expect(output.status == 0, "\(output.text)")
    }

    @Test
    func everyMistakeIsPlanted() {
        let planted = Mutant.all.compactMap { mutant in
            if case .client(let bug) = mutant.mistake { bug } else { nil }
        }
        #expect(Set(planted) == Set(PlantedBug.allCases))
        #expect(Mutant.all.count >= 25)
    }

    @Test
    func everyAssumptionHasItsRow() {
        let rows = Set(Necessity.all.map { String($0.assumption.prefix { $0 != "," }) })
        #expect(rows == Set((1...15).map { "A\($0)" }))
    }

    private func simulator(_ arguments: String...) throws -> (status: Int32, text: String) {
        let process = Process()
        let output = Pipe()
        process.executableURL = try executable()
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    /// The simulator, built beside the tests.
    private func executable() throws -> URL {
        var directory = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        for _ in 0..<4 {
            let candidate = directory.appending(path: "RedlockSimulator")
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
            directory.deleteLastPathComponent()
        }
        return try #require(nil as URL?, "the simulator is not built beside the tests")
    }
}

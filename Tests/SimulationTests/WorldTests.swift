// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RedlockSimulator

/// Worlds in which the client runs unchanged.
///
/// Few, as a debug build is slow; `make simulate` runs many.
@Suite(.serialized)
struct WorldTests {
    @Test
    func nothingIsViolated() {
        let result = Campaign(seeds: 0..<150) { Scenario(seed: $0) }.run()
        for (seed, violation) in result.violations {
            let lines = Replay(Scenario(seed: seed), violation).lines()
            Issue.record("seed \(seed): \(lines.joined(separator: "\n"))")
        }
        // A world in which little happens shows little.
        #expect(result.grants > 1_500)
        #expect(result.terms > 50)
        #expect(result.faults > 450)
        #expect(result.eventsBesidesHeartbeats > 150_000)
    }

    @Test
    func sameSeedGivesTheSameWorld() {
        var campaign = Campaign(seeds: 1_000..<1_030) { Scenario(seed: $0) }
        campaign.repeatsOneOf = 1
        let result = campaign.run()
        #expect(result.repeated == 30)
        #expect(result.unlikeRepeats.isEmpty)
    }

    @Test(
        "In elections there are never two valid terms at a time, numbers grow, and somebody leads when faults have ended"
    )
    func electionsAreInOrder() {
        let result = Campaign(seeds: 2_000..<2_060) { seed in
            var scenario = Scenario(seed: seed)
            scenario.holdsElection = true
            scenario.judgesLiveness = true
            return scenario
        }.run()
        #expect(result.violations.isEmpty, "\(result.violations)")
        #expect(result.terms > 300)
        #expect(result.faults > 200)
    }

    @Test
    func otherSeedsGiveOtherWorlds() {
        let traces = (0..<20).map { Simulation(Scenario(seed: $0)).run().trace }
        #expect(Set(traces).count == 20)
    }

    /// Reading along must not change what happens.
    @Test
    func worldThatIsToldIsTheSame() {
        for seed in UInt64(0)..<10 {
            var lines = 0
            let told = Simulation(Scenario(seed: seed)) { _, _ in lines += 1 }.run()
            #expect(told.trace == Simulation(Scenario(seed: seed)).run().trace)
            #expect(lines > 20)
        }
    }

    @Test
    func everyKindOfFaultStrikes() {
        var kinds: Set<FaultKind> = []
        for seed in UInt64(0)..<300 { kinds.formUnion(Scenario(seed: seed).faults.map(\.kind)) }
        #expect(kinds == Set(FaultKind.allCases))
    }

    /// The faults that have nothing to do with a violation are left out where it is told.
    @Test
    func replayKeepsOnlyTheFaultsThatAreNeeded() throws {
        let mutant = try #require(Mutant.all.first { $0.name == "release deletes a foreign key" })
        let seed = UInt64(0)
        let scenario = mutant.scenario(seed: seed)
        let violation = try #require(Simulation(scenario).run().violation)
        let lines = Replay(scenario, violation).lines()
        #expect(lines.first?.contains(violation.rule.rawValue) == true)
        #expect(lines.last?.contains("VIOLATION") == true)
        // It shows without any fault, as soon as two want the same.
        let start = try #require(lines.firstIndex(of: "faults that are needed for it:"))
        #expect(lines[start + 1] == "what happened before:")
        #expect(!scenario.faults.isEmpty)
    }
}

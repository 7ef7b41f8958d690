// SPDX-License-Identifier: Apache-2.0

import LockCore

/// An assumption that the promises rest on, worlds in which it is broken, and what then happens with the guard of this
/// package against it and without.
struct Necessity: Sendable {
    /// What takes the guard away, or breaks what cannot be guarded.
    enum Removal: Sendable {
        /// The guard is a part of the client or of the scripts, and the mistake takes it out.
        case mistake
        /// Nobody can guard; a store that compares tokens makes it harmless, and one that does not loses updates.
        case token
        /// It is guarded as far as it can be, and what goes beyond shows.
        case more(@Sendable (inout Scenario) -> Void)
    }

    /// What came of the worlds.
    struct Outcome: Sendable {
        let worlds: UInt64
        let violations: Int
        let rule: String
        /// What led to the first violation with every guard in its place.
        var story: [String] = []
    }

    let assumption: String
    let meaning: String
    let mutant: Mutant
    var removal = Removal.mistake

    /// With every guard in its place: nothing may be violated.
    func guarded(worlds: UInt64) -> Outcome {
        let result = Campaign(seeds: 0..<worlds) { mutant.honestScenario(seed: $0) }.run()
        guard let first = result.violations.first else {
            return Outcome(worlds: result.worlds, violations: 0, rule: "none")
        }
        return Outcome(
            worlds: result.worlds,
            violations: result.violations.count,
            rule: "\(first.violation.rule.rawValue), seed \(first.seed)",
            story: Replay(mutant.honestScenario(seed: first.seed), first.violation).lines()
        )
    }

    /// Without the guard: something must be violated.
    ///
    /// - Parameters:
    ///   - worlds: how many are looked at where updates are counted.
    ///   - most: how many are looked at where the first violation is enough.
    func unguarded(worlds: UInt64, most: UInt64) -> Outcome {
        switch removal {
        case .mistake:
            return outcome(of: mutant.find(within: most), most: most)
        case .token:
            let result = Campaign(seeds: 0..<worlds) { mutant.honestScenario(seed: $0) }.run()
            let lost = result.updatesLostWithoutTokens
            return Outcome(worlds: result.worlds, violations: lost, rule: "\(lost) updates lost without tokens")
        case .more(let change):
            let campaign = Campaign(seeds: 0..<most) { seed in
                var scenario = mutant.honestScenario(seed: seed)
                change(&scenario)
                return scenario
            }
            return outcome(of: campaign.firstViolation(), most: most)
        }
    }

    private func outcome(of found: (worlds: UInt64, seed: UInt64, violation: Violation)?, most: UInt64) -> Outcome {
        guard let found else { return Outcome(worlds: most, violations: 0, rule: "none") }
        return Outcome(worlds: found.worlds, violations: 1, rule: found.violation.rule.rawValue)
    }
}

extension Necessity {
    /// One row for each assumption.
    static let all: [Necessity] = [
        Necessity(
            assumption: "A1",
            meaning: "every node is a server of its own",
            mutant: .of(.twinOverlooked)
        ),
        Necessity(
            assumption: "A2",
            meaning: "a node keeps its keys over a restart",
            mutant: .of(.quarantineSkipped)
        ),
        Necessity(
            assumption: "A3",
            meaning: "what was answered is on disk",
            mutant: .of(.durabilityAssumed)
        ),
        Necessity(
            assumption: "A4",
            meaning: "nobody deletes keys",
            mutant: .named("acquire ignores the record")
        ),
        Necessity(
            assumption: "A5",
            meaning: "no key is evicted",
            mutant: .of(.evictionOverlooked)
        ),
        Necessity(
            assumption: "A6",
            meaning: "a node is a master of its own",
            mutant: .of(.failoverOverlooked)
        ),
        Necessity(
            assumption: "A7",
            meaning: "no server's clock runs fast or jumps forward",
            mutant: .of(.clocksNotCompared)
        ),
        Necessity(
            assumption: "A7, more nodes",
            meaning: "as A7, on more nodes than the quorum bears, unseen",
            mutant: Mutant(mistake: .nothing, faults: [.clockRate]) { scenario in
                // All of one, so that none is left to compare with, and leases that end before anybody looks.
                scenario.setNodes(1, quorum: 1)
                scenario.longestRest = scenario.maximumTTL / 2
            },
            removal: .token
        ),
        Necessity(
            assumption: "A8",
            meaning: "no server's clock stands still",
            mutant: Mutant(mistake: .nothing, faults: [.slowness]) { scenario in
                scenario.setNodes(3, quorum: 2)
                scenario.clocksThatStop = 1
                scenario.judgesLiveness = true
            },
            removal: .more { $0.clocksThatStop = $0.nodeCount }
        ),
        Necessity(
            assumption: "A9",
            meaning: "a client's clock goes on",
            mutant: Mutant(mistake: .nothing, faults: [.virtualMachinePause]),
            removal: .token
        ),
        Necessity(
            assumption: "A10",
            meaning: "a holder stops when its lease ends",
            mutant: Mutant(mistake: .nothing, faults: [.processStop]),
            removal: .token
        ),
        Necessity(
            assumption: "A11",
            meaning: "a reply belongs to its request",
            mutant: .of(.connectionKeptAfterTimeout)
        ),
        Necessity(
            assumption: "A12",
            meaning: "what was given up is not carried out later",
            mutant: .of(.lateVoteNotTakenBack)
        ),
        Necessity(
            assumption: "A13",
            meaning: "an error says that nothing was set",
            mutant: .of(.errorCountsAsRefused)
        ),
        Necessity(
            assumption: "A14",
            meaning: "all clients have the same list",
            mutant: .of(.membershipIgnored)
        ),
        Necessity(
            assumption: "A15",
            meaning: "nobody guesses an owner token",
            mutant: Mutant(mistake: .nothing, faults: [.slowness]) { $0.longestRest = $0.maximumTTL },
            removal: .more { $0.hasGuessableTokens = true }
        ),
    ]
}

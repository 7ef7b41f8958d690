// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting

/// An assumption that the promises rest on, worlds in which it is broken, and what then happens with the guard of this
/// package against it and without.
struct Necessity: Sendable {
    /// What takes the guard away, or breaks what cannot be guarded.
    enum Removal: Sendable {
        /// The guard is a part of the client or of the scripts, and is taken out.
        case guarding(Mutant.Mistake)
        /// Nobody can guard; a store that compares tokens makes it harmless, and one that does not loses updates.
        case token
        /// Nothing can be done but to say so: this many servers may fail, and not more.
        case more(@Sendable (inout Scenario) -> Void)
    }

    /// What came of the worlds.
    struct Outcome: Sendable {
        let worlds: UInt64
        let violations: Int
        let rule: String
    }

    let assumption: String
    let meaning: String
    let faults: Set<FaultKind>
    let removal: Removal
    var adjust: @Sendable (inout Scenario) -> Void = { _ in }

    private var mutant: Mutant {
        if case .guarding(let mistake) = removal {
            return Mutant(mistake: mistake, faults: faults, adjust: adjust)
        }
        return Mutant(mistake: .script("none", []), faults: faults, adjust: adjust)
    }

    /// With every guard in its place: nothing may be violated.
    func guarded(worlds: UInt64) -> Outcome {
        let honest = Mutant(mistake: .script("none", []), faults: faults, adjust: adjust)
        let result = Campaign(seeds: 0..<worlds) { honest.scenario(seed: $0) }.run()
        let rule = result.violations.first.map { "\($0.violation.rule.rawValue), seed \($0.seed)" } ?? "none"
        return Outcome(worlds: result.worlds, violations: result.violations.count, rule: rule)
    }

    /// Without the guard: something must be violated.
    ///
    /// - Parameters:
    ///   - worlds: how many are looked at where updates are counted.
    ///   - most: how many are looked at where the first violation is enough.
    func unguarded(worlds: UInt64, most: UInt64) -> Outcome {
        switch removal {
        case .guarding:
            guard let found = mutant.find(within: most) else {
                return Outcome(worlds: most, violations: 0, rule: "none")
            }
            return Outcome(worlds: found.worlds, violations: 1, rule: found.violation.rule.rawValue)
        case .token:
            let result = Campaign(seeds: 0..<worlds) { mutant.scenario(seed: $0) }.run()
            let lost = result.updatesLostWithoutTokens
            return Outcome(worlds: result.worlds, violations: lost, rule: "\(lost) updates lost without tokens")
        case .more(let change):
            var campaign = Campaign(seeds: 0..<most) { seed in
                var scenario = mutant.scenario(seed: seed)
                change(&scenario)
                return scenario
            }
            campaign.stopsAtViolation = true
            let result = campaign.run()
            let rule = result.violations.first?.violation.rule.rawValue ?? "none"
            return Outcome(worlds: result.worlds, violations: result.violations.count, rule: rule)
        }
    }
}

extension Necessity {
    /// One row for each assumption.
    static let all: [Necessity] = [
        Necessity(
            assumption: "A1",
            meaning: "every node is a server of its own",
            faults: [.eviction],
            removal: .guarding(.client(.twinOverlooked))
        ) { scenario in
            scenario.setNodes(3, quorum: 2)
            scenario.setup = .listedTwice
            scenario.longestRest = scenario.maximumTTL / 2
            scenario.claimsExclusionAlways = true
            scenario.judgesLiveness = false
        },
        Necessity(
            assumption: "A2",
            meaning: "a node keeps its keys over a restart",
            faults: [.restart],
            removal: .guarding(.client(.quarantineSkipped))
        ) { $0.isDurable = false },
        Necessity(
            assumption: "A3",
            meaning: "what was answered is on disk",
            faults: [.restart],
            removal: .guarding(.client(.durabilityAssumed))
        ) { $0.isDurable = false },
        Necessity(
            assumption: "A4",
            meaning: "nobody deletes keys",
            faults: [.flush],
            removal: .guarding(.script("acquire ignores the record", .acquireIgnoresRecord))
        ),
        Necessity(
            assumption: "A5",
            meaning: "no key is evicted",
            faults: [.eviction],
            removal: .guarding(.client(.evictionOverlooked))
        ) { scenario in
            scenario.setNodes(3, quorum: 2)
            scenario.setup = .evicting
            scenario.longestRest = scenario.maximumTTL / 2
            scenario.claimsExclusionAlways = true
            scenario.judgesLiveness = false
        },
        Necessity(
            assumption: "A6",
            meaning: "a node is a master of its own",
            faults: [.promotion],
            removal: .guarding(.client(.failoverOverlooked))
        ),
        Necessity(
            assumption: "A7",
            meaning: "no server's clock runs fast or jumps forward",
            faults: [.clockJump],
            removal: .guarding(.client(.clocksNotCompared))
        ) { $0.setNodes(3, quorum: 2) },
        Necessity(
            assumption: "A7, more nodes",
            meaning: "as A7, on more nodes than the quorum bears, unseen",
            faults: [.clockRate],
            removal: .token
        ) { scenario in
            // All of one, so that none is left to compare with, and leases that end before anybody looks.
            scenario.setNodes(1, quorum: 1)
            scenario.longestRest = scenario.maximumTTL / 2
        },
        Necessity(
            assumption: "A8",
            meaning: "no server's clock stands still",
            faults: [.slowness],
            removal: .more { $0.clocksThatStop = $0.nodeCount }
        ) { scenario in
            scenario.setNodes(3, quorum: 2)
            scenario.clocksThatStop = 1
            scenario.judgesLiveness = true
        },
        Necessity(
            assumption: "A9",
            meaning: "a client's clock goes on",
            faults: [.virtualMachinePause],
            removal: .token
        ),
        Necessity(
            assumption: "A10",
            meaning: "a holder stops when its lease ends",
            faults: [.processStop],
            removal: .token
        ),
        Necessity(
            assumption: "A11",
            meaning: "a reply belongs to its request",
            faults: [.stall, .slowness, .nodeStop],
            removal: .guarding(.client(.connectionKeptAfterTimeout))
        ),
        Necessity(
            assumption: "A12",
            meaning: "what was given up is not carried out later",
            faults: [.slowness],
            removal: .guarding(.client(.lateVoteNotTakenBack))
        ) { scenario in
            scenario.delays = scenario.nodeTimeout / 20...scenario.nodeTimeout / 10
            scenario.endsWith(.slowness)
        },
        Necessity(
            assumption: "A13",
            meaning: "an error says that nothing was set",
            faults: [.scriptError],
            removal: .guarding(.client(.errorCountsAsRefused))
        ) { $0.endsWith(.scriptError) },
        Necessity(
            assumption: "A14",
            meaning: "all clients have the same list",
            faults: [.slowness],
            removal: .guarding(.client(.membershipIgnored))
        ) { scenario in
            scenario.setNodes(3, quorum: 2)
            scenario.setup = .otherMembers
            scenario.judgesLiveness = false
        },
        Necessity(
            assumption: "A15",
            meaning: "nobody guesses an owner token",
            faults: [.slowness],
            removal: .more { $0.hasGuessableTokens = true }
        ) { $0.longestRest = $0.maximumTTL },
    ]
}

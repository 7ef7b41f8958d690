// SPDX-License-Identifier: Apache-2.0

import LockCore
import Redlock
import RedlockSimulation

/// A mistake in the client or in the scripts, and the kind of world that it shows in.
struct Mutant: Sendable {
    enum Mistake: Sendable {
        /// None: only the world is special.
        case nothing
        case client(PlantedBug)
        case script(ScriptDefect)
    }

    let mistake: Mistake
    var faults: Set<FaultKind> = Set(FaultKind.allCases)
    /// What is special about the worlds.
    var adjust: @Sendable (inout Scenario) -> Void = { _ in }

    /// Whether its worlds are those of elections.
    private(set) var isInElections = false

    var name: String {
        let name =
            switch mistake {
            case .nothing: "nothing"
            case .client(let bug): bug.rawValue
            case .script(let defect): defect.name
            }
        return isInElections ? "\(name) in elections" : name
    }

    /// The scenario of a seed, without the mistake.
    func honestScenario(seed: UInt64) -> Scenario {
        var scenario = Scenario(seed: seed, allowed: faults)
        adjust(&scenario)
        return scenario
    }

    /// The scenario of a seed, with the mistake in its servers if it is one of scripts.
    func scenario(seed: UInt64) -> Scenario {
        var scenario = honestScenario(seed: seed)
        if case .script(let defect) = mistake { scenario.scriptDefect = defect }
        return scenario
    }

    /// Plants the mistake of a client, or takes it out again; the scripts have theirs from the scenario.
    func plant(_ isPlanted: Bool) {
        #if REDLOCK_PLANTED_BUGS
            if case .client(let bug) = mistake { plantedBug = isPlanted ? bug : nil }
        #else
            preconditionFailure("mistakes can be planted only where the package is built with REDLOCK_PLANTED_BUGS")
        #endif
    }

    /// How many of the first worlds it takes to find it, and what was found; nil if it was not.
    func find(within seeds: UInt64) -> (worlds: UInt64, seed: UInt64, violation: Violation)? {
        plant(true)
        defer { plant(false) }
        return Campaign(seeds: 0..<seeds) { scenario(seed: $0) }.firstViolation()
    }
}

extension Mutant {
    private static let network: Set<FaultKind> = [.stall, .slowness, .nodeStop]

    /// All of them, but for four mistakes of scripts that change nothing which is promised.
    ///
    /// A record that is overwritten by another is as good; a node that lost its counter and was repaired without it begins
    /// with the time of day; and a raise that does not ask whether the lock is held raises a counter too far at worst;
    /// whoever is not woken looks for itself.
    /// That they differ from the real scripts shows in the comparison with a real server.
    static let all: [Mutant] = clients + scripts + elections

    /// Mistakes that show in elections as well: two terms at a time, numbers out of order, a loss that nobody is told of, and
    /// an election that nobody wins.
    private static let elections = [
        PlantedBug.quorumOneTooSmall, .tokenOfFirstAnswer, .lossNotTold, .neverLooksForItself,
    ]
    .map { bug in
        var mutant = clients.first { $0.name == bug.rawValue } ?? Mutant(mistake: .client(bug))
        mutant.isInElections = true
        mutant.adjust = { scenario in
            scenario.holdsElection = true
            scenario.judgesLiveness = true
        }
        return mutant
    }

    /// The one with a mistake of the client.
    static func of(_ bug: PlantedBug) -> Mutant {
        named(bug.rawValue)
    }

    /// The one of that name.
    static func named(_ name: String) -> Mutant {
        guard let mutant = all.first(where: { $0.name == name }) else {
            preconditionFailure("no mutant is named \(name)")
        }
        return mutant
    }

    private static let clients: [Mutant] = [
        Mutant(mistake: .client(.quorumOneTooSmall)),
        Mutant(mistake: .client(.driftForgotten), faults: network) {
            $0.drift = .strict; $0.clockRate = 72_500
        },
        Mutant(mistake: .client(.validityFromDecision), faults: network) { $0.isSlow() },
        Mutant(mistake: .client(.extensionFromAnswer), faults: [.slowness]) { $0.isSlowNowAndThen() },
        Mutant(mistake: .client(.lateGrantReturned), faults: network.union([.processStop])),
        Mutant(mistake: .client(.missingKeyCountsAsExtended), faults: [.flush, .restart, .nodeStop]),
        Mutant(mistake: .client(.tokenUnconfirmed)),
        Mutant(mistake: .client(.tokenOfFirstAnswer)),
        Mutant(mistake: .client(.seededByWallClock), faults: [.wallClock, .counterLoss]) { scenario in
            scenario.setNodes(3, quorum: 2)
            scenario.resourceCount = 1
            scenario.maximumTTL = scenario.nodeTimeout * 200
            scenario.longestRest = scenario.nodeTimeout
        },
        Mutant(mistake: .client(.tokenReusedAtHandOver)) { $0.isCrowded() },
        Mutant(mistake: .client(.handedOverBeyondBlock)) { $0.isCrowded() },
        Mutant(mistake: .client(.handedOverTooLate)) { $0.isCrowded() },
        Mutant(mistake: .client(.releasedAtHandOver)) { $0.isCrowded() },
        Mutant(mistake: .client(.neverLooksForItself), faults: network.union([.crash])) { scenario in
            scenario.isCrowded()
            scenario.judgesLiveness = true
        },
        Mutant(mistake: .client(.lineForgotten), faults: network.union([.cancellation])) { scenario in
            scenario.isCrowded()
            scenario.judgesLiveness = true
        },
        Mutant(mistake: .client(.sharerCountedTwice)) { $0.isForSharers() },
        Mutant(mistake: .client(.slotsCountedTogether)) { $0.isForSlots() },
        Mutant(mistake: .client(.onlyFirstOfSeveralExtended)) { $0.isForSeveral() },
        Mutant(mistake: .client(.onlyFirstOfSeveralReleased), faults: [.wallClock]) { scenario in
            scenario.isForSeveral()
            scenario.maximumTTL = 60 * .second
        },
        Mutant(mistake: .client(.quarantineSkipped), faults: [.restart, .flush]) { $0.isDurable = false },
        Mutant(mistake: .client(.restartOverlooked), faults: [.restart]) { $0.isDurable = false },
        Mutant(mistake: .client(.durabilityAssumed), faults: [.restart]) { $0.isDurable = false },
        Mutant(mistake: .client(.evictionOverlooked), faults: [.eviction]) { scenario in
            scenario.longestRest = scenario.maximumTTL
            scenario.setup = .evicting
            scenario.claimsExclusionAlways = true
            scenario.judgesLiveness = false
        },
        Mutant(mistake: .client(.failoverOverlooked), faults: [.promotion]),
        Mutant(mistake: .client(.twinOverlooked), faults: [.eviction]) { scenario in
            scenario.setNodes(3, quorum: 2)
            scenario.setup = .listedTwice
            scenario.longestRest = scenario.maximumTTL
            scenario.claimsExclusionAlways = true
            scenario.judgesLiveness = false
        },
        // Nothing that could keep a client from the node that both lists have.
        Mutant(mistake: .client(.membershipIgnored), faults: [.wallClock]) { scenario in
            scenario.setNodes(3, quorum: 2)
            scenario.setup = .otherMembers
            scenario.judgesLiveness = false
        },
        Mutant(mistake: .client(.maximumTTLIgnored), faults: [.restart]) { scenario in
            scenario.isDurable = false
            scenario.setup = .longerTTL
            scenario.judgesLiveness = false
        },
        Mutant(mistake: .client(.clocksNotCompared), faults: [.clockJump]) { $0.setNodes(3, quorum: 2) },
        Mutant(mistake: .client(.votesNotVerified), faults: [.clockJump]),
        Mutant(mistake: .client(.jumpForgiven), faults: [.clockJump, .crash]),
        Mutant(mistake: .client(.ownerTokenReused), faults: network),
        Mutant(mistake: .client(.givenUpCallNotReleased), faults: [.cancellation]),
        Mutant(mistake: .client(.lateVoteNotTakenBack), faults: [.slowness]) { scenario in
            scenario.delays = scenario.nodeTimeout / 20...scenario.nodeTimeout / 10
            scenario.endsWith(.slowness)
        },
        Mutant(mistake: .client(.errorCountsAsRefused), faults: [.scriptError]) { $0.endsWith(.scriptError) },
        Mutant(mistake: .client(.renewedAfterRelease)),
        Mutant(mistake: .client(.lossNotTold), faults: network),
        Mutant(mistake: .client(.sleepOverlooked), faults: [.machineSleep]),
        Mutant(mistake: .client(.neverRenewed), faults: [.wallClock]),
        Mutant(mistake: .client(.releaseNotRetried), faults: [.stall]) { $0.endsWith(.stall) },
        Mutant(mistake: .client(.sentAgainBehindRelease), faults: [.scriptFlush]) { $0.endsWith(.scriptFlush) },
        Mutant(mistake: .client(.repairNotReleased), faults: network.union([.restart])),
        Mutant(mistake: .client(.minimumHoldForgotten)) { scenario in
            scenario.isCrowded()
            scenario.minimumHoldPerMille = 500
        },
        Mutant(mistake: .client(.connectionKeptAfterTimeout), faults: network),
    ]

    private static let scripts: [Mutant] = [
        script(.releaseDeletesForeignKey),
        script(.extendRecreatesMissingKey, [.flush, .restart, .nodeStop]),
        script(.extendShortensLife),
        script(.acquireIgnoresRecord, [.flush]),
        script(.acquireDoesNotSeedLostCounter, [.counterLoss, .flush]),
        script(.acquireAnswersCounterWithoutRaising),
        script(.acquireIgnoresHeldKey),
        script(.raiseAnswersWithoutRaising, [.counterLoss, .stall, .nodeStop]),
        script(.repairOverwritesForeignKey),
        script(.acquireSetsKeyWithoutTTL),
        script(.acquireIgnoresReaders) { $0.isForSharers() },
        script(.sharerIgnoresHeldKey) { $0.isForSharers() },
        script(.oneSharerReleasesAll) { $0.isForSharers() },
        script(.slotIgnoresHeldKey) { $0.isForSlots() },
        script(.slotIgnoresAgreement) { $0.isForSlots() },
        script(.acquireAllLooksAtFirst) { $0.isForSeveral() },
        script(.acquireAllRaisesHighestOnly) { $0.isForSeveral() },
    ]

    private static func script(
        _ defect: ScriptDefect,
        _ faults: Set<FaultKind> = Set(FaultKind.allCases),
        adjust: @escaping @Sendable (inout Scenario) -> Void = { _ in }
    ) -> Mutant {
        Mutant(mistake: .script(defect), faults: faults, adjust: adjust)
    }
}

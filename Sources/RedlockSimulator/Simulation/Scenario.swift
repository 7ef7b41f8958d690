// SPDX-License-Identifier: Apache-2.0

import Redlock
import RedlockSimulation
import RedlockTesting

/// How servers and clients are set up, rightly or wrongly.
enum Setup: Sendable {
    case proper
    /// Half of the clients have another list, which shares one node with that of the others.
    case otherMembers
    /// Half of the clients may ask for longer TTLs than the nodes were enrolled for.
    case longerTTL
    /// Two nodes are databases of one server.
    case listedTwice
    /// The servers give up keys when they need room.
    case evicting
}

/// The world of one seed: who is in it, how it is set up, and what is going to go wrong.
struct Scenario: Sendable {
    let seed: UInt64
    var nodeCount: Int
    var quorum: Int
    var clientCount: Int
    /// How many tasks of one client want locks at the same time, at most.
    var tasksPerClient: Int
    var resourceCount: Int
    /// How long tasks of one client hand a lock over to each other.
    var handOverTime: Int64
    var nodeTimeout: Int64
    var maximumTTL: Int64
    var drift: DriftProfile
    /// How much node and client clocks differ from true time, in parts per million, at most.
    var clockRate: Int64
    /// The least and the most that one way through the network takes.
    var delays: ClosedRange<Int64>
    /// Whether the servers keep every write.
    var isDurable: Bool
    /// How long clients do nothing between two locks, at most.
    var longestRest: Int64
    /// Whether every lock of a client is to live as long, so that each can be handed over.
    var hasOneTTL = false
    /// How often somebody wants to share a lock, in a thousand.
    var sharedPerMille: Int
    /// How often somebody wants two locks at once, of those that have to be had alone.
    var severalPerMille: Int
    /// How often somebody wants one of several slots, of single ones that have to be had alone, in a thousand.
    var slotsPerMille: Int
    /// How often somebody wants a lock in turn, of single ones that have to be had alone.
    var fairPerMille: Int
    /// How often a lock is to stay for a while, however soon it is released, in a thousand.
    var minimumHoldPerMille: Int
    /// When faults end.
    var faultsEnd: Int64
    var faultKinds: Set<FaultKind>
    var faults: [PlannedFault]
    /// Whether faults end, so that everybody must get every lock.
    var judgesLiveness: Bool
    /// Whether clients are candidates of an election, and do nothing else.
    var holdsElection = false
    /// How the servers and clients are set up.
    var setup = Setup.proper
    /// Whether two holders are a mistake whatever strikes, because the guard that is looked at must prevent them.
    var claimsExclusionAlways = false
    /// Whether all owner tokens are the same.
    var hasGuessableTokens = false
    /// What is wrong with the scripts of the servers.
    var scriptDefect: ScriptDefect?
    /// On how many servers the clocks stand still from a moment on.
    var clocksThatStop = 0

    /// The scenario that belongs to a seed.
    ///
    /// - Parameter allowed: the kinds of faults to choose from.
    init(seed: UInt64, allowed: Set<FaultKind> = Set(FaultKind.allCases)) {
        self.seed = seed
        var random = SeededRandom(seed: seed &* 0x9E37_79B9_7F4A_7C15)
        func pick<Element>(_ elements: [Element]) -> Element {
            elements[Int.random(in: 0..<elements.count, using: &random)]
        }
        // Three show most of what many do, and cost the least.
        nodeCount = pick([1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 7])
        let majority = nodeCount / 2 + 1
        quorum = pick([majority, majority, majority, Int.random(in: majority...nodeCount, using: &random)])
        // Many of them cost as much as many worlds of few.
        clientCount = pick([2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 6, 8])
        tasksPerClient = pick([1, 1, 2, 4])
        resourceCount = pick([1, 1, 1, 2, 3])
        handOverTime = pick([0, 200, 200, 10_000]) * .millisecond
        nodeTimeout = pick([5, 10, 20, 50, 100]) * .millisecond
        maximumTTL = nodeTimeout * pick([12, 12, 20, 20, 50, 50, 100, 200])
        if Int.random(in: 0..<200, using: &random) == 0 { maximumTTL = 60 * .second }
        drift = pick([.standard, .standard, .standard, .strict, DriftProfile(rate: 0.05)])
        // So much on either side that the fastest clock is ahead of the slowest by the drift, measured by the slowest; and
        // a little room for what comes of multiplying.
        clockRate = Int64(drift.rate / (2 + drift.rate) * 980_000)
        let quick = nodeTimeout / 200
        delays = quick...quick * pick([1, 4, 20, 60])
        isDurable = pick([true, true, false])
        // The more of them look at each other's clocks, the shorter.
        let usual = 32 * .second / Int64(nodeCount * clientCount)
        faultsEnd = max(min(usual, 80 * .second), 3 * maximumTTL + 2 * .second)
        longestRest = faultsEnd / pick([3, 4, 12])
        // As many locks are taken, however many take them.
        longestRest *= Int64(tasksPerClient)
        sharedPerMille = pick([0, 0, 0, 400])
        severalPerMille = pick([0, 0, 500])
        fairPerMille = pick([0, 0, 500])
        slotsPerMille = pick([0, 0, 0, 400])
        minimumHoldPerMille = 0
        faultKinds = []
        let kinds = FaultKind.allCases.filter(allowed.contains)
        let count = Int.random(in: 1...6, using: &random)
        for _ in 0..<count where !kinds.isEmpty { faultKinds.insert(pick(kinds)) }
        judgesLiveness = Int.random(in: 0..<4, using: &random) == 0
        faults = []
        plan(&random)
        holdsElection = Int.random(in: 0..<8, using: &random) == 0
        minimumHoldPerMille = pick([0, 0, 0, 300])
    }

    /// Spreads faults over the time; some strike together.
    private mutating func plan(_ random: inout SeededRandom) {
        let kinds = faultKinds.sorted { $0.rawValue < $1.rawValue }
        guard !kinds.isEmpty else { return }
        let count = Int.random(in: 3...12, using: &random)
        var time = Int64.random(in: 0...faultsEnd / 4, using: &random)
        for _ in 0..<count {
            let longest = [nodeTimeout, maximumTTL / 3, maximumTTL * 2][Int.random(in: 0..<3, using: &random)]
            faults.append(
                PlannedFault(
                    kind: kinds[Int.random(in: 0..<kinds.count, using: &random)],
                    time: time,
                    duration: Int64.random(in: 1...max(1, longest), using: &random),
                    chance: random.next()
                )
            )
            let isSoon = Int.random(in: 0..<3, using: &random) == 0
            time += Int64.random(in: 0...(isSoon ? 2 * nodeTimeout : faultsEnd / Int64(count)), using: &random)
            if time >= faultsEnd { break }
        }
    }

    private var plannedKinds: Set<FaultKind> { Set(faults.map(\.kind)) }

    /// Whether nothing that goes wrong can cost a lease that is renewed.
    var isHarmless: Bool {
        plannedKinds.isSubset(of: [.cancellation, .scriptFlush, .wallClock]) && setup == .proper
    }

    /// How far a clock that is kept right is from the true time to begin with, at most.
    var nearby: Int64 { min(20 * .millisecond, maximumTTL / 40) }

    /// How far it wanders from there, at most.
    var furthestWander: Int64 { maximumTTL / 40 }

    /// How far what two clients make of the nodes' clocks may be apart, at most, in microseconds: the clocks themselves, and
    /// what a node puts up with on either side.
    var distanceOfSeeds: Int64 { 2 * (nearby + furthestWander + nodeTimeout) / 1_000 }

    /// Makes the network so slow that an answer takes a good part of the time that it may take.
    mutating func isSlow() {
        delays = nodeTimeout / 10...nodeTimeout / 3
        longestRest = maximumTTL / 4
    }

    /// Lets some answers take a good part of the time that they may take, and others next to none.
    mutating func isSlowNowAndThen() {
        delays = nodeTimeout / 250...nodeTimeout / 200
        drift = .standard
        clockRate = 0
        longestRest = maximumTTL / 4
    }

    /// Lets leases live long, and something go wrong just when all faults end, so that it shows what is left of it.
    mutating func endsWith(_ kind: FaultKind) {
        maximumTTL = max(maximumTTL, 10 * .second)
        longestRest = .second
        for place in 0..<8 {
            let time = faultsEnd - Int64(place) * nodeTimeout / 2
            let chance = seed &* 31 &+ UInt64(place)
            faults.append(PlannedFault(kind: kind, time: time, duration: nodeTimeout * 2, chance: chance))
        }
    }

    /// Has many tasks of few clients want one lock.
    mutating func isCrowded() {
        clientCount = 2
        tasksPerClient = 8
        resourceCount = 1
        handOverTime = 100 * .second
        longestRest = nodeTimeout * 2
        hasOneTTL = true
    }

    /// Has somebody share most locks.
    mutating func isForSharers() {
        resourceCount = 1
        sharedPerMille = 500
    }

    /// Has most want two locks at once.
    mutating func isForSeveral() {
        resourceCount = 2
        sharedPerMille = 0
        severalPerMille = 900
    }

    /// Has most want one of two slots.
    mutating func isForSlots() {
        resourceCount = 1
        sharedPerMille = 0
        slotsPerMille = 950
    }

    /// Takes another number of nodes.
    mutating func setNodes(_ count: Int, quorum: Int) {
        nodeCount = count
        self.quorum = quorum
    }

    /// The setup in one line.
    var description: String {
        "N=\(nodeCount) Q=\(quorum) clients=\(clientCount) tasks=\(tasksPerClient) resources=\(resourceCount) timeout=\(nodeTimeout / .millisecond) ms "
            + "maximum TTL=\(maximumTTL / .millisecond) ms drift=\(drift.rate) durable=\(isDurable) "
            + "delays=\(delays.lowerBound / 1_000)-\(delays.upperBound / 1_000) us "
            + "faults=\(faultKinds.map(\.rawValue).sorted().joined(separator: ","))"
    }
}

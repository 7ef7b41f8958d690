// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock
import RedlockSimulation

/// One world from its beginning to its end.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
final class Simulation: @unchecked Sendable {
    /// What came of it.
    struct Outcome: Sendable {
        var violation: Violation?
        var trace: UInt64 = 0
        var events = 0
        /// Events that are no mere looks at clocks.
        var eventsBesidesHeartbeats = 0
        var grants = 0
        var terms = 0
        var faults = 0
        var refusedWrites = 0
        var updatesLostWithoutTokens = 0
        var simulatedNanoseconds: Int64 = 0
    }

    /// Somebody who uses locks, in one process after the other.
    ///
    /// `@unchecked Sendable`: it is used on the thread of its world only.
    final class Member: @unchecked Sendable {
        let number: Int
        var client: SimulatedClient

        init(number: Int, client: SimulatedClient) {
            self.number = number
            self.client = client
        }
    }

    /// A clock of a server that was set by a fault.
    struct ClockStep {
        let node: Int
        let time: Int64
        let distance: Int64
    }

    /// The time of day at the beginning of every world.
    static let beginning: Int64 = 1_767_225_600 * .second

    let scenario: Scenario
    let world: SimulatedWorld
    let judge: Judge
    let store: Store
    private(set) var nodes: [SimulatedNode] = []
    private(set) var routes: [[SimulatedRoute]] = []
    private(set) var members: [Member] = []
    private var processCount = 0
    /// Whether clients still begin new work.
    private(set) var isOpen = true
    private(set) var openTasks = 0
    /// How many terms were won.
    var termCount = 0
    /// Whether everything is over, and nobody shall go on.
    private(set) var isDone = false
    private(set) var faultCount = 0
    private var lastFault: Int64 = 0
    /// How the clocks of servers were set within the last moments.
    var recentSteps: [ClockStep] = []
    /// The processes that died.
    private(set) var dead: Set<Int> = []
    /// What each node knew early on.
    private(set) var oldSnapshots: [SimulatedServer.Snapshot] = []

    /// - Parameter interpreter: that of another simulation that has ended on this thread, if there is one.
    init(
        _ scenario: Scenario,
        interpreter: ScriptInterpreter = ScriptInterpreter(),
        log: ((Int64, String) -> Void)? = nil
    ) {
        self.scenario = scenario
        world = SimulatedWorld(seed: scenario.seed, interpreter: interpreter)
        world.log = log
        judge = Judge(world: world)
        if scenario.claimsExclusionAlways { judge.fixClaim() }
        store = Store(world: world, judge: judge, delays: scenario.delays)
    }

    // MARK: Setup

    var resources: [String] { (0..<scenario.resourceCount).map { "r\($0)" } }

    func configuration(ofMember number: Int?) -> RedlockConfiguration {
        var configuration = RedlockConfiguration()
        configuration.nodeTimeout = .nanoseconds(scenario.nodeTimeout)
        configuration.connectTimeout = .nanoseconds(scenario.nodeTimeout * 10)
        configuration.maximumTTL = .nanoseconds(longestTTL(ofMember: number))
        configuration.quorum = scenario.quorum
        configuration.drift = scenario.drift
        configuration.handOverTime = .nanoseconds(scenario.handOverTime)
        return configuration
    }

    /// The longest TTL that a member may ask for.
    func longestTTL(ofMember number: Int?) -> Int64 {
        let isLonger = scenario.setup == .longerTTL && number.map { $0 % 2 == 1 } ?? false
        return isLonger ? 8 * scenario.maximumTTL : scenario.maximumTTL
    }

    /// The nodes that a member knows of.
    func nodes(ofMember number: Int?) -> [SimulatedNode] {
        guard scenario.setup == .otherMembers else { return nodes }
        let isOther = number.map { $0 % 2 == 1 } ?? false
        return Array(isOther ? nodes.suffix(scenario.nodeCount) : nodes.prefix(scenario.nodeCount))
    }

    private func makeNodes() {
        var settings = SimulatedServer.Settings()
        settings.hasAppendOnlyFile = true
        settings.fsyncPolicy = scenario.isDurable ? "always" : "everysec"
        if scenario.setup == .evicting {
            settings.memoryLimitBytes = 1_000_000
            settings.evictionPolicy = "allkeys-lru"
        }
        // Another list begins with the last node of the first.
        let count = scenario.setup == .otherMembers ? 2 * scenario.nodeCount - 1 : scenario.nodeCount
        for number in 0..<count {
            let node = SimulatedNode(
                world: world,
                number: number,
                settings: settings,
                wallNanoseconds: Self.beginning + world.number(in: -scenario.nearby...scenario.nearby),
                wander: someWander()
            )
            node.server.defect = scenario.scriptDefect
            if !scenario.isDurable { node.server.journalMicroseconds = 2_000_000 }
            node.observer = self
            nodes.append(node)
        }
        if scenario.setup == .listedTwice { nodes[1].server.becomeDatabase(ofServerOf: nodes[0].server) }
    }

    func makeProcess() -> SimulatedProcess {
        defer { processCount += 1 }
        let apart = scenario.faultKinds.contains(.wallClock) ? scenario.maximumTTL / 8 : scenario.nearby
        return SimulatedProcess(
            world: world,
            number: processCount,
            wallNanoseconds: Self.beginning + world.now + world.number(in: -apart...apart),
            wander: someWander()
        )
    }

    /// As fast or as slow as the drift allows, and never far off.
    private func someWander() -> SimulatedClock.Wander {
        SimulatedClock.Wander(
            rate: world.number(in: 0...scenario.clockRate),
            furthest: scenario.furthestWander,
            phase: world.number(in: 0...1_000 * .second)
        )
    }

    private func makeClient(
        of number: Int?,
        in process: SimulatedProcess,
        purpose: LockClientCore.Purpose = .locking
    ) -> SimulatedClient {
        let routes = nodes.map { _ in SimulatedRoute(world: world, delays: scenario.delays) }
        while self.routes.count <= process.number { self.routes.append([]) }
        self.routes[process.number] = routes
        let known = nodes(ofMember: number)
        let client = SimulatedClient(
            process: process,
            nodeNames: known.map { "n\($0.number)" },
            nodes: known.map { ($0, routes[$0.number]) },
            configuration: configuration(ofMember: number)
        )
        client.surroundings.observer = { [judge] node, command in judge.sends(command, to: node) }
        if scenario.hasGuessableTokens, purpose == .locking { client.surroundings.randomness = { 42 } }
        return client
    }

    private func enrolNodes() {
        let operatorClient = makeClient(of: nil, in: makeProcess(), purpose: .enrolment)
        let finished = Flag()
        let judge = self.judge
        operatorClient.run {
            do {
                try await operatorClient.enrolNewSet()
            } catch {
                judge.violated(.starved, "the nodes could not be enrolled: \(error)")
            }
            finished.isSet = true
        }
        world.run(until: 60 * .second) { finished.isSet }
    }

    // MARK: Running

    /// Lets everything happen.
    func run() -> Outcome {
        makeNodes()
        // Where an operator would be refused, the clients enrol the nodes.
        if scenario.setup != .listedTwice, scenario.setup != .evicting { enrolNodes() }
        members = (0..<scenario.clientCount).map { Member(number: $0, client: makeClient(of: $0, in: makeProcess())) }
        for member in members { beginWork(of: member) }
        let beginning = world.now
        world.schedule(after: scenario.faultsEnd / 8) { [unowned self] in
            oldSnapshots = nodes.map { $0.server.snapshot() }
        }
        oldSnapshots = nodes.map { $0.server.snapshot() }
        for fault in scenario.faults {
            world.schedule(at: beginning + fault.time) { [unowned self] in strike(fault) }
        }
        for node in nodes.prefix(scenario.clocksThatStop) { node.clock.setFrozen(true, at: world.now) }
        runUntil(beginning + scenario.faultsEnd)
        if scenario.holdsElection, scenario.judgesLiveness, judge.violation == nil { somebodyLeads() }
        isOpen = false
        if judge.violation == nil { calmDown() }
        if judge.violation == nil, scenario.judgesLiveness { everybodyGetsEverything() }
        if judge.violation == nil { lookForWhatIsLeftBehind() }
        finish()
        return outcome()
    }

    /// The clocks of servers are right again.
    func setClocksRight() {
        var steps: [Int64] = []
        for node in nodes where !node.clock.isFrozen {
            let distance = Self.beginning + world.now - node.clock.read(at: world.now)
            guard abs(distance) > scenario.maximumTTL / 10 else { continue }
            node.clock.step(by: distance, at: world.now)
            steps.append(distance)
        }
        let mostAlike = steps.map { step in steps.count { abs($0 - step) <= scenario.maximumTTL } }.max() ?? 0
        if mostAlike > scenario.nodeCount / 2 { judge.majorityOfClocksWasSetAlike() }
    }

    func runUntil(_ end: Int64, orUntil isOver: () -> Bool = { false }) {
        world.run(until: end) { [judge] in judge.violation != nil || isOver() }
    }

    /// Ends every client and every task; nothing is judged any more but that they end.
    private func finish() {
        isOpen = false
        isDone = true
        calmDown()
        for member in members { end(member.client) }
        world.run(until: world.now + 1_000 * .second) { [unowned self] in openTasks == 0 }
        if openTasks > 0 { judge.violated(.overdue, "\(openTasks) calls never end") }
        world.end()
    }

    private func end(_ client: SimulatedClient) {
        openTasks += 1
        client.run { [self] in
            await client.redlock.shutdown()
            openTasks -= 1
        }
    }

    private func outcome() -> Outcome {
        Outcome(
            violation: judge.violation,
            trace: world.trace,
            events: world.eventCount,
            eventsBesidesHeartbeats: world.eventCount - world.heartbeatEventCount,
            grants: judge.grants,
            terms: termCount,
            faults: faultCount,
            refusedWrites: store.refusals,
            updatesLostWithoutTokens: store.updatesLostWithoutTokens,
            simulatedNanoseconds: world.now
        )
    }

    // MARK: Tasks

    func begin(_ client: SimulatedClient, _ body: @escaping @Sendable () async -> Void) {
        openTasks += 1
        client.run { [self] in
            await body()
            openTasks -= 1
        }
    }

    func note(_ fault: PlannedFault) {
        judge.struck(fault.kind, scenario: scenario)
        faultCount += 1
        lastFault = world.now
    }

    /// Looks, when a client was told that its lease was extended, whether a quorum has the key.
    func lookAtExtension<Kind>(of lease: Lease<Kind>) {
        // What goes wrong while the answers are on their way is not the client's fault, nor what it cannot know of.
        guard world.now - lastFault > 2 * scenario.nodeTimeout, judge.claimsExclusion else { return }
        for name in lease.resources {
            // A node whose vote came too late has the key under another owner token of the same process.
            let count = nodes.count { node in
                node.server.owners(of: name, slot: lease.slot).contains { owner in
                    OwnerToken(secretText: owner)?.label == lease.ownerLabel
                }
            }
            guard count < scenario.quorum else { continue }
            judge.violated(.emptyExtension, "\(count) nodes have \(name) when its extension is told")
        }
    }

    /// Puts another process in the place of one that died.
    func replace(_ member: Member) {
        judge.died(member.client.process)
        dead.insert(member.client.process.number)
        member.client.kill()
        member.client = makeClient(of: member.number, in: makeProcess())
        beginWork(of: member)
    }
}

extension Simulation: SimulatedNodeObserver {
    func keyBefore(_ command: NodeCommand, on node: SimulatedNode) -> FormerKey? {
        switch command {
        case .release(let releases, _, _, _): FormerKey(releases[0].keys.lock, on: node.server)
        case .extend(let locks, _, _), .setLife(let locks, _, _): FormerKey(locks[0].lock, on: node.server)
        case .repair(let repair): FormerKey(repair.locks[0].lock, on: node.server)
        default: nil
        }
    }

    func carriedOut(_ command: NodeCommand, on node: SimulatedNode, former: FormerKey?, reply: RESPValue) {
        switch command {
        case .release(let releases, let token, _, _):
            lookAtChange(of: releases[0].keys.lock, by: token, on: node, former: former)
        case .extend(let locks, let token, _), .setLife(let locks, let token, _):
            lookAtChange(of: locks[0].lock, by: token, on: node, former: former)
        case .acquire(let acquisition), .acquireInTurn(let acquisition, _), .acquireAll(let acquisition):
            // What is granted was not there before.
            guard let token = reply.integer ?? reply.array?.first?.integer, token > 0 else { return }
            for keys in acquisition.locks { lookAtLife(of: keys.lock, on: node, before: nil) }
        case .acquireShared(let acquisition, _):
            // It ends with the last share; one without an end would keep the lock from everybody else for ever.
            if reply.integer == 1, node.server.lifeMilliseconds(at: acquisition.keys.readers) == .max {
                judge.violated(.endlessKey, "node \(node.number) keeps \(acquisition.keys.readers) for ever")
            }
        case .repair(let repair):
            let lock = repair.locks[0].lock
            if let before = former?.value, before != repair.ownerToken.secretText, node.server.value(at: lock) != before
            {
                judge.violated(.foreignKey, "node \(node.number) replaced \(lock)")
            }
            lookAtLife(of: lock, on: node, before: nil)
        default: break
        }
    }

    private func lookAtChange(of lock: String, by token: OwnerToken, on node: SimulatedNode, former: FormerKey?) {
        if let before = former?.value, before != token.secretText, node.server.value(at: lock) != before {
            judge.violated(.foreignKey, "node \(node.number) changed \(lock) for somebody who did not hold it")
        }
        lookAtLife(of: lock, on: node, before: former?.lifeMilliseconds)
    }

    /// A key lives no longer than the longest TTL, but for one that already did when the clock was set back.
    private func lookAtLife(of lock: String, on node: SimulatedNode, before: Int64?) {
        let longest = max(longestTTL(ofMember: 1) / .millisecond, before ?? 0)
        guard let life = node.server.lifeMilliseconds(at: lock), life > longest else { return }
        judge.violated(.endlessKey, "node \(node.number) keeps \(lock) for \(life) ms")
    }
}

/// `@unchecked Sendable`: it is used on the thread of its world only.
final class Flag: @unchecked Sendable {
    var isSet = false
}

// SPDX-License-Identifier: Apache-2.0

import LockCore

/// What can happen to a world, and what comes of it.
///
/// The rounds of the protocol decide; what is here is what surrounds them: the scripts on the nodes, the messages, and
/// what the engine does at each step.
final class Model {
    let rules: ModelRules
    let acquireRounds: RoundBook<AcquireRound>
    let extendRounds: RoundBook<ExtendRound>
    let releaseRounds: RoundBook<ReleaseRound>
    /// Whether a node must be enrolled anew, by whether it has a record and whether its process is a new one.
    private let enrolments: [Bool]

    init(rules: ModelRules) {
        self.rules = rules
        acquireRounds = RoundBook(rules: rules)
        extendRounds = RoundBook(rules: rules)
        releaseRounds = RoundBook(rules: rules)
        enrolments = [(false, false), (false, true), (true, false), (true, true)].map { hasRecord, isNewProcess in
            ModelRecords.mustBeEnrolled(hasRecord: hasRecord, isNewProcess: isNewProcess)
        }
    }

    /// The world after something happened; nil if it cannot happen.
    func next(_ world: World, _ action: ModelAction) -> World? {
        var next = world
        guard perform(action, on: &next) else { return nil }
        settle(&next)
        return next
    }

    /// Whether nobody can be granted anything any more, so that nothing can go wrong any more.
    func isSpent(_ world: World) -> Bool {
        guard world.ledger.violation == nil, world.ledger.attemptsLeft == 0 else { return false }
        for client in 0..<SmallWorld.clientCount {
            let phase = world.clients[client].phase
            if phase == .acquiring || phase == .releasing { return false }
        }
        return true
    }

    private func perform(_ action: ModelAction, on world: inout World) -> Bool {
        switch action {
        case .acquire(let client): acquire(client, &world)
        case .giveUp(let client): giveUp(client, &world)
        case .extend(let client): extend(client, &world)
        case .release(let client): release(client, &world)
        case .carryOut(let client, let node): carryOut(client, node, &world)
        case .receive(let client, let node): receive(client, node, &world)
        case .inspect(let client, let node): inspect(client, node, &world)
        case .lose(let kind, let node): lose(kind, node, &world)
        case .jump(let node): jump(node, &world)
        case .tick(let fastNode): tick(fastNode, &world)
        }
    }

    // MARK: Faults and time

    private func lose(_ kind: LossKind, _ node: Int, _ world: inout World) -> Bool {
        guard world.ledger.lossesLeft > 0, rules.bounds.lossKinds.contains(kind) else { return false }
        world.ledger.lossesLeft -= 1
        world.nodes[node].dropKey()
        world.nodes[node].counter = 0
        if kind != .restartedFromFile { world.nodes[node].hasRecord = false }
        guard kind != .emptied else { return true }
        world.nodes[node].isNewProcess = true
        for client in 0..<SmallWorld.clientCount {
            let state = world.clients[client]
            let isAwaited = world.commands[client][node].contains { self.isAwaited($0, of: state, by: node) }
            if isAwaited { world.links[client][node].answer(.cut) }
            world.commands[client][node].removeAll()
            world.links[client][node].isCut = true
        }
        return true
    }

    /// The clock leaps so far that every key expires, and no round trip hides it.
    ///
    /// It is set right before the node is enrolled anew: a clock that is apart has no vote.
    private func jump(_ node: Int, _ world: inout World) -> Bool {
        guard world.ledger.jumpsLeft > 0, !world.nodes[node].hasJumped else { return false }
        world.ledger.jumpsLeft -= 1
        world.nodes[node].dropKey()
        world.nodes[node].hasJumped = true
        return true
    }

    private func tick(_ fastNode: Int?, _ world: inout World) -> Bool {
        if let ticksLeft = world.ledger.ticksLeft {
            guard ticksLeft > 0 else { return false }
            world.ledger.ticksLeft = ticksLeft - 1
        }
        if let fastNode {
            // Without a key, a fast clock changes nothing.
            guard world.ledger.fastNodesLeft > 0, !world.nodes[fastNode].wasFast, world.nodes[fastNode].ticksLeft > 0
            else { return false }
            world.ledger.fastNodesLeft -= 1
            world.nodes[fastNode].wasFast = true
        }
        for node in 0..<SmallWorld.nodeCount {
            let left = max(0, world.nodes[node].ticksLeft - (node == fastNode ? 2 : 1))
            world.nodes[node].ticksLeft = left
            if left == 0 { world.nodes[node].dropKey() }
            world.nodes[node].quarantineTicks = max(0, world.nodes[node].quarantineTicks - 1)
        }
        for client in 0..<SmallWorld.clientCount {
            let phase = world.clients[client].phase
            if phase == .acquiring || phase == .extending {
                world.clients[client].elapsedTicks = min(world.clients[client].elapsedTicks + 1, rules.validTicks)
            }
            guard world.clients[client].isHolder else { continue }
            world.clients[client].validTicks -= 1
            if !world.clients[client].isHolder { loseLease(client, &world) }
        }
        return true
    }

    // MARK: Admission

    /// Whether the client counts the node's vote: it is connected and, as far as the client knows, neither in quarantine
    /// nor suspected.
    func mayVote(_ client: Int, _ node: Int, _ world: World) -> Bool {
        let link = world.links[client][node]
        guard !link.isCut, !link.isSuspected else { return false }
        return world.nodes[node].quarantineTicks == 0 || link.knownGeneration != world.nodes[node].generation
    }

    /// Whether the clients compare the clocks of the nodes with their own.
    var seesJumps: Bool { rules.defect != .noClockAudit }

    private func inspect(_ client: Int, _ node: Int, _ world: inout World) -> Bool {
        // Who wants nothing any more could only take votes from others.
        guard world.ledger.attemptsLeft > 0 || world.clients[client].phase.mayStillAsk else { return false }
        var (link, server) = (world.links[client][node], world.nodes[node])
        let seesJump = seesJumps && server.hasJumped && !link.knowsJump
        // Where the record was renewed since the client read it, the client takes it that this was because of the jump.
        let mustRenew = seesJump && link.knownGeneration == server.generation
        let mustEnrol = enrolments[(server.hasRecord ? 2 : 0) + (server.isNewProcess ? 1 : 0)] || mustRenew
        guard mustEnrol || link.isCut || link.isSuspected || link.knownGeneration != server.generation else {
            return false
        }
        if mustEnrol {
            server.generation += 1
            server.hasRecord = true
            server.isNewProcess = false
            server.quarantineTicks = rules.quarantineTicks
            server.enrolmentToken = world.ledger.highestToken + ModelRules.seedDistance
            world.nodes[node] = server
        }
        if link.knownGeneration != server.generation {
            link.knownGeneration = server.generation
            link.isDoubtful = world.clients[client].phase == .acquiring
        }
        link.isCut = false
        link.isSuspected = false
        link.knowsJump = link.knowsJump || seesJump
        world.links[client][node] = link
        return true
    }

    // MARK: The judge

    /// Judges a lease that was granted just now.
    func judgeGrant(_ client: Int, _ world: inout World) {
        let token = world.clients[client].token
        if world.ledger.grantedTokens >> token & 1 == 1 {
            world.ledger.violation = .sameTokenTwice
        } else if token <= world.clients[client].tokenBefore {
            world.ledger.violation = .lowerTokenLater
        }
        world.ledger.grantedTokens |= 1 << token
        judgeExclusion(&world)
    }

    func judgeExclusion(_ world: inout World) {
        guard rules.judgesExclusion, world.clients[0].isHolder, world.clients[1].isHolder else { return }
        world.ledger.violation = .twoHolders
    }

    /// Judges a release that is said to be done.
    func judgeRelease(_ client: Int, _ world: inout World) {
        let owner = Owner(client: client, attempt: world.clients[client].attempt, isSpare: false)
        // A node whose vote was taken back is not asked: that release went before, and nobody waits for it.
        let asked = NodeSet(modelBits: world.clients[client].keys)
        let holding = asked.count { world.nodes[$0].owner == owner }
        if holding >= rules.quorum.votesNeeded { world.ledger.violation = .releasedButHeld }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Redlock
import RedlockSimulation
import RedlockTesting

/// What goes wrong, and how it ends.
extension Simulation {
    /// Lets a planned fault happen.
    func strike(_ fault: PlannedFault) {
        guard isOpen else { return }
        note(fault)
        world.note(Int64(bitPattern: fault.chance), "FAULT \(fault.description)")
        var random = SeededRandom(seed: fault.chance)
        switch fault.kind {
        case .restart: restart(someNodes(&random), fault, &random)
        case .flush: for node in someNodes(&random) { node.server.flushAll() }
        case .eviction: evict(someNode(&random), fault, &random)
        case .promotion: promote(someNode(&random), fault, &random)
        case .refusal: refuse(someNodes(&random), fault, &random)
        case .scriptError: failScript(someNode(&random), &random)
        case .scriptFlush: for node in someNodes(&random) { node.server.flushScripts() }
        case .counterLoss: loseCounter(someNodes(&random), &random)
        case .nodeStop: stop(someNodes(&random), fault)
        case .clockJump: jump(someNode(&random), isSmall: false, &random)
        case .smallClockJump: jump(someNode(&random), isSmall: true, &random)
        case .clockRate: runWildly(someNode(&random), fault, &random)
        case .stall: stall(fault, &random)
        case .breakOff: breakOff(someMember(&random), &random)
        case .slowness: slowDown(fault, &random)
        case .garbling: garble(fault, &random)
        case .processStop: pause(someMember(&random), .process, fault)
        case .machineSleep: pause(someMember(&random), .machine, fault)
        case .virtualMachinePause: pause(someMember(&random), .virtualMachine, fault)
        case .crash: replace(someMember(&random))
        case .wallClock: setWallClock(someMember(&random), &random)
        // Callers give up by themselves.
        case .cancellation: break
        }
    }

    private func someNode(_ random: inout SeededRandom) -> SimulatedNode {
        nodes[Int.random(in: 0..<nodes.count, using: &random)]
    }

    /// Mostly one, sometimes more, rarely all.
    private func someNodes(_ random: inout SeededRandom) -> [SimulatedNode] {
        let count = Int.random(in: 0..<3, using: &random) > 0 ? 1 : Int.random(in: 1...nodes.count, using: &random)
        return Array(nodes.shuffled(using: &random).prefix(count))
    }

    private func someMember(_ random: inout SeededRandom) -> Member {
        members[Int.random(in: 0..<members.count, using: &random)]
    }

    // MARK: Servers

    private func restart(_ nodes: [SimulatedNode], _ fault: PlannedFault, _ random: inout SeededRandom) {
        for node in nodes where node.isUp {
            let memory = memory(of: node, &random)
            node.kill()
            // As often at once as after a while: a server needs milliseconds to be back.
            let downtime = Bool.random(using: &random) ? scenario.delays.lowerBound : fault.duration
            world.schedule(after: downtime) { node.start(keeping: memory) }
        }
    }

    private func memory(
        of node: SimulatedNode,
        _ random: inout SeededRandom
    ) -> SimulatedServer.Memory {
        guard !scenario.isDurable else { return .everything }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return .everything
        case 1: return .nothing
        case 2: return .snapshot(oldSnapshots[node.number])
        default: return .allButTheLast(microseconds: Int64.random(in: 1...2_000_000, using: &random))
        }
    }

    /// Its locks go; the setting that lets them go shows at the next look.
    private func evict(_ node: SimulatedNode, _ fault: PlannedFault, _ random: inout SeededRandom) {
        let isTwin = scenario.setup == .listedTwice && node.number < 2
        let others = scenario.setup == .evicting ? someNodes(&random) : []
        for node in isTwin ? Array(nodes.prefix(2)) : [node] + others {
            for key in node.server.keyNames where key.hasPrefix("redlock:lock:") { node.server.evict(key) }
            guard scenario.setup != .evicting else { continue }
            node.server.settings.memoryLimitBytes = 1_000_000
            node.server.settings.evictionPolicy = "allkeys-lru"
            world.schedule(after: fault.duration) { node.server.settings.evictionPolicy = "noeviction" }
        }
    }

    /// A replica takes its place at once, without what was written in the last moments.
    private func promote(_ node: SimulatedNode, _ fault: PlannedFault, _ random: inout SeededRandom) {
        guard node.isUp else { return }
        node.kill()
        let memory: SimulatedServer.Memory =
            Bool.random(using: &random)
            ? .nothing : scenario.isDurable ? .everything : .allButTheLast(microseconds: 500_000)
        world.schedule(after: scenario.delays.upperBound) {
            node.start(keeping: memory)
            node.server.promote()
        }
    }

    private func refuse(_ nodes: [SimulatedNode], _ fault: PlannedFault, _ random: inout SeededRandom) {
        let refusal = SimulatedServer.Refusal.allCases.randomElement(using: &random) ?? .outOfMemory
        for node in nodes {
            node.server.refuse(refusal)
            world.schedule(after: fault.duration) { node.server.acceptAgain() }
        }
    }

    private func loseCounter(_ nodes: [SimulatedNode], _ random: inout SeededRandom) {
        for node in nodes {
            for resource in resources where Bool.random(using: &random) {
                node.server.delete("redlock:fence:\(resource)")
            }
        }
    }

    private func failScript(_ node: SimulatedNode, _ random: inout SeededRandom) {
        if Bool.random(using: &random) {
            node.server.failNextScriptAtItsLastWrite()
        } else {
            node.server.failNextScriptAtItsEnd()
        }
    }

    private func stop(_ nodes: [SimulatedNode], _ fault: PlannedFault) {
        for node in nodes {
            node.stop()
            world.schedule(after: fault.duration) { node.goOn() }
        }
    }

    // MARK: Clocks of servers

    private func jump(_ node: SimulatedNode, isSmall: Bool, _ random: inout SeededRandom) {
        let longest = scenario.maximumTTL
        let distance = Int64.random(in: isSmall ? 1...longest / 5 : longest * 6 / 5...20 * longest, using: &random)
        // One at a time: where a majority is set alike, it is the client that seems to be wrong.
        let step = Bool.random(using: &random) ? distance : -distance
        node.clock.step(by: step, at: world.now)
        note(ClockStep(node: node.number, time: world.now, distance: step))
    }

    /// Several faults may set a majority forward alike, one after the other, before anybody looks at them.
    private func note(_ step: ClockStep) {
        recentSteps.removeAll { world.now - $0.time > 2 * .second }
        recentSteps.append(step)
        let alike = recentSteps.filter { $0.distance > 0 && abs($0.distance - step.distance) <= scenario.maximumTTL }
        if Set(alike.map(\.node)).count > scenario.nodeCount / 2 { judge.majorityOfClocksWasSetAlike() }
    }

    private func runWildly(_ node: SimulatedNode, _ fault: PlannedFault, _ random: inout SeededRandom) {
        node.clock.setRate(Int64.random(in: -100_000...200_000, using: &random), at: world.now)
        world.schedule(after: fault.duration) { [world] in node.clock.setRate(0, at: world.now) }
    }

    // MARK: Network

    private func someRoutes(_ random: inout SeededRandom) -> [SimulatedRoute] {
        let all = members.flatMap { routes[$0.client.process.number] }
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return routes[someMember(&random).client.process.number]
        case 1:
            let node = Int.random(in: 0..<nodes.count, using: &random)
            return members.map { routes[$0.client.process.number][node] }
        default: return all.filter { _ in Bool.random(using: &random) }
        }
    }

    private func stall(_ fault: PlannedFault, _ random: inout SeededRandom) {
        let directions: [[SimulatedRoute.Direction]] = [[.toNode], [.toProcess], [.toNode, .toProcess]]
        let direction = directions[Int.random(in: 0..<3, using: &random)]
        for route in someRoutes(&random) {
            route.stall(direction)
            // One by one, as they come.
            let end = Int64.random(in: 1...fault.duration, using: &random)
            world.schedule(after: end) { route.heal() }
        }
    }

    private func breakOff(_ member: Member, _ random: inout SeededRandom) {
        for node in 0..<scenario.nodeCount where Bool.random(using: &random) {
            member.client.surroundings.breakOff(node)
        }
    }

    private func slowDown(_ fault: PlannedFault, _ random: inout SeededRandom) {
        for route in someRoutes(&random) {
            route.slowPerMille = Int.random(in: 1...300, using: &random)
            world.schedule(after: fault.duration) { route.slowPerMille = 0 }
        }
    }

    private func garble(_ fault: PlannedFault, _ random: inout SeededRandom) {
        for route in someRoutes(&random) {
            route.garbledPerMille = Int.random(in: 1...300, using: &random)
            world.schedule(after: fault.duration) { route.garbledPerMille = 0 }
        }
    }

    // MARK: Clients

    private func pause(_ member: Member, _ pause: SimulatedProcess.Pause, _ fault: PlannedFault) {
        let process = member.client.process
        process.pause(pause)
        world.schedule(after: fault.duration) { process.resume() }
    }

    private func setWallClock(_ member: Member, _ random: inout SeededRandom) {
        let distance = scenario.maximumTTL / 8
        member.client.process.wallClock.step(by: Int64.random(in: -distance...distance, using: &random), at: world.now)
    }

    // MARK: The end of faults

    /// From now on, nothing goes wrong any more.
    func calmDown() {
        for node in nodes {
            if !node.isUp { node.start(keeping: scenario.isDurable ? .everything : .nothing) }
            node.goOn()
            node.server.acceptAgain()
            if scenario.setup != .evicting { node.server.settings.evictionPolicy = "noeviction" }
            node.clock.setRate(0, at: world.now)
        }
        for route in routes.joined() {
            route.heal()
            route.slowPerMille = 0
            route.garbledPerMille = 0
        }
        for member in members { member.client.process.resume() }
        setClocksRight()
    }
}

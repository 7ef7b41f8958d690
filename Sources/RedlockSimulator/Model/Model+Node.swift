// SPDX-License-Identifier: Apache-2.0

/// What a node does: the scripts, each in one piece.
extension Model {
    func carryOut(_ client: Int, _ node: Int, _ world: inout World) -> Bool {
        guard let command = world.commands[client][node].popFirst() else { return false }
        let (reply, token) = answer(command, from: client, on: &world.nodes[node])
        if command.kind == .acquire {
            world.ledger.highestToken = max(world.ledger.highestToken, world.nodes[node].counter)
        }
        guard isAwaited(command, of: world.clients[client], by: node) else { return true }
        // Releases are no votes: nobody looks at the clock behind them.
        let hasJumped = command.kind != .release && world.nodes[node].hasJumped
        world.links[client][node].answer(reply, token: token, hasJumped: hasJumped)
        if mayArriveAtOnce(reply, client, node, world) { return receive(client, node, &world) }
        return true
    }

    /// Whether nothing is missed if an answer takes no time.
    ///
    /// An answer that no lease comes of ends an attempt the sooner, and what the client does then can be as late as it
    /// might have been: a release waits on its connection just as well. What a release is answered concerns nobody else.
    private func mayArriveAtOnce(_ reply: Reply, _ client: Int, _ node: Int, _ world: World) -> Bool {
        switch reply {
        case .deleted, .notHeld: true
        case .held, .refused, .gone: !world.nodes[node].hasJumped
        default: false
        }
    }

    /// Carries out every command that comes to nothing whenever it is carried out, so that worlds do not differ by it.
    func settle(_ world: inout World) {
        var isSettled = false
        while !isSettled {
            isSettled = true
            for client in 0..<SmallWorld.clientCount {
                for node in 0..<SmallWorld.nodeCount {
                    while isFirstCommandFutile(client, node, world) {
                        isSettled = false
                        _ = carryOut(client, node, &world)
                    }
                }
            }
        }
    }

    /// Whether the first command cannot find what it needs, now or later: only commands behind it could bring that.
    private func isFirstCommandFutile(_ client: Int, _ node: Int, _ world: World) -> Bool {
        guard let command = world.commands[client][node].first else { return false }
        let server = world.nodes[node]
        let owner = Owner(client: client, attempt: command.attempt, isSpare: command.isSpare)
        return switch command.kind {
        case .acquire: !server.hasRecord || server.generation != command.number
        case .raise: server.owner != owner
        case .release: server.owner != owner && rules.defect != .releaseDeletesForeignKeys
        case .extend, .repair: false
        }
    }

    /// Whether the client still waits for what the node says to a command.
    func isAwaited(_ command: Command, of client: Client, by node: Int) -> Bool {
        guard command.attempt == client.attempt else { return false }
        switch command.kind {
        case .acquire, .raise: return client.phase == .acquiring
        case .extend: return client.phase == .extending && command.number == client.extensions
        case .release: return client.phase == .releasing && !command.isSpare && client.keys >> node & 1 == 1
        case .repair: return false
        }
    }

    private func answer(_ command: Command, from client: Int, on node: inout Node) -> (Reply, token: Int) {
        let owner = Owner(client: client, attempt: command.attempt, isSpare: command.isSpare)
        switch command.kind {
        case .acquire:
            guard node.hasRecord, node.generation == command.number else { return (.refused, 0) }
            guard node.owner == .nobody else { return (.held, 0) }
            // A counter that was lost goes on from the enrolment. The time that a client proposes is left out: one
            // that is behind adds nothing.
            node.counter = max(node.counter, node.enrolmentToken) + 1
            node.owner = owner
            node.ticksLeft = ModelRules.ttlTicks
            return (.granted, node.counter)
        case .raise:
            guard node.owner == owner else { return (.gone, 0) }
            node.counter = max(node.counter, command.number)
            return (.raised, 0)
        case .extend:
            guard node.owner != .nobody else { return (.missing, 0) }
            guard node.owner == owner else { return (.foreign, 0) }
            node.ticksLeft = ModelRules.ttlTicks
            return (.stillMine, 0)
        case .repair:
            guard node.owner == .nobody else { return (.held, 0) }
            node.counter = max(node.counter, command.number)
            node.owner = owner
            node.ticksLeft = ModelRules.ttlTicks
            return (.raised, 0)
        case .release:
            let deletes = node.owner == owner || (rules.defect == .releaseDeletesForeignKeys && node.owner != .nobody)
            guard deletes else { return (.notHeld, 0) }
            node.dropKey()
            return (.deleted, 0)
        }
    }
}

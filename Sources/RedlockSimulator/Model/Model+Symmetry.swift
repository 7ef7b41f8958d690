// SPDX-License-Identifier: Apache-2.0

/// Nodes are alike, and so are clients: worlds that differ by their order only are taken for one.
extension Model {
    /// The world that stands for all that differ from this one by the order of nodes and clients.
    ///
    /// Where two nodes cannot be told apart by what they and their connections hold, one order is as good as another:
    /// a world may then have several representatives, which costs time and hides nothing.
    func representative(of world: World) -> World {
        var world = world
        forgetWhatIsDead(&world)
        let (first, second) = (world.clients[0].wordWithoutNodes, world.clients[1].wordWithoutNodes)
        if first < second { return withSortedNodes(world) }
        let swapped = withSortedNodes(withSwappedClients(world))
        if first > second { return swapped }
        let straight = withSortedNodes(world)
        return straight.precedes(swapped) ? straight : swapped
    }

    /// Sets to zero what cannot make a difference any more.
    private func forgetWhatIsDead(_ world: inout World) {
        // A token is compared with the highest one, and with those granted while the attempt was under way.
        var oldest = world.ledger.highestGrantedToken
        var mayExtend = world.ledger.extensionsLeft > 0
        for client in 0..<SmallWorld.clientCount {
            switch world.clients[client].phase {
            case .acquiring: oldest = min(oldest, world.clients[client].tokenBefore)
            case .extending: mayExtend = true
            case .idle, .holding, .releasing: break
            }
        }
        world.ledger.grantedTokens &= ~(1 << oldest - 1)
        // Only a repair needs the token of the lease.
        for client in 0..<SmallWorld.clientCount where !mayExtend && world.clients[client].phase == .holding {
            world.clients[client].token = 0
            world.clients[client].extensions = 0
        }
        guard world.ledger.attemptsLeft == 0 else { return }
        world.ledger.highestToken = 0
        for node in 0..<SmallWorld.nodeCount where !isCounterNeeded(on: node, world) {
            world.nodes[node].counter = 0
            world.nodes[node].enrolmentToken = 0
        }
        // Quarantine keeps nodes from being asked by new attempts, and what a client knows is for its own questions.
        for node in 0..<SmallWorld.nodeCount {
            world.nodes[node].quarantineTicks = 0
            for client in 0..<SmallWorld.clientCount where !world.clients[client].phase.mayStillAsk {
                world.links[client][node].forgetAllButReply()
            }
        }
    }

    /// Whether anybody who waits for an answer will be told a token by the node.
    private func isCounterNeeded(on node: Int, _ world: World) -> Bool {
        (0..<SmallWorld.clientCount).contains { client in
            world.commands[client][node].contains { command in
                command.kind == .acquire && isAwaited(command, of: world.clients[client], by: node)
            }
        }
    }

    private func withSwappedClients(_ world: World) -> World {
        var result = world
        result.clients.swap()
        result.commands.swap()
        result.links.swap()
        for node in 0..<SmallWorld.nodeCount { result.nodes[node].owner = world.nodes[node].owner.swapped }
        return result
    }

    private func withSortedNodes(_ world: World) -> World {
        let isInOrder = { (left: Int, right: Int) in !world.isNode(right, before: left) }
        let order: Int
        switch (isInOrder(0, 1), isInOrder(1, 2), isInOrder(0, 2)) {
        case (true, true, _): return world
        case (true, false, true): order = 1
        case (false, _, true): order = 2
        case (false, true, false): order = 3
        case (true, false, false): order = 4
        case (false, false, false): order = 5
        }
        return reordered(world, by: order)
    }

    private func reordered(_ world: World, by number: Int) -> World {
        let order = NodeOrder.all[number]
        var result = world
        for place in 0..<SmallWorld.nodeCount {
            let old = order.oldPlaces[place]
            result.nodes[place] = world.nodes[old]
            for client in 0..<SmallWorld.clientCount {
                result.commands[client][place] = world.commands[client][old]
                result.links[client][place] = world.links[client][old]
            }
        }
        for client in 0..<SmallWorld.clientCount {
            let old = world.clients[client]
            result.clients[client].keys = order.reordered(bits: old.keys)
            result.clients[client].repaired = order.reordered(bits: old.repaired)
            result.clients[client].takenBack = order.reordered(bits: old.takenBack)
            switch old.phase {
            case .acquiring: result.clients[client].round = acquireRounds.mirror(old.round, by: number)
            case .extending: result.clients[client].round = extendRounds.mirror(old.round, by: number)
            case .releasing: result.clients[client].round = releaseRounds.mirror(old.round, by: number)
            case .idle, .holding: break
            }
        }
        return result
    }
}

extension World {
    /// Any order of the nodes that does not depend on their places.
    @inline(__always)
    fileprivate func isNode(_ left: Int, before right: Int) -> Bool {
        if nodes[left].word != nodes[right].word { return nodes[left].word < nodes[right].word }
        for client in 0..<SmallWorld.clientCount {
            let (first, second) = (commands[client][left].word, commands[client][right].word)
            if first != second { return first < second }
            let (one, other) = (links[client][left].word, links[client][right].word)
            if one != other { return one < other }
        }
        return false
    }

    /// Any order of worlds.
    fileprivate func precedes(_ other: World) -> Bool {
        withWords { words in other.withWords { words.lexicographicallyPrecedes($0) } }
    }

    /// The world as twelve words.
    @inline(__always)
    func withWords<Result>(_ body: (UnsafeBufferPointer<UInt64>) -> Result) -> Result {
        withUnsafePointer(to: self) { pointer in
            pointer.withMemoryRebound(to: UInt64.self, capacity: Self.wordCount) { words in
                body(UnsafeBufferPointer(start: words, count: Self.wordCount))
            }
        }
    }

    static let wordCount = MemoryLayout<World>.size / MemoryLayout<UInt64>.size
}

// SPDX-License-Identifier: Apache-2.0

/// How a node loses what it had in memory.
enum LossKind: CaseIterable {
    /// Somebody empties the server; connections and commands on their way live on.
    case emptied
    /// The server is restarted with nothing.
    case restartedEmpty
    /// The server is restarted from a file that was written after its enrolment and before any lock.
    case restartedFromFile
}

/// One thing that can happen next.
enum ModelAction {
    case acquire(client: Int)
    case giveUp(client: Int)
    case extend(client: Int)
    case release(client: Int)
    /// The first command on the connection is carried out.
    case carryOut(client: Int, node: Int)
    /// The answer arrives.
    case receive(client: Int, node: Int)
    /// A client that is connected anew, or whose audit is due, looks at what a node is, and enrols it if need be.
    case inspect(client: Int, node: Int)
    case lose(LossKind, node: Int)
    case jump(node: Int)
    /// True time passes; one node may be fast meanwhile.
    case tick(fastNode: Int?)

    /// Everything that could happen to any world; most of it cannot happen to a given one.
    static let all: [ModelAction] = {
        let nodes = 0..<SmallWorld.nodeCount
        var actions: [ModelAction] = []
        for client in 0..<SmallWorld.clientCount {
            actions += [.acquire(client: client), .extend(client: client)]
            actions += nodes.map { .carryOut(client: client, node: $0) }
            actions += nodes.map { .receive(client: client, node: $0) }
            actions += [.release(client: client), .giveUp(client: client)]
            actions += nodes.map { .inspect(client: client, node: $0) }
        }
        for node in nodes { actions += LossKind.allCases.map { .lose($0, node: node) } + [.jump(node: node)] }
        return actions + [.tick(fastNode: nil)] + nodes.map { .tick(fastNode: $0) }
    }()
}

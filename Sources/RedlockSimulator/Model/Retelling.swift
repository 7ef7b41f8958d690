// SPDX-License-Identifier: Apache-2.0

/// Tells in plain words how a world came about.
///
/// The worlds on the way are representatives, in which the nodes and clients change places from step to step. The
/// retelling goes the same way with nodes and clients that keep their names.
struct Retelling {
    let model: Model
    let first: World

    /// One line for each step of a way that begins with the representative of the first world.
    func steps(to path: [World]) -> [String] {
        var world = first
        var lines: [String] = []
        for representative in path.dropFirst() {
            let step = ModelAction.all.lazy.compactMap { action in
                model.next(world, action).map { (action, $0) }
            }.first { model.representative(of: $0.1) == representative }
            guard let (action, next) = step else { preconditionFailure("a way that was gone cannot be retold") }
            lines.append(line(action, before: world, after: next))
            world = next
        }
        return lines
    }

    private func line(_ action: ModelAction, before: World, after: World) -> String {
        let text = text(of: action, before: before)
        let consequences = (0..<SmallWorld.clientCount).compactMap { consequence(for: $0, before, after) }
        return ([text] + consequences).joined(separator: "; ")
    }

    private func text(of action: ModelAction, before: World) -> String {
        switch action {
        case .acquire(let client): "\(name(client)) begins to acquire"
        case .giveUp(let client): "\(name(client)) gives its attempt up and releases"
        case .extend(let client): "\(name(client)) begins to extend"
        case .release(let client): "\(name(client)) releases"
        case .carryOut(let client, let node): carryOut(client, node, before)
        case .receive(let client, let node):
            "\(name(client)) hears from node \(node + 1): \(text(of: before.links[client][node]))"
        case .inspect(let client, let node): "\(name(client)) looks at node \(node + 1), and enrols it if need be"
        case .lose(.emptied, let node): "node \(node + 1) is emptied"
        case .lose(.restartedEmpty, let node): "node \(node + 1) restarts with nothing"
        case .lose(.restartedFromFile, let node): "node \(node + 1) restarts from an old file"
        case .jump(let node): "the clock of node \(node + 1) jumps ahead"
        case .tick(nil): "a tick passes"
        case .tick(let node?): "a tick passes; the clock of node \(node + 1) gains another one"
        }
    }

    private func carryOut(_ client: Int, _ node: Int, _ before: World) -> String {
        var commands = before.commands[client][node]
        let command = commands.popFirst()
        let text =
            switch command?.kind {
            case .acquire: "acquire"
            case .raise: "raise to \(command?.number ?? 0)"
            case .extend: "extend"
            case .repair: "repair"
            case .release, nil: "release"
            }
        return "node \(node + 1) carries out \(name(client))'s \"\(text)\""
    }

    private func text(of link: Link) -> String {
        switch link.reply {
        case .granted: "granted with token \(link.token)"
        case .stillMine: "still mine"
        case .notHeld: "not held"
        case .cut, .none: "the connection is cut"
        default: "\(link.reply)"
        }
    }

    private func consequence(for client: Int, _ before: World, _ after: World) -> String? {
        let (old, new) = (before.clients[client], after.clients[client])
        if new.isHolder, !old.isHolder {
            return "\(name(client)) holds the lock with token \(new.token) for \(new.validTicks) more ticks"
        }
        if new.validTicks > old.validTicks { return "\(name(client)) holds the lock for \(new.validTicks) more ticks" }
        if old.isHolder, !new.isHolder, new.phase == .holding { return "\(name(client)) holds the lock no longer" }
        if old.phase == .acquiring, new.phase == .releasing { return "\(name(client)) has no lease and releases" }
        return nil
    }

    private func name(_ client: Int) -> String { client == 0 ? "A" : "B" }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// The same place in the queues of several nodes, on its way there.
final class PlaceExchange: ScriptSender {
    let line: WaitingLine
    let place: NodeCommand.Place
    /// The nodes on which somebody has the lock.
    private(set) var heldOn: NodeSet = []
    /// How many wait before this client, at best.
    private(set) var rank = Int64.max
    /// How long the lock lives on each node that said so; nothing where it is free.
    private var lives: [Int64] = []
    private var awaited: NodeSet
    private let engine: LockEngine

    init(_ line: WaitingLine, _ place: NodeCommand.Place, nodes: NodeSet, engine: LockEngine) {
        self.line = line
        self.place = place
        awaited = nodes
        self.engine = engine
    }

    /// When the lock is free on so many nodes, if nobody extends it; nil if that is not known.
    func expiry(votes: Int) -> Instant? {
        guard lives.count >= votes else { return nil }
        return engine.surroundings.now.advanced(byNanoseconds: lives.sorted()[votes - 1])
    }

    /// Not any more once the place was given up: it would be taken behind that.
    func command(for node: Int) -> NodeCommand? {
        isWanted ? .enqueue(place) : nil
    }

    private var isWanted: Bool { line.place?.ticket == place.ticket && line.place?.member == place.member }

    func received(_ reply: RESPValue, from node: Int) {
        switch reply {
        case .integer(0):
            note(node, isKept: false)
            lives.append(0)
        case .array(let parts):
            guard parts.count == 2, let left = parts[0].integer, left >= -2, let rank = parts[1].integer, rank >= 0
            else {
                refused(reply, by: node)
                break
            }
            note(node, isKept: true)
            self.rank = min(self.rank, rank)
            if left != -2 { heldOn.insert(node) }
            // Beyond a day, or for ever, it is no use to know when.
            lives.append(left == -2 ? 0 : (left == -1 ? 86_400_000 : min(left, 86_400_000)) * 1_000_000)
        default:
            refused(reply, by: node)
        }
        answered(node)
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        answered(node)
    }

    private func note(_ node: Int, isKept: Bool) {
        guard isWanted else { return }
        line.place?.nodes.remove(node)
        guard isKept else { return }
        line.place?.mayExist.insert(node)
        // Without a subscription, nobody would be woken by it.
        if engine.wakeUps.nodes.contains(node) { line.place?.nodes.insert(node) }
    }

    private func refused(_ reply: RESPValue, by node: Int) {
        note(node, isKept: false)
        engine.queueRefused(by: node, reply.problem)
    }

    private func answered(_ node: Int) {
        awaited.remove(node)
        if awaited.isEmpty { engine.placesTold(self) }
    }
}

/// What gives up a place; nobody waits for the answer, as the place ends by itself.
final class LeaveExchange: ScriptSender {
    private let command: NodeCommand
    private let place: WaitingLine.Place
    private unowned let engine: LockEngine

    init(_ command: NodeCommand, _ place: WaitingLine.Place, engine: LockEngine) {
        self.command = command
        self.place = place
        self.engine = engine
    }

    /// Not any more once the client has another place.
    func command(for node: Int) -> NodeCommand? {
        engine.wakeUps.hasPlace(likeIt: place) ? nil : command
    }

    func received(_ reply: RESPValue, from node: Int) {}

    func failed(_ failure: NodeFailure, at node: Int) {}
}

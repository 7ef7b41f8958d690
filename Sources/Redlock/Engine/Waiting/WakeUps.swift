// SPDX-License-Identifier: Apache-2.0

import LockCore
import Logging
import RedisTransport

/// The subscriptions by which nodes wake this client, kept as long as it has a place in any queue, and a while longer.
final class WakeUps {
    /// For how long subscriptions are kept that nobody needs at the moment.
    private static let idleNanoseconds: Int64 = 10_000_000_000

    private unowned let engine: LockEngine
    /// What the nodes know this client by.
    private var client: String { engine.identifier.rawValue }
    /// The nodes whose messages arrive.
    private(set) var nodes: NodeSet = []
    /// Those that refused a subscription or a place once, of which it was told.
    private var refusing: NodeSet = []
    private var isListening = false
    /// The lines that have a place, by what messages call it: compared as names are, by their bytes.
    private var lines: [ResourceName: WaitingLine] = [:]
    private var lastNumber = 0
    private var idleTimer: (any LoopTimer)?

    init(engine: LockEngine) {
        self.engine = engine
    }

    /// What nodes know the place of a line by: the end of this client's channel, and how this client tells its places in one
    /// queue apart.
    func member(of line: WaitingLine) -> String {
        if let member = line.claim.member(ofClient: client) { return member }
        lastNumber += 1
        return "\(client)a\(lastNumber)"
    }

    /// The line that a message is for: the place is what follows the identifier of this client, and the queue.
    func line(ofPlace address: String) -> WaitingLine? { lines[ResourceName(address)] }

    /// The lines that have a place, in the order of their tickets, as that of a dictionary differs from run to run.
    var linesInQueues: [WaitingLine] {
        lines.sorted { first, second in
            let (one, other) = (first.value.place?.ticket ?? 0, second.value.place?.ticket ?? 0)
            return one != other ? one < other : first.key.text.utf8.lexicographicallyPrecedes(second.key.text.utf8)
        }.map(\.value)
    }

    /// Whether a line has the same place anew.
    func hasPlace(likeIt place: WaitingLine.Place) -> Bool { lines[address(place)] != nil }

    private func address(_ place: WaitingLine.Place) -> ResourceName {
        ResourceName("\(place.member.dropFirst(client.utf8.count)) \(place.queue.queue)")
    }

    /// Notes that a line waits in a queue; whoever wakes it can be heard from soon on.
    func placeTaken(_ line: WaitingLine) {
        if let place = line.place { lines[address(place)] = line }
        idleTimer?.cancel()
        idleTimer = nil
        guard !isListening else { return }
        isListening = true
        engine.surroundings.listen(on: engine.profile.wakeChannel(ofClient: client))
    }

    /// Notes that a place was given up.
    func placeGivenUp(_ place: WaitingLine.Place) {
        lines[address(place)] = nil
        guard lines.isEmpty, isListening, !engine.isShuttingDown else { return }
        let end = engine.surroundings.now.advanced(byNanoseconds: Self.idleNanoseconds)
        idleTimer = engine.surroundings.schedule(at: end) { [self, engine] in
            idleTimer = nil
            isListening = false
            nodes = []
            engine.surroundings.stopListening()
        }
    }

    func subscribed(to node: Int) {
        nodes.insert(node)
    }

    func unsubscribed(from node: Int) {
        nodes.remove(node)
    }

    /// Whether it is the first refusal of the node.
    func noteRefusal(by node: Int) -> Bool {
        defer { refusing.insert(node) }
        return !refusing.contains(node)
    }
}

extension LockEngine: SubscriptionLinkDelegate {
    func subscriptionConfirmed(_ node: Int) {
        wakeUps.subscribed(to: node)
        for line in wakeUps.linesInQueues where line.attempt == nil && line.look == nil { enqueue(line, on: [node]) }
    }

    func subscriptionLost(_ node: Int, failure: NodeFailure) {
        wakeUps.unsubscribed(from: node)
        let isNews = failure.isPermanent && wakeUps.noteRefusal(by: node)
        logger.log(
            level: isNews ? .warning : .debug,
            "a node cannot wake this client, which asks now and then instead",
            metadata: ["redis_node": "\(nodeNames[node])", "reason": "\(failure)"]
        )
        for line in wakeUps.linesInQueues { placeLost(line, on: node) }
    }

    func messageReceived(channel: String, payload: [UInt8], node: Int) {
        // The rank of the place among those that wait, and which place it is.
        guard let space = payload.firstIndex(of: UInt8(ascii: " ")),
            let line = wakeUps.line(ofPlace: String(decoding: payload[(space + 1)...], as: UTF8.self))
        else { return }
        switch Int64(String(decoding: payload[..<space], as: UTF8.self)) {
        case 0: woken(line, by: node)
        case .some(let rank) where (1..<100).contains(rank):
            lookSoon(line, withinNanoseconds: rank * graceOfTheFirstNanoseconds)
        default: break
        }
    }
}

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
    private(set) lazy var client = RecordID(bits: engine.surroundings.randomBits()).description
    /// The nodes whose messages arrive.
    private(set) var nodes: NodeSet = []
    /// Those that refused a subscription or a place once, of which it was told.
    private var refusing: NodeSet = []
    private var isListening = false
    private var placeCount = 0
    private var idleTimer: (any LoopTimer)?

    init(engine: LockEngine) {
        self.engine = engine
    }

    /// Notes that the client waits in one queue more; whoever wakes it can be heard from soon on.
    func placeTaken() {
        placeCount += 1
        idleTimer?.cancel()
        idleTimer = nil
        guard !isListening else { return }
        isListening = true
        engine.surroundings.listen(on: engine.profile.wakeChannel(ofClient: client))
    }

    /// Notes that the client waits in one queue less.
    func placeGivenUp() {
        placeCount -= 1
        guard placeCount == 0, isListening, !engine.isShuttingDown else { return }
        let end = engine.surroundings.now.advanced(byNanoseconds: Self.idleNanoseconds)
        idleTimer = engine.surroundings.schedule(at: end) { [weak self] in
            guard let self else { return }
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
        for line in linesInQueues where line.attempt == nil && line.look == nil { enqueue(line, on: [node]) }
    }

    func subscriptionLost(_ node: Int, failure: NodeFailure) {
        wakeUps.unsubscribed(from: node)
        let isNews = failure.isPermanent && wakeUps.noteRefusal(by: node)
        logger.log(
            level: isNews ? .warning : .debug,
            "a node cannot wake this client, which asks now and then instead",
            metadata: ["redis_node": "\(nodeNames[node])", "reason": "\(failure)"]
        )
        for line in linesInQueues { placeLost(line, on: node) }
    }

    func messageReceived(channel: String, payload: [UInt8], node: Int) {
        // The rank of this client among those that wait, and the queue.
        guard let space = payload.firstIndex(of: UInt8(ascii: " ")),
            let resource = profile.resource(ofQueue: payload[(space + 1)...]),
            let line = lines[ResourceName(resource)], line.place != nil
        else { return }
        switch Int64(String(decoding: payload[..<space], as: UTF8.self)) {
        case 0: woken(line, by: node)
        case .some(let rank) where (1..<100).contains(rank):
            lookSoon(line, withinNanoseconds: rank * graceOfTheFirstNanoseconds)
        default: break
        }
    }

    /// In the order of their tickets, as that of a dictionary differs from run to run.
    private var linesInQueues: [WaitingLine] {
        lines.values.filter { $0.place != nil }.sorted { first, second in
            let (one, other) = (first.place?.ticket ?? 0, second.place?.ticket ?? 0)
            return one != other ? one < other : first.resource.utf8.lexicographicallyPrecedes(second.resource.utf8)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Hiredis
internal import RedisTransport
internal import Redlock

/// A connection that is subscribed to a channel of a node, as `SubscriptionLink` is in the real surroundings.
final class SimulatedSubscription: NodeLinkDelegate, ReplyReceiver {
    private static let pingIntervalNanoseconds: Int64 = 5_000_000_000

    let channel: String
    private let link: SimulatedLink
    private unowned let delegate: any SubscriptionLinkDelegate
    private var isConfirmed = false
    private var pingTimer: SimulatedTimer?

    init(
        to channel: String,
        place: Int,
        node: SimulatedNode,
        route: SimulatedRoute,
        process: SimulatedProcess,
        configuration: SimulatedLink.Configuration,
        delegate: any SubscriptionLinkDelegate
    ) {
        self.channel = channel
        self.delegate = delegate
        link = SimulatedLink(
            place: place,
            node: node,
            route: route,
            process: process,
            configuration: SimulatedLink.Configuration(
                connectTimeoutNanoseconds: configuration.connectTimeoutNanoseconds,
                replyTimeoutNanoseconds: configuration.replyTimeoutNanoseconds,
                handshake: [["PING"], ["SUBSCRIBE", channel]].map { SimulatedCommand(.plain($0)) }
            )
        )
        link.delegate = self
    }

    func start() {
        link.start()
    }

    func close() {
        stopUsing()
        link.delegate = nil
        link.close()
    }

    /// Has the connection break.
    func breakOff() {
        link.breakOff()
    }

    func cutOff() {
        stopUsing()
        link.delegate = nil
        link.cutOff()
    }

    private func stopUsing() {
        isConfirmed = false
        pingTimer?.cancel()
        pingTimer = nil
        link.node.remove(self)
    }

    // MARK: Messages

    /// Takes a message from the node to the process.
    func deliver(_ message: String) {
        link.arrive { [self] in
            guard isConfirmed else { return }
            delegate.messageReceived(channel: channel, payload: Array(message.utf8), node: link.place)
        }
    }

    // MARK: The connection

    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {
        if let problem = handshakeReplies.lazy.compactMap(\.error).first {
            return link.abandonConnection(NodeFailure(.permission, problem))
        }
        isConfirmed = true
        link.node.add(self)
        schedulePing()
        delegate.subscriptionConfirmed(node)
    }

    func linkWentDown(_ node: Int, failure: NodeFailure) {
        stopUsing()
        delegate.subscriptionLost(node, failure: failure)
    }

    // MARK: Asking whether the server is there

    private func schedulePing() {
        pingTimer = link.process.schedule(afterNanoseconds: Self.pingIntervalNanoseconds) { [self] in
            guard isConfirmed else { return }
            link.append(SimulatedCommand(.plain(["PING"])), receiver: self, inheritsDeadline: false)
            link.flush()
        }
    }

    func received(_ reply: RESPValue, from node: Int) {
        guard reply == .simpleString("PONG") else {
            return link.abandonConnection(NodeFailure(.protocolViolation, "a PING was not answered with PONG"))
        }
        schedulePing()
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        // The connection ends with it, and tells that it did.
    }
}

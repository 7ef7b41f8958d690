// SPDX-License-Identifier: Apache-2.0

package import Hiredis
package import Logging
package import NIOCore

/// Who is told what comes over a subscription, and when nothing can come, on the event loop of the link.
package protocol SubscriptionLinkDelegate: AnyObject {
    /// The server confirmed the subscription of all channels: what is published from now on arrives, until the
    /// subscription is lost.
    ///
    /// What was published before may be lost, also between two connections; whoever waits for it looks for himself.
    func subscriptionConfirmed(_ node: Int)

    /// Somebody published a message.
    ///
    /// Never called before the subscription is confirmed, nor after it is lost until it is confirmed again.
    func messageReceived(channel: String, payload: [UInt8], node: Int)

    /// An attempt to subscribe failed, or a subscription ended; told once for each. The link goes on trying by itself.
    func subscriptionLost(_ node: Int, failure: NodeFailure)
}

/// A connection to one node that is subscribed to channels, kept for as long as somebody wants it.
///
/// It connects as every ``NodeLink`` does, subscribes as the last step of the handshake, and does all of it again, with
/// growing delays, whenever the connection ends. Messages are hints: Redis sends each to whoever is subscribed at that
/// moment, keeps none, and asks for no acknowledgement. What the server sends without being asked, other than a message
/// of a channel that was subscribed to, ends the connection.
///
/// A subscribed connection has nothing to send, so that a peer that is gone would never be noticed: a PING now and then
/// must be answered in time.
///
/// Lives on one event loop: every call, and every call to its delegate, happens there. To be closed before it is let go.
package final class SubscriptionLink {
    /// The channels, times and names that a subscription works with.
    package struct Configuration: Sendable {
        /// What to subscribe to; at least one.
        package var channels: Set<String>
        /// How long an attempt may take: name, TCP, TLS, handshake and subscription together.
        package var connectTimeout: TimeAmount
        /// How long the answer to a PING may take.
        package var replyTimeout: TimeAmount
        /// The time from the confirmation to the first PING, and from each answer to the next PING.
        package var pingInterval: TimeAmount
        /// The name that the server shows for the connection.
        package var connectionName: String

        /// A configuration of the given values.
        package init(
            channels: Set<String>,
            connectTimeout: TimeAmount,
            replyTimeout: TimeAmount,
            pingInterval: TimeAmount = .seconds(5),
            connectionName: String
        ) {
            self.channels = channels
            self.connectTimeout = connectTimeout
            self.replyTimeout = replyTimeout
            self.pingInterval = pingInterval
            self.connectionName = connectionName
        }
    }

    /// The place of the node in the client's list.
    package let node: Int

    private let channels: [String]
    private let pingInterval: TimeAmount
    private let eventLoop: any EventLoop
    private unowned let delegate: any SubscriptionLinkDelegate
    private let logger: Logger
    /// What connects; nil once this is closed.
    private var link: NodeLink?
    private var isConfirmed = false
    private var pingTimer: Scheduled<Void>?

    /// A link that does nothing yet.
    ///
    /// - Throws: `NodeFailure` when the files of the TLS settings cannot be used.
    package init(
        node: Int,
        endpoint: RedisEndpoint,
        configuration: Configuration,
        eventLoop: any EventLoop,
        delegate: any SubscriptionLinkDelegate,
        logger: Logger
    ) throws(NodeFailure) {
        precondition(!configuration.channels.isEmpty, "a subscription needs at least one channel")
        self.node = node
        self.channels = configuration.channels.sorted()
        self.pingInterval = configuration.pingInterval
        self.eventLoop = eventLoop
        self.delegate = delegate
        var logger = logger
        logger[metadataKey: "redis_node"] = "\(endpoint)"
        logger[metadataKey: "redis_connection"] = "subscription"
        self.logger = logger
        // PING comes first: whether it is allowed shows now and not when the subscription is in use, and the
        // confirmation remains the last reply of the handshake.
        let link = try NodeLink(
            node: node,
            endpoint: endpoint,
            configuration: NodeLink.Configuration(
                connectTimeout: configuration.connectTimeout,
                replyTimeout: configuration.replyTimeout,
                connectionName: configuration.connectionName,
                handshakeCommands: [["PING"]] + channels.map { ["SUBSCRIBE", $0] }
            ),
            eventLoop: eventLoop,
            delegate: self,
            logger: logger
        )
        link.messageReceiver = self
        self.link = link
    }

    /// Begins to connect.
    package func start() {
        link?.start()
    }

    /// Ends the connection and tries no more; the delegate is told nothing from now on.
    package func close() {
        let link = self.link
        self.link = nil
        stopUsing()
        link?.close()
    }

    private func stopUsing() {
        isConfirmed = false
        pingTimer?.cancel()
        pingTimer = nil
    }

    // MARK: Subscribing

    /// Judges the replies to the PING and to each SUBSCRIBE.
    private func judge(_ replies: [RESPValue]) throws(NodeFailure) {
        guard let pong = replies.first, pong == .simpleString("PONG") else {
            throw Self.failure(ofPingAnsweredWith: replies.first ?? .null)
        }
        for (number, (channel, reply)) in zip(channels, replies.dropFirst()).enumerated() {
            let confirmation = RESPValue.array([
                .bulkString(Array("subscribe".utf8)), .bulkString(Array(channel.utf8)), .integer(Int64(number + 1)),
            ])
            guard reply == confirmation else {
                let name = channel.printable()
                throw NodeFailure(
                    attemptTo: "subscribe to the channel \(name)",
                    answeredWith: reply,
                    otherwise: .permission,
                    rights: "+subscribe &\(name)"
                )
            }
        }
    }

    // MARK: Asking whether the server is there

    private static let ping = Array("*1\r\n$4\r\nPING\r\n".utf8)
    /// What a subscribed connection answers to a PING.
    private static let pong = RESPValue.array([.bulkString(Array("pong".utf8)), .bulkString([])])

    private func schedulePing() {
        pingTimer?.cancel()
        pingTimer = eventLoop.assumeIsolated().scheduleTask(in: pingInterval) { [weak self] in
            // A timer that is already on its way cannot be cancelled: the connection may have ended meanwhile.
            guard let self, self.isConfirmed else { return }
            Self.ping.withUnsafeBytes { self.link?.append($0, receiver: self) }
            self.link?.flush()
        }
    }

    private static func failure(ofPingAnsweredWith reply: RESPValue) -> NodeFailure {
        NodeFailure(attemptTo: "ping", answeredWith: reply, otherwise: .permission, rights: "+ping")
    }
}

extension SubscriptionLink: NodeLinkDelegate {
    package func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {
        do throws(NodeFailure) {
            try judge(handshakeReplies)
        } catch {
            link?.abandonConnection(error)
            return
        }
        isConfirmed = true
        logger.debug("subscribed")
        schedulePing()
        delegate.subscriptionConfirmed(node)
    }

    package func linkWentDown(_ node: Int, failure: NodeFailure) {
        stopUsing()
        delegate.subscriptionLost(node, failure: failure)
    }
}

extension SubscriptionLink: MessageReceiver {
    func received(_ message: PublishedMessage) {
        guard let channel = channels.first(where: { $0.utf8.elementsEqual(message.channel) }) else {
            let text = "the server sent a message of a channel that was not subscribed to"
            link?.abandonConnection(NodeFailure(.protocolViolation, text))
            return
        }
        // Of several channels, the first may bring a message before the last is confirmed: nobody counts on it yet.
        guard isConfirmed else { return }
        delegate.messageReceived(channel: channel, payload: message.payload, node: node)
    }
}

/// The answers to the PINGs.
extension SubscriptionLink: ReplyReceiver {
    package func received(_ reply: RESPValue, from node: Int) {
        guard reply == Self.pong else {
            link?.abandonConnection(Self.failure(ofPingAnsweredWith: reply))
            return
        }
        schedulePing()
    }

    package func failed(_ failure: NodeFailure, at node: Int) {
        // The connection ends with it, and the link tells that it did.
    }
}

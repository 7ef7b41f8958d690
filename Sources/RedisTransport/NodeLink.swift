// SPDX-License-Identifier: Apache-2.0

package import Hiredis
package import Logging
package import NIOCore
internal import NIOPosix
internal import NIOSSL

/// Who sent a command and is told its reply, on the event loop of the link.
package protocol ReplyReceiver: AnyObject {
    /// The node answered.
    func received(_ reply: RESPValue, from node: Int)

    /// No answer will come; the node may or may not have carried the command out.
    ///
    /// While this runs, commands can still be sent to the node: they are the last that this connection carries, and
    /// their replies are not waited for.
    func failed(_ failure: NodeFailure, at node: Int)
}

/// Who is told when a node can be used and when not, on the event loop of the link.
package protocol NodeLinkDelegate: AnyObject {
    /// Every step of the handshake succeeded; commands can be sent. The replies are those to the delegate's own
    /// handshake commands.
    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue])

    /// An attempt to connect failed, or a connection ended. The link goes on trying by itself.
    func linkWentDown(_ node: Int, failure: NodeFailure)
}

/// The way to one node: connects, shakes hands, sends, and connects again, with growing delays, as often as it must.
///
/// Lives on one event loop: every call, and every call to its delegate, happens there. A link that was started is there
/// until it is closed.
package final class NodeLink {
    /// The times and names that a link works with.
    package struct Configuration: Sendable {
        /// How long an attempt to connect may take: name, TCP, TLS and handshake together.
        package var connectTimeout: TimeAmount
        /// How long each reply may take.
        package var replyTimeout: TimeAmount
        /// The name that the server shows for the connection.
        package var connectionName: String
        /// What else to ask in the handshake.
        package var handshakeCommands: [[String]]
        /// How much a reply may hold; a server that exceeds it is not listened to any more.
        package var replyLimits: ReplyLimits

        /// A configuration of the given values.
        package init(
            connectTimeout: TimeAmount,
            replyTimeout: TimeAmount,
            connectionName: String,
            handshakeCommands: [[String]],
            replyLimits: ReplyLimits = .lockTraffic
        ) {
            self.connectTimeout = connectTimeout
            self.replyTimeout = replyTimeout
            self.connectionName = connectionName
            self.handshakeCommands = handshakeCommands
            self.replyLimits = replyLimits
        }
    }

    private enum State {
        case idle
        case connecting(Attempt)
        case ready(RedisConnection, since: NIODeadline)
        case waiting(Scheduled<Void>)
        case closed
    }

    /// One attempt to connect, until the handshake is through.
    private struct Attempt {
        let number: Int
        let deadlineTimer: Scheduled<Void>
        var connection: RedisConnection?
    }

    /// Why the link cannot be used now; nil when it can.
    @exclusivity(unchecked) package private(set) var failure: NodeFailure?

    /// Whether commands can be sent now.
    package var isUsable: Bool { failure == nil }

    /// The place of the node in the client's list.
    package let node: Int

    /// Where the node is.
    package let endpoint: RedisEndpoint

    /// Who is told the messages of channels that the handshake subscribes to; to be set before the link is started.
    weak var messageReceiver: (any MessageReceiver)?

    private let configuration: Configuration
    private let eventLoop: any EventLoop
    private unowned let delegate: any NodeLinkDelegate
    private let handshake: Handshake
    private let tlsContext: NIOSSLContext?
    private let logger: Logger
    @exclusivity(unchecked) private var state = State.idle
    private var attempts = 0
    private var backoff = Backoff(firstNanoseconds: 50_000_000, longestNanoseconds: 2_000_000_000)

    /// A link that does nothing yet.
    ///
    /// - Throws: `NodeFailure` for an address that no connection can be made to, or TLS settings that cannot be used.
    package init(
        node: Int,
        endpoint: RedisEndpoint,
        configuration: Configuration,
        eventLoop: any EventLoop,
        delegate: any NodeLinkDelegate,
        logger: Logger
    ) throws(NodeFailure) {
        do throws(RedisEndpoint.Problem) {
            try endpoint.checkAddress()
        } catch {
            throw NodeFailure(.unreachable, error.text)
        }
        self.node = node
        self.endpoint = endpoint
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.delegate = delegate
        self.handshake = Handshake(
            endpoint: endpoint,
            connectionName: configuration.connectionName,
            furtherCommands: configuration.handshakeCommands
        )
        if let tls = endpoint.tls { tlsContext = try tls.makeContext() } else { tlsContext = nil }
        var logger = logger
        logger[metadataKey: "redis_node"] = "\(endpoint)"
        self.logger = logger
        self.failure = NodeFailure(.connecting, "not connected yet")
    }

    // MARK: Sending

    /// Appends the bytes of one command; they go out with the next flush.
    ///
    /// - Parameter inheritsDeadline: whether the command stands in for the one whose reply is being handed out, so that
    ///   its own reply is due when that one was.
    package func append(
        _ command: UnsafeRawBufferPointer,
        receiver: any ReplyReceiver,
        inheritsDeadline: Bool = false
    ) {
        guard case .ready(let connection, _) = state else {
            receiver.failed(failure ?? NodeFailure(.closed, "not connected"), at: node)
            return
        }
        connection.append(
            command,
            receiver: receiver,
            replyTimeout: configuration.replyTimeout,
            inheritsDeadline: inheritsDeadline
        )
    }

    /// Writes what was appended since the last flush, in one write.
    package func flush() {
        if case .ready(let connection, _) = state { connection.flush() }
    }

    // MARK: Connecting

    /// Begins to connect.
    package func start() {
        guard case .idle = state else { return }
        connect()
    }

    /// Ends the connection and tries no more.
    package func close() {
        let before = state
        let end = NodeFailure(.closed, "the client was shut down")
        state = .closed
        failure = end
        switch before {
        case .connecting(let attempt):
            attempt.deadlineTimer.cancel()
            attempt.connection?.end(end)
        case .ready(let connection, _): connection.end(end)
        case .waiting(let timer): timer.cancel()
        case .idle, .closed: break
        }
    }

    /// Ends the connection, in which whoever uses it found something wrong, and goes on as after any other end.
    package func abandonConnection(_ failure: NodeFailure) {
        switch state {
        case .connecting(let attempt): attemptFailed(attempt.number, failure)
        case .ready(let connection, _): connection.end(failure)
        case .idle, .waiting, .closed: break
        }
    }

    private func connect() {
        attempts += 1
        let number = attempts
        let timer: Scheduled<Void> = eventLoop.assumeIsolated().scheduleTask(in: configuration.connectTimeout) {
            [self] in attemptTimedOut(number)
        }
        state = .connecting(Attempt(number: number, deadlineTimer: timer))
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.addHandlers(to: channel, attempt: number) }
            }
        bootstrap.connect(to: endpoint).assumeIsolated().whenFailure { error in
            bound.value.attemptFailed(number, NodeFailure(channelError: error))
        }
    }

    /// Called for every address that is tried; the first that opens is the connection of the attempt.
    private func addHandlers(to channel: any Channel, attempt number: Int) throws {
        guard case .connecting(let attempt) = state, attempt.number == number else {
            throw NodeFailure(.closed, "the attempt to connect was given up")
        }
        let pipeline = channel.pipeline.syncOperations
        if let tlsContext {
            try pipeline.addHandler(NIOSSLClientHandler(context: tlsContext, serverHostname: endpoint.tlsServerName))
        }
        try pipeline.addHandler(
            RedisConnection(
                node: node,
                attempt: number,
                link: self,
                messageReceiver: messageReceiver,
                replyLimits: configuration.replyLimits,
                allocator: channel.allocator
            )
        )
    }

    private func attemptTimedOut(_ number: Int) {
        guard case .connecting(let attempt) = state, attempt.number == number else { return }
        let milliseconds = configuration.connectTimeout.nanoseconds / 1_000_000
        let what = attempt.connection == nil ? "no connection" : "connected, but no answer"
        let doubt =
            attempt.connection != nil && tlsContext != nil
            ? "; if it does not speak TLS on this port, write redis:// for rediss://" : ""
        attemptFailed(number, NodeFailure(.timedOut, "\(what) within \(milliseconds) ms\(doubt)"))
    }

    private func attemptFailed(_ number: Int, _ failure: NodeFailure) {
        guard case .connecting(let attempt) = state, attempt.number == number else { return }
        attempt.deadlineTimer.cancel()
        reconnectLater(after: failure)
        attempt.connection?.end(failure)
    }

    // MARK: What the connection tells

    func connectionOpened(_ connection: RedisConnection) {
        guard case .connecting(var attempt) = state, attempt.number == connection.attempt, attempt.connection == nil
        else {
            connection.end(NodeFailure(.closed, "another connection to the same server was quicker"))
            return
        }
        attempt.connection = connection
        state = .connecting(attempt)
        var encoder = CommandEncoder()
        let receiver = HandshakeReceiver(replyCount: handshake.commands.count) { [self] replies, failure in
            handshakeEnded(attempt.number, replies, failure)
        }
        for command in handshake.commands {
            encoder.begin()
            for argument in command { encoder.append(argument) }
            do {
                try encoder.withEncoded { bytes in
                    // The attempt to connect has a deadline as a whole.
                    connection.append(UnsafeRawBufferPointer(bytes), receiver: receiver, replyTimeout: nil)
                }
            } catch {
                attemptFailed(
                    attempt.number,
                    NodeFailure(.protocolViolation, "the handshake cannot be encoded: \(error)")
                )
                return
            }
        }
        connection.flush()
    }

    private func handshakeEnded(_ number: Int, _ replies: [RESPValue], _ failure: NodeFailure?) {
        guard case .connecting(let attempt) = state, attempt.number == number else { return }
        do throws(NodeFailure) {
            // A server that refuses a client altogether says so once and closes: its answer tells more than the end.
            let furtherReplies = try handshake.judge(replies)
            if let failure {
                throw replies.isEmpty ? failure.withoutAnyAnswer(overTLS: tlsContext != nil) : failure
            }
            guard let connection = attempt.connection else { return }
            attempt.deadlineTimer.cancel()
            state = .ready(connection, since: .now())
            self.failure = nil
            logger.debug("connected")
            delegate.linkBecameReady(node, handshakeReplies: furtherReplies)
        } catch {
            attemptFailed(number, error)
        }
    }

    /// Nothing can be sent any more on a connection, which has not told everybody yet that it ended.
    func connectionIsEnding(_ connection: RedisConnection, _ failure: NodeFailure) {
        if case .ready(let current, _) = state, current === connection { self.failure = failure }
    }

    func connectionEnded(_ connection: RedisConnection, _ failure: NodeFailure) {
        switch state {
        case .connecting(let attempt) where attempt.connection === connection:
            attemptFailed(attempt.number, failure)
        case .ready(let current, let since) where current === connection:
            // A server that takes every connection and soon ends it gets growing delays as well.
            if .now() - since > .seconds(2) { backoff.reset() }
            reconnectLater(after: failure)
        default: break
        }
    }

    /// A failure that only somebody's change can mend is not hammered: the next attempt is half a minute away.
    private func reconnectLater(after failure: NodeFailure) {
        let delay =
            failure.isPermanent
            ? Int64.random(in: 25_000_000_000...35_000_000_000)
            : backoff.nextNanoseconds(random: .random(in: 0 ... .max))
        self.failure = failure
        let timer: Scheduled<Void> = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [self] in
            // A timer that is already on its way cannot be cancelled: the link may have been closed meanwhile.
            guard case .waiting = state else { return }
            connect()
        }
        state = .waiting(timer)
        logger.debug("not connected", metadata: ["reason": "\(failure)"])
        delegate.linkWentDown(node, failure: failure)
    }
}

extension ClientBootstrap {
    /// Addresses are used as they are; only names need the resolver, which tries all addresses of a name.
    fileprivate func connect(to endpoint: RedisEndpoint) -> EventLoopFuture<any Channel> {
        switch endpoint.address {
        case .unixSocket(let path): return connect(unixDomainSocketPath: path)
        case .host(let host, let port):
            return endpoint.numericAddress.map { connect(to: $0) } ?? connect(host: host, port: port)
        }
    }
}

extension RedisEndpoint {
    /// The name to check the certificate against; nil lets an IP address be checked as one.
    fileprivate var tlsServerName: String? {
        if let name = tls?.serverName { return name }
        guard case .host(let host, _) = address else { return nil }
        return numericAddress == nil ? host : nil
    }

    /// The address, if the host is written as one and is no name.
    fileprivate var numericAddress: SocketAddress? {
        guard case .host(let host, let port) = address else { return nil }
        return try? SocketAddress(ipAddress: host, port: port)
    }
}

/// Collects the answers of one handshake, all of them or those that came before the connection ended.
private final class HandshakeReceiver: ReplyReceiver {
    private let replyCount: Int
    private var replies: [RESPValue] = []
    private var completion: (([RESPValue], NodeFailure?) -> Void)?

    init(replyCount: Int, completion: @escaping ([RESPValue], NodeFailure?) -> Void) {
        self.replyCount = replyCount
        self.completion = completion
    }

    func received(_ reply: RESPValue, from node: Int) {
        replies.append(reply)
        if replies.count == replyCount { complete(nil) }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        complete(failure)
    }

    private func complete(_ failure: NodeFailure?) {
        let completion = self.completion
        self.completion = nil
        completion?(replies, failure)
    }
}

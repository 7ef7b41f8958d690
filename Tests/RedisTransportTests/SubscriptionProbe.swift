// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import RedisTransport
import Synchronization
import Testing

/// A subscription on an event loop, and everything that it tells.
///
/// `@unchecked Sendable`: the link is touched on its loop only, and what it told is guarded by a mutex.
final class SubscriptionProbe: SubscriptionLinkDelegate, @unchecked Sendable {
    enum Event: Hashable {
        case confirmed
        case message(String, [UInt8])
        case lost(NodeFailure)

        static func message(_ channel: String, _ payload: String) -> Event { .message(channel, Array(payload.utf8)) }
    }

    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    private let told = Mutex<[Event]>([])
    private let logLines = LogLines()
    private let closesAfter: @Sendable (Event) -> Bool
    private var link: SubscriptionLink?

    private init(closesAfter: @escaping @Sendable (Event) -> Bool) {
        self.closesAfter = closesAfter
    }

    /// Runs `body` with a subscription that has begun to connect, and closes it whatever `body` does.
    ///
    /// - Parameter closesAfter: which event closes the subscription, while it is being told.
    static func run(
        _ endpoint: RedisEndpoint,
        channels: Set<String> = ["wake"],
        connectTimeout: TimeAmount = .seconds(5),
        replyTimeout: TimeAmount = .seconds(5),
        pingInterval: TimeAmount = .seconds(60),
        closesAfter: @escaping @Sendable (Event) -> Bool = { _ in false },
        _ body: (SubscriptionProbe) async throws -> Void
    ) async throws {
        let probe = SubscriptionProbe(closesAfter: closesAfter)
        let configuration = SubscriptionLink.Configuration(
            channels: channels,
            connectTimeout: connectTimeout,
            replyTimeout: replyTimeout,
            pingInterval: pingInterval,
            connectionName: "probe"
        )
        try await probe.eventLoop.submit {
            let link = try SubscriptionLink(
                node: 7,
                endpoint: endpoint,
                configuration: configuration,
                eventLoop: probe.eventLoop,
                delegate: probe,
                logger: Logger(label: "test", factory: { _ in LineLogHandler(lines: probe.logLines) })
            )
            probe.link = link
            link.start()
        }.get()
        do {
            try await body(probe)
            try await probe.close()
        } catch {
            try await probe.close()
            throw error
        }
    }

    var events: [Event] { told.withLock { $0 } }
    var losses: [NodeFailure] { events.compactMap { if case .lost(let failure) = $0 { failure } else { nil } } }
    var confirmedCount: Int { events.count { $0 == .confirmed } }
    var messages: [Event] { events.filter { if case .message = $0 { true } else { false } } }

    /// Everything that was logged.
    var logged: String { logLines.lines.withLock { $0.joined(separator: "\n") } }

    /// Closes the subscription; returns when it is closed.
    func close() async throws {
        try await eventLoop.submit { self.link?.close() }.get()
    }

    /// Closes the subscription and lets it go; whether nothing else holds it.
    func closeAndLetGo() async throws -> Bool {
        try await close()
        return try await eventLoop.submit {
            weak let link = self.link
            self.link = nil
            return link == nil
        }.get()
    }

    /// The text that `dump` makes of the link.
    func dumped() async throws -> String {
        try await eventLoop.submit {
            var text = ""
            dump(self.link, to: &text)
            return text
        }.get()
    }

    func waitUntilConfirmed(count: Int = 1, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await wait(sourceLocation: sourceLocation) { $0.confirmedCount >= count }
    }

    func waitUntilLost(count: Int = 1, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await wait(sourceLocation: sourceLocation) { $0.losses.count >= count }
    }

    func wait(
        sourceLocation: SourceLocation = #_sourceLocation,
        until isSatisfied: (SubscriptionProbe) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !isSatisfied(self) {
            try #require(ContinuousClock.now < deadline, "still \(events.suffix(5))", sourceLocation: sourceLocation)
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    // MARK: What the link tells

    func subscriptionConfirmed(_ node: Int) { record(.confirmed, node) }

    func messageReceived(channel: String, payload: [UInt8], node: Int) { record(.message(channel, payload), node) }

    func subscriptionLost(_ node: Int, failure: NodeFailure) { record(.lost(failure), node) }

    private func record(_ event: Event, _ node: Int) {
        #expect(node == 7)
        eventLoop.preconditionInEventLoop()
        told.withLock { $0.append(event) }
        if closesAfter(event) { link?.close() }
    }
}

/// The lines of a log.
private final class LogLines: Sendable {
    let lines = Mutex<[String]>([])
}

/// Keeps what is logged, with its metadata.
private struct LineLogHandler: LogHandler {
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    init(lines: LogLines) {
        self.lines = lines
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let pairs = all.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        lines.lines.withLock { $0.append("\(event.message) \(pairs)") }
    }
}

extension RedisEndpoint {
    /// A server on a port of 127.0.0.1.
    static func loopback(_ port: Int, username: String? = nil, password: String? = nil) -> RedisEndpoint {
        RedisEndpoint(address: .host("127.0.0.1", port: port), username: username, password: password)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import Logging
import NIOCore
import NIOPosix
import RedisTransport
import Synchronization
import Testing

/// A link on an event loop, and everything that it tells.
///
/// `@unchecked Sendable`: the link is touched on its loop only, and what it told is guarded by a mutex.
final class LinkProbe: NodeLinkDelegate, ReplyReceiver, @unchecked Sendable {
    enum Event: Hashable {
        case ready([RESPValue])
        case down(NodeFailure)
        case reply(RESPValue)
        case failed(NodeFailure)
    }

    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    private let told = Mutex<[Event]>([])
    /// For each failure, whether the link seemed to be usable when it was told.
    private let usability = Mutex<[Bool]>([])
    private let lastWord: [String]?
    /// Sent in place of the first command that is answered, while that answer is handed out.
    private let substitute: (command: [String], inheritsDeadline: Bool)?
    private var hasSubstituted = false
    private var hasSpokenLastWord = false
    private var link: NodeLink?

    private init(lastWord: [String]?, substitute: (command: [String], inheritsDeadline: Bool)?) {
        self.lastWord = lastWord
        self.substitute = substitute
    }

    /// Runs `body` with a link that has begun to connect, and closes the link whatever `body` does.
    ///
    /// - Parameters:
    ///   - lastWord: a command to send when the first one fails, while that is being told.
    ///   - substitute: a command to send when the first answer comes, while that is being told.
    static func run(
        _ url: String,
        connectTimeout: TimeAmount = .seconds(5),
        replyTimeout: TimeAmount = .seconds(5),
        handshakeCommands: [[String]] = [],
        lastWord: [String]? = nil,
        substitute: (command: [String], inheritsDeadline: Bool)? = nil,
        _ body: (LinkProbe) async throws -> Void
    ) async throws {
        let endpoint = try RedisEndpoint(url: url)
        let probe = LinkProbe(lastWord: lastWord, substitute: substitute)
        let configuration = NodeLink.Configuration(
            connectTimeout: connectTimeout,
            replyTimeout: replyTimeout,
            connectionName: "probe",
            handshakeCommands: handshakeCommands
        )
        try await probe.eventLoop.submit {
            let link = try makeLink(endpoint, configuration, eventLoop: probe.eventLoop, delegate: probe)
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
    var replies: [RESPValue] { events.compactMap { if case .reply(let reply) = $0 { reply } else { nil } } }
    var failures: [NodeFailure] { events.compactMap { if case .failed(let failure) = $0 { failure } else { nil } } }
    var usabilityAtFailures: [Bool] { usability.withLock { $0 } }
    var downs: [NodeFailure] { events.compactMap { if case .down(let failure) = $0 { failure } else { nil } } }
    var readyCount: Int { events.count { if case .ready = $0 { true } else { false } } }

    func close() async throws {
        try await eventLoop.submit { self.link?.close() }.get()
    }

    /// Sends the commands in one write.
    func send(_ commands: [[String]]) async throws {
        try await eventLoop.submit {
            for command in commands { try self.append(command) }
            self.link?.flush()
        }.get()
    }

    func send(_ command: String...) async throws {
        try await send([command])
    }

    /// The text that `dump` makes of the link.
    func dumped() async throws -> String {
        try await eventLoop.submit {
            var text = ""
            dump(self.link, to: &text)
            return text
        }.get()
    }

    func waitUntilReady(count: Int = 1) async throws {
        try await wait { $0.readyCount >= count }
    }

    func wait(
        sourceLocation: SourceLocation = #_sourceLocation,
        until isSatisfied: (LinkProbe) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !isSatisfied(self) {
            try #require(ContinuousClock.now < deadline, "still \(events.suffix(5))", sourceLocation: sourceLocation)
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func append(_ command: [String], inheritsDeadline: Bool = false) throws {
        var encoder = CommandEncoder()
        encoder.begin()
        for argument in command { encoder.append(argument) }
        try encoder.withEncoded {
            link?.append(UnsafeRawBufferPointer($0), receiver: self, inheritsDeadline: inheritsDeadline)
        }
    }

    // MARK: What the link tells

    func received(_ reply: RESPValue, from node: Int) {
        told.withLock { $0.append(.reply(reply)) }
        guard let substitute, !hasSubstituted else { return }
        hasSubstituted = true
        do {
            // Something else stands in front of it, with a time of its own.
            try append(["INFO"])
            try append(substitute.command, inheritsDeadline: substitute.inheritsDeadline)
            link?.flush()
        } catch {
            Issue.record(error)
        }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        usability.withLock { $0.append(link?.failure == nil) }
        told.withLock { $0.append(.failed(failure)) }
        guard let lastWord, !hasSpokenLastWord else { return }
        hasSpokenLastWord = true
        do { try append(lastWord) } catch { Issue.record(error) }
    }

    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {
        told.withLock { $0.append(.ready(handshakeReplies)) }
    }

    func linkWentDown(_ node: Int, failure: NodeFailure) {
        told.withLock { $0.append(.down(failure)) }
    }
}

/// A link that has not begun to connect.
func makeLink(
    _ endpoint: RedisEndpoint,
    _ configuration: NodeLink.Configuration = .init(
        connectTimeout: .seconds(1),
        replyTimeout: .seconds(1),
        connectionName: "probe",
        handshakeCommands: []
    ),
    eventLoop: any EventLoop,
    delegate: any NodeLinkDelegate
) throws(NodeFailure) -> NodeLink {
    try NodeLink(
        node: 0,
        endpoint: endpoint,
        configuration: configuration,
        eventLoop: eventLoop,
        delegate: delegate,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    )
}

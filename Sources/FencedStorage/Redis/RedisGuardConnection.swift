// SPDX-License-Identifier: Apache-2.0

import Hiredis
import Logging
import NIOCore
import RedisTransport
import Synchronization

/// The connection of a guard: sends commands as soon as the server can be reached, and tells at once when it cannot.
///
/// `@unchecked Sendable`: everything is touched on the event loop only.
final class RedisGuardConnection: @unchecked Sendable, NodeLinkDelegate {
    let endpoint: RedisEndpoint
    private let eventLoop: any EventLoop
    private var link: NodeLink?
    private var encoder = CommandEncoder()
    /// Commands that wait for the first attempt to connect; after it, they fail at once while there is no connection.
    private var waiting: [Question] = []
    private var isConnecting = true

    private let nextNumber = Atomic<UInt64>(0)

    private struct Question {
        let number: UInt64
        let command: [String]
        let continuation: CheckedContinuation<RESPValue, any Error>
    }

    init(
        _ endpoint: RedisEndpoint,
        configuration: RedisGuard.Configuration,
        eventLoop: any EventLoop,
        logger: Logger
    ) throws {
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        link = try NodeLink(
            node: 0,
            endpoint: endpoint,
            configuration: NodeLink.Configuration(
                connectTimeout: TimeAmount(configuration.connectTimeout),
                replyTimeout: TimeAmount(configuration.replyTimeout),
                connectionName: "redlock-guard",
                handshakeCommands: [],
                replyLimits: ReplyLimits(
                    maximumReplyBytes: configuration.maximumReplyBytes,
                    maximumArrayElements: configuration.maximumReplyBytes / 16
                )
            ),
            eventLoop: eventLoop,
            delegate: self,
            logger: logger
        )
        eventLoop.execute { self.link?.start() }
    }

    /// Sends a command and waits for its reply, which may be an error.
    ///
    /// - Throws: `RedisGuardError`; `CancellationError` if the task was cancelled before the command was sent.
    func ask(_ command: [String]) async throws -> RESPValue {
        try Task.checkCancellation()
        let number = nextNumber.wrappingAdd(1, ordering: .relaxed).newValue
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let question = Question(number: number, command: command, continuation: continuation)
                eventLoop.execute { self.send(question) }
            }
        } onCancel: {
            eventLoop.execute { self.withdraw(number) }
        }
    }

    /// Ends this connection and makes another.
    func reconnect() {
        eventLoop.execute {
            self.link?.abandonConnection(NodeFailure(.notServing, "the server does not take writes any more"))
        }
    }

    /// Ends the connection for good.
    func close() {
        eventLoop.execute {
            self.isConnecting = false
            self.link?.close()
            self.refuseThoseWhoWait()
        }
    }

    private func send(_ question: Question) {
        guard let link, link.isUsable else {
            waiting.append(question)
            if !isConnecting { refuseThoseWhoWait() }
            return
        }
        encoder.begin()
        for word in question.command { encoder.append(word) }
        let receiver = Receiver(question.continuation, endpoint: endpoint)
        do {
            try encoder.withEncoded { link.append(UnsafeRawBufferPointer($0), receiver: receiver) }
        } catch {
            question.continuation.resume(throwing: RedisGuardError(.refused, "\(error)"))
            return
        }
        link.flush()
    }

    /// Takes a command back that was not sent yet.
    private func withdraw(_ number: UInt64) {
        guard let place = waiting.firstIndex(where: { $0.number == number }) else { return }
        waiting.remove(at: place).continuation.resume(throwing: CancellationError())
    }

    private func refuseThoseWhoWait() {
        let refused = waiting
        waiting = []
        let reason = link?.failure?.message ?? "not connected"
        for question in refused {
            question.continuation.resume(
                throwing: RedisGuardError(.unreachable, "\(endpoint) cannot be reached: \(reason); nothing was written")
            )
        }
    }

    // MARK: NodeLinkDelegate

    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {
        isConnecting = false
        let ready = waiting
        waiting = []
        for question in ready { send(question) }
    }

    func linkWentDown(_ node: Int, failure: NodeFailure) {
        isConnecting = false
        refuseThoseWhoWait()
    }

    /// Waits for one reply.
    private final class Receiver: ReplyReceiver {
        private let continuation: CheckedContinuation<RESPValue, any Error>
        private let endpoint: RedisEndpoint

        init(_ continuation: CheckedContinuation<RESPValue, any Error>, endpoint: RedisEndpoint) {
            self.continuation = continuation
            self.endpoint = endpoint
        }

        func received(_ reply: RESPValue, from node: Int) {
            continuation.resume(returning: reply)
        }

        func failed(_ failure: NodeFailure, at node: Int) {
            let message = "\(endpoint) did not answer, and may have written or not: \(failure.message)"
            continuation.resume(throwing: RedisGuardError(.outcomeUnknown, message))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Why a script on a ``ScriptedServer`` cannot go on.
public enum ScriptedConnectionError: Error, Hashable, CustomStringConvertible, Sendable {
    /// The client, or the script itself, has closed the connection.
    case closed
    /// The client sent what is no Redis command.
    case notACommand(String)

    /// One line: what happened.
    public var description: String {
        switch self {
        case .closed: "the connection is closed"
        case .notACommand(let text): "the client sent no Redis command: \(text.debugDescription)"
        }
    }
}

/// The server's end of one connection, in the hands of a script.
public final class ScriptedConnection: Sendable {
    struct Inbox: Sendable {
        var commands: [[String]] = []
        var failure: ScriptedConnectionError?
    }

    /// Which connection to the server this is, the first one being 1.
    public let number: Int
    let inbox = Observed(Inbox())
    private let channel: any Channel

    init(number: Int, channel: any Channel) {
        self.number = number
        self.channel = channel
    }

    /// The next command of the client, in order; waits for it without bound.
    ///
    /// Throws `ScriptedConnectionError` once the client has closed the connection or talks something else, and
    /// `CancellationError` when the server is stopped. Only one task of a script may receive.
    public func receive() async throws -> [String] {
        try await inbox.wait { !$0.commands.isEmpty || $0.failure != nil }
        return try inbox.update { inbox in
            if inbox.commands.isEmpty {
                return Result<[String], any Error>.failure(inbox.failure ?? .closed)
            }
            return .success(inbox.commands.removeFirst())
        }.get()
    }

    /// Sends text as it is; returns when the system has taken it, throws when the connection is closed.
    public func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    /// Sends bytes as they are; returns when the system has taken them, throws when the connection is closed.
    public func send(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    /// Sends a reply; returns when the system has taken it, throws when the connection is closed.
    public func send(_ reply: ScriptedReply) async throws {
        try await send(reply.encoded)
    }

    /// Closes the connection, as a process that ends; with `reset`, as a host that lost its memory of it.
    public func close(reset: Bool = false) async {
        if reset {
            channel.closeWithReset()
        } else {
            channel.close(promise: nil)
        }
        try? await channel.closeFuture.get()
    }

    /// Does nothing until the client closes the connection (throws `ScriptedConnectionError`) or the server is stopped
    /// (throws `CancellationError`).
    public func never() async throws {
        try await inbox.wait { $0.failure == .closed }
        throw ScriptedConnectionError.closed
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

/// A server on loopback that plays a script to every client, and remembers what clients said.
///
/// ```swift
/// try await withScriptedServer(.loading) { server in
///     await #expect(throws: RedlockError.self) { try await acquire(from: "redis://127.0.0.1:\(server.port)") }
///     #expect(server.log.commands.contains { $0.first == "SET" } == false)
/// }
/// ```
public actor ScriptedServer {
    /// What happened on the server since its start.
    public struct Log: Sendable, CustomStringConvertible {
        /// How many clients connected.
        public internal(set) var acceptedConnections = 0
        /// How many connections are open now.
        public internal(set) var openConnections = 0
        /// All commands of all clients, in the order of their arrival, whether or not the script received them.
        public internal(set) var commands: [[String]] = []
        /// What scripts threw, other than that the connection was closed or the server stopped.
        public internal(set) var failures: [String] = []

        /// All of it, as text.
        public var description: String {
            "connections accepted \(acceptedConnections), open \(openConnections); commands \(commands); "
                + "failures \(failures)"
        }
    }

    private let eventLoop: any EventLoop
    private let reservation: PortReservation?
    private let observed = Observed(Log())
    private var behaviour: ScriptedBehaviour
    private var listener: (any Channel)?
    private var connections: [Int: any Channel] = [:]
    private var scripts: [Int: Task<Void, Never>] = [:]
    private var isStopped = false

    /// The loop that carries the connections is also the executor of the actor, so that a change is in force when the
    /// call returns.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }

    /// The port on 127.0.0.1, or zero if the server listens on a Unix socket.
    public nonisolated var port: Int {
        reservation?.port ?? 0
    }

    /// What happened so far.
    public nonisolated var log: Log {
        observed.value
    }

    /// Starts a server, on a free port of 127.0.0.1 or on a Unix socket; it has to be ended with ``stop()``.
    ///
    /// Throws the error of the system if it cannot be listened there, for instance because a file is at the path of the
    /// Unix socket.
    public static func start(
        _ behaviour: ScriptedBehaviour,
        unixSocketPath: String? = nil
    ) async throws -> ScriptedServer {
        let server = try ScriptedServer(behaviour, reservation: unixSocketPath == nil ? PortReservation() : nil)
        do {
            try await server.listen(unixSocketPath: unixSocketPath)
        } catch {
            await server.stop()
            throw error
        }
        return server
    }

    private init(_ behaviour: ScriptedBehaviour, reservation: PortReservation?) {
        self.behaviour = behaviour
        self.reservation = reservation
        self.eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    }

    /// Gives another script to clients that connect from now on.
    public func set(_ behaviour: ScriptedBehaviour) {
        self.behaviour = behaviour
    }

    /// Returns the first log that satisfies the condition, such as `{ $0.commands.count >= 2 }`.
    ///
    /// Throws `WaitTimedOut` after `timeout`, and `CancellationError` when the task is cancelled.
    @discardableResult
    public nonisolated func wait(
        timeout: Duration = .seconds(10),
        until isSatisfied: @escaping @Sendable (Log) -> Bool
    ) async throws -> Log {
        try await observed.wait(timeout: timeout, until: isSatisfied)
    }

    /// Closes all connections and cancels all scripts for good, and returns when both have ended.
    ///
    /// A script that does not heed its cancellation is waited for.
    public func stop() async {
        guard !isStopped else { return }
        isStopped = true
        try? await listener?.close().get()
        reservation?.release()
        let scripts = self.scripts.values
        for channel in connections.values {
            channel.close(promise: nil)
        }
        for script in scripts {
            script.cancel()
            await script.value
        }
    }

    private func listen(unixSocketPath: String?) async throws {
        let bootstrap = ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            #if canImport(Darwin)
                .serverChannelOption(.socketOption(.so_reuseport), value: 1)
            #endif
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try self.assumeIsolated { try $0.accept(channel) }
                }
            }
        listener =
            if let unixSocketPath {
                try await bootstrap.bind(unixDomainSocketPath: unixSocketPath).get()
            } else {
                try await bootstrap.bind(host: "127.0.0.1", port: port).get()
            }
    }

    private func accept(_ channel: any Channel) throws {
        let number = observed.update { log in
            log.acceptedConnections += 1
            log.openConnections += 1
            return log.acceptedConnections
        }
        let connection = ScriptedConnection(number: number, channel: channel)
        connections[number] = channel
        channel.closeFuture.whenComplete { _ in
            self.assumeIsolated { $0.closed(connection) }
        }
        try channel.pipeline.syncOperations.addHandler(ScriptedServerHandler(server: self, connection: connection))
    }

    func play(_ connection: ScriptedConnection) {
        let behaviour = self.behaviour
        // Unstructured, because the call comes from a channel. The task ends with its connection, and `stop` awaits it.
        scripts[connection.number] = Task {
            do {
                try await behaviour.play(connection)
            } catch is ChannelError, is IOError, is CancellationError, ScriptedConnectionError.closed {
                // The client has gone, or the server is being stopped.
            } catch {
                observed.update { $0.failures.append("connection \(connection.number): \(error)") }
            }
            await connection.close()
            scripts[connection.number] = nil
        }
    }

    func received(_ command: [String], on connection: ScriptedConnection) {
        observed.update { $0.commands.append(command) }
        connection.inbox.update { $0.commands.append(command) }
    }

    private func closed(_ connection: ScriptedConnection) {
        connections[connection.number] = nil
        connection.inbox.update { $0.failure = .closed }
        // What the client has sent can still be received; only what takes time is cut short.
        scripts[connection.number]?.cancel()
        observed.update { $0.openConnections -= 1 }
    }
}

/// Runs `body` with a server that plays `behaviour`, and stops the server whatever `body` does.
///
/// Throws what ``ScriptedServer/start(_:unixSocketPath:)`` and `body` throw.
public func withScriptedServer<Result>(
    _ behaviour: ScriptedBehaviour,
    unixSocketPath: String? = nil,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (ScriptedServer) async throws -> Result
) async throws -> Result {
    let server = try await ScriptedServer.start(behaviour, unixSocketPath: unixSocketPath)
    do {
        let result = try await body(server)
        await server.stop()
        return result
    } catch {
        await server.stop()
        throw error
    }
}

/// Reads commands from the channel of one connection.
private final class ScriptedServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let server: ScriptedServer
    private let connection: ScriptedConnection
    private var parser = CommandParser()

    init(server: ScriptedServer, connection: ScriptedConnection) {
        self.server = server
        self.connection = connection
    }

    func channelActive(context: ChannelHandlerContext) {
        let connection = self.connection
        server.assumeIsolated { $0.play(connection) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        parser.append(unwrapInboundIn(data))
        let connection = self.connection
        do {
            while let command = try parser.next() {
                server.assumeIsolated { $0.received(command, on: connection) }
            }
        } catch {
            connection.inbox.update { $0.failure = error }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

/// A TCP proxy on loopback in front of one server, whose faults can be changed while connections are open.
///
/// ```swift
/// try await withFaultProxy(target: .init(port: redis.port)) { proxy in
///     let client = connect(to: "127.0.0.1", proxy.port)
///     await proxy.set(.stall, direction: .toClient)      // commands arrive, replies do not
///     ...
///     try await proxy.heal()
/// }
/// ```
///
/// Once a call that changes a fault has returned, every byte the proxy reads obeys it. Chunks follow the reads of the
/// proxy, not the replies of the server. The proxy buffers without bound: it is for tests, not for load.
public actor FaultProxy {
    private let eventLoop: any EventLoop
    private let target: SocketAddress
    private let reservation: PortReservation
    private let observed = Observed(Statistics())
    private var random: SeededRandom
    private var listener: (any Channel)?
    private var newConnections = NewConnections.accepted
    private var faults: [FaultDirection: Fault] = [:]
    private var connections: [Int: FaultProxyConnection] = [:]
    private var connectionCount = 0
    private var isStopped = false

    /// The loop that carries the connections is also the executor of the actor, so that both share one thread and a
    /// change is in force when the call returns.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }

    /// The port on 127.0.0.1 where clients connect; the same for the life of the proxy.
    public nonisolated var port: Int {
        reservation.port
    }

    /// What went through the proxy so far.
    public nonisolated var statistics: Statistics {
        observed.value
    }

    /// Starts a proxy in front of `target`; it has to be ended with ``stop()``, even when it is no longer referenced.
    ///
    /// `seed` decides the jitter of delays. The target need not be reachable yet: the proxy connects to it for every
    /// client, and closes the client if that fails. Throws `FaultProxyError`, or the error of the system if there
    /// is no port to listen on.
    public static func start(target: Target, seed: UInt64 = 0) async throws -> FaultProxy {
        let proxy = try FaultProxy(target: target, seed: seed)
        do {
            try await proxy.listen()
        } catch {
            await proxy.stop()
            throw error
        }
        return proxy
    }

    private init(target: Target, seed: UInt64) throws {
        self.eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        self.target = try target.socketAddress()
        self.reservation = try PortReservation()
        self.random = SeededRandom(seed: seed)
    }

    /// Puts a fault in force for one direction of all connections, open and to come.
    public func set(_ fault: Fault, direction: FaultDirection) {
        faults[direction] = fault
        for number in connections.keys.sorted() {
            changePipe(number, direction) { pipe, _, _ in pipe.set(fault) }
        }
    }

    /// Puts a fault in force for both directions of all connections, open and to come.
    public func set(_ fault: Fault) {
        for direction in FaultDirection.allCases {
            set(fault, direction: direction)
        }
    }

    /// Decides what becomes of clients that connect from now on; open connections stay.
    ///
    /// Clients that the system accepted for the proxy, and that the proxy has not seen yet, are reset by `.refused`.
    /// Throws `FaultProxyError.stopped`, or the error of the system if the port cannot be listened on again.
    public func setNewConnections(_ newConnections: NewConnections) async throws {
        self.newConnections = newConnections
        if newConnections == .refused {
            let listener = self.listener
            self.listener = nil
            try? await listener?.close().get()
        } else {
            try await listen()
        }
    }

    /// Closes all open connections on both sides, and returns when they are closed; what was held is lost.
    ///
    /// With `reset`, clients and server see a reset (`ECONNRESET`), as from a peer whose host came back without
    /// memory of the connection; otherwise the end of the stream, as from a process that died.
    public func closeConnections(reset: Bool = false) async {
        let closing = connections.values.map(\.closed.futureResult)
        for number in connections.keys.sorted() {
            close(number, reset: reset)
        }
        for closed in closing {
            try? await closed.get()
        }
    }

    /// Takes the server away: new clients are refused (or as `newConnections` says), open connections are closed.
    ///
    /// Throws as ``setNewConnections(_:)``.
    public func cut(newConnections: NewConnections = .refused, reset: Bool = false) async throws {
        try await setNewConnections(newConnections)
        await closeConnections(reset: reset)
    }

    /// Ends all faults: bytes that were held are released in order, clients are accepted again.
    ///
    /// Throws as ``setNewConnections(_:)``.
    public func heal() async throws {
        set(.pass)
        try await setNewConnections(.accepted)
    }

    /// Writes bytes into every connected connection, at once and ahead of those that are held; returns into how many.
    ///
    /// Towards the client: a reply that nobody asked for.
    @discardableResult
    public func inject(_ bytes: [UInt8], direction: FaultDirection = .toClient) -> Int {
        var count = 0
        for number in connections.keys.sorted() {
            guard let output = connections[number]?.output(of: direction) else { continue }
            count += 1
            changePipe(number, direction) { pipe, _, _ in pipe.countInjection(byteCount: bytes.count) }
            output.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
        return count
    }

    /// Returns the first statistics that satisfy the condition, such as `{ $0.toClient.held >= 5 }`.
    ///
    /// Throws `WaitTimedOut` after `timeout`, and `CancellationError` when the task is cancelled.
    @discardableResult
    public nonisolated func wait(
        timeout: Duration = .seconds(10),
        until isSatisfied: @escaping @Sendable (Statistics) -> Bool
    ) async throws -> Statistics {
        try await observed.wait(timeout: timeout, until: isSatisfied)
    }

    /// Closes everything for good, and returns when it is closed.
    public func stop() async {
        guard !isStopped else { return }
        isStopped = true
        try? await setNewConnections(.refused)
        await closeConnections()
        reservation.release()
    }
}

/// Runs `body` with a proxy in front of `target`, and stops the proxy whatever `body` does.
///
/// Throws what ``FaultProxy/start(target:seed:)`` and `body` throw.
public func withFaultProxy<Result>(
    target: FaultProxy.Target,
    seed: UInt64 = 0,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (FaultProxy) async throws -> Result
) async throws -> Result {
    let proxy = try await FaultProxy.start(target: target, seed: seed)
    do {
        let result = try await body(proxy)
        await proxy.stop()
        return result
    } catch {
        await proxy.stop()
        throw error
    }
}

// MARK: - Connections

extension FaultProxy {
    private func listen() async throws {
        guard !isStopped else { throw FaultProxyError.stopped }
        guard listener == nil else { return }
        let bootstrap = ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            #if canImport(Darwin)
                .serverChannelOption(.socketOption(.so_reuseport), value: 1)
            #endif
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { client in
                client.eventLoop.makeCompletedFuture {
                    try self.assumeIsolated { try $0.accept(client) }
                }
            }
        let listener = try await bootstrap.bind(host: "127.0.0.1", port: port).get()
        // Somebody may have closed the door, or opened it too, while we waited for the system.
        if isStopped || newConnections == .refused || self.listener != nil {
            try? await listener.close().get()
        } else {
            self.listener = listener
        }
    }

    private func accept(_ client: any Channel) throws {
        connectionCount += 1
        let number = connectionCount
        connections[number] = FaultProxyConnection(
            client: client,
            pipes: [
                .toServer: FaultPipe(fault: faults[.toServer] ?? .pass),
                .toClient: FaultPipe(fault: faults[.toClient] ?? .pass),
            ],
            closed: eventLoop.makePromise()
        )
        observed.update { statistics in
            statistics.acceptedConnections += 1
            statistics.openConnections += 1
        }
        removeWhenClosed(client, number: number, side: .toServer)
        let handler = FaultProxyHandler(proxy: self, number: number, direction: .toServer)
        try client.pipeline.syncOperations.addHandler(handler)
    }

    func becameActive(_ number: Int, direction: FaultDirection) {
        switch direction {
        case .toServer:
            if isStopped || newConnections != .accepted {
                close(number, reset: false)
            } else {
                connectToServer(number)
            }
        case .toClient:
            connections[number]?.isConnected = true
            for direction in FaultDirection.allCases {
                changePipe(number, direction) { _, _, _ in }
            }
        }
    }

    private func connectToServer(_ number: Int) {
        ClientBootstrap(group: eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { server in
                server.eventLoop.makeCompletedFuture {
                    try self.assumeIsolated { try $0.register(server, number: number) }
                    let handler = FaultProxyHandler(proxy: self, number: number, direction: .toClient)
                    try server.pipeline.syncOperations.addHandler(handler)
                }
            }
            .connect(to: target)
            .whenFailure { _ in
                self.assumeIsolated { proxy in
                    // A connection that was closed while it was being made is no failure of the server.
                    guard proxy.connections[number]?.client.isActive == true else { return }
                    proxy.observed.update { $0.failedServerConnections += 1 }
                    proxy.close(number, reset: false)
                }
            }
    }

    private func register(_ server: any Channel, number: Int) throws {
        // The client may have gone in the meantime.
        guard connections[number] != nil else { throw ChannelError.alreadyClosed }
        connections[number]?.server = server
        connections[number]?.openSides.insert(.toClient)
        removeWhenClosed(server, number: number, side: .toClient)
    }

    func received(_ bytes: ByteBuffer, number: Int, direction: FaultDirection) {
        changePipe(number, direction) { pipe, now, random in pipe.receive(bytes, now: now, random: &random) }
    }

    /// The sender ended its stream, or its whole side of the connection.
    func inputEnded(number: Int, direction: FaultDirection, isClosed: Bool) {
        if isClosed, connections[number]?.pipes[direction]?.isOutputEnded == true {
            // Its end was passed on before. Now nothing can be sent to it either.
            close(number, reset: false)
        } else {
            changePipe(number, direction) { pipe, now, random in pipe.endInput(now: now, random: &random) }
        }
    }

    /// Changes a pipe, keeps the statistics, does what the pipe wants done now, and comes back when it wants more.
    private func changePipe(
        _ number: Int,
        _ direction: FaultDirection,
        _ change: (inout FaultPipe, NIODeadline, inout SeededRandom) -> Void
    ) {
        guard let connection = connections[number], var pipe = connection.pipes[direction] else { return }
        let before = pipe.counts
        let now = NIODeadline.now()
        change(&pipe, now, &random)
        let actions = connection.isConnected ? pipe.actions(now: now) : []
        let nextDeadline = connection.isConnected ? pipe.nextDeadline : nil
        let after = pipe.counts

        // All state is stored before a channel is touched: it may call back before its method returns.
        connections[number]?.pipes[direction] = pipe
        connections[number]?.timers[direction]?.cancel()
        connections[number]?.timers[direction] = nextDeadline.map { deadline in
            eventLoop.scheduleTask(deadline: deadline) {
                self.assumeIsolated { $0.changePipe(number, direction) { _, _, _ in } }
            }
        }
        if before != after {
            observed.update { $0[direction].add(after, minus: before) }
        }
        for action in actions {
            perform(action, number: number, direction: direction)
        }
    }

    private func perform(_ action: FaultPipe.Action, number: Int, direction: FaultDirection) {
        guard let connection = connections[number], let output = connection.output(of: direction) else { return }
        switch action {
        case .write(let bytes):
            output.writeAndFlush(bytes, promise: nil)
            if !output.isActive, connection.pipes[direction.opposite]?.isCut == false {
                // The receiver has gone unnoticed, and now its host answers with a reset.
                close(number, reset: true)
            }
        case .endOutput, .closeConnection:
            // An empty write completes behind all others, which a close would drop.
            output.writeAndFlush(ByteBuffer()).whenComplete { _ in
                self.assumeIsolated { proxy in
                    guard let connection = proxy.connections[number] else { return }
                    let isInputOpen = connection.input(of: direction)?.isActive ?? false
                    if case .endOutput = action, isInputOpen, !connection.isEnded {
                        output.close(mode: .output, promise: nil)
                    } else {
                        proxy.close(number, reset: false)
                    }
                }
            }
        }
    }

    private func close(_ number: Int, reset: Bool) {
        guard let connection = connections[number] else { return }
        for channel in [connection.client, connection.server].compactMap({ $0 }) {
            if reset {
                channel.closeWithReset()
            } else {
                channel.close(promise: nil)
            }
        }
    }

    private func removeWhenClosed(_ channel: any Channel, number: Int, side: FaultDirection) {
        channel.closeFuture.whenComplete { _ in
            self.assumeIsolated { $0.remove(number, side: side) }
        }
    }

    private func remove(_ number: Int, side: FaultDirection) {
        connections[number]?.openSides.remove(side)
        guard let connection = connections[number], connection.openSides.isEmpty else { return }
        connections[number] = nil
        connection.timers.values.forEach { $0.cancel() }
        observed.update { statistics in
            statistics.openConnections -= 1
            for (direction, pipe) in connection.pipes {
                statistics[direction].discarded += pipe.counts.held
                statistics[direction].held -= pipe.counts.held
            }
        }
        connection.closed.succeed()
    }
}

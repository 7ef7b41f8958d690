// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import CLibpq
    import DequeModule
    import Synchronization

    /// The connections of one guard: each is used by one write at a time, and those who find none wait in order.
    final class PostgreSQLConnections: Sendable {
        private let connectionString: String
        private let configuration: PostgreSQLGuard.Configuration
        private let state = Mutex(State())

        private struct State {
            var idle: [PostgreSQLConnection] = []
            /// How many are open, about to be, or promised to somebody who waits.
            var openCount = 0
            var waiters: Deque<Waiter> = []
            var nextNumber: UInt64 = 0
            var isClosed = false
        }

        /// Somebody who waits; given a connection, or nil and with it the right to open one.
        private struct Waiter {
            let number: UInt64
            let continuation: CheckedContinuation<PostgreSQLConnection?, any Error>
        }

        private enum Way {
            case use(PostgreSQLConnection)
            case open
            case wait
        }

        init(_ connectionString: String, configuration: PostgreSQLGuard.Configuration) throws {
            precondition(configuration.maximumConnections > 0, "a guard needs a connection")
            guard let options = PQconninfoParse(connectionString, nil) else {
                // The reason that libpq gives may repeat a part of the string, and with it a password.
                let form =
                    "a URL such as postgresql://user@host/database?sslmode=verify-full, or words such as host=db user=me"
                throw PostgreSQLGuardError(
                    .invalidConnectionString,
                    "the connection string cannot be read; give \(form)"
                )
            }
            PQconninfoFree(options)
            self.connectionString = connectionString
            self.configuration = configuration
        }

        /// A connection for the caller alone, until it is given back.
        func take() async throws -> PostgreSQLConnection {
            try Task.checkCancellation()
            let way: Way = try state.withLock { state throws(PostgreSQLGuardError) in
                if state.isClosed { throw Self.closed }
                while let connection = state.idle.popLast() {
                    if connection.isUsable { return .use(connection) }
                    state.openCount -= 1
                }
                guard state.openCount < configuration.maximumConnections else { return .wait }
                state.openCount += 1
                return .open
            }
            switch way {
            case .use(let connection): return connection
            case .open: return try await open()
            case .wait:
                if let connection = try await waitForOne() { return connection }
                return try await open()
            }
        }

        /// Ends the use of a connection that `take` gave.
        func giveBack(_ connection: PostgreSQLConnection) {
            let waiter: Waiter? = state.withLock { state in
                let isUsable = connection.isUsable && !state.isClosed
                if let waiter = state.waiters.popFirst() { return waiter }
                if isUsable { state.idle.append(connection) } else { state.openCount -= 1 }
                return nil
            }
            waiter?.continuation.resume(returning: connection.isUsable ? connection : nil)
        }

        func close() {
            let waiters = state.withLock { state in
                state.isClosed = true
                state.openCount -= state.idle.count
                state.idle = []
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.continuation.resume(throwing: Self.closed) }
        }

        private static let closed = PostgreSQLGuardError(.unreachable, "the guard was shut down")

        private func open() async throws -> PostgreSQLConnection {
            do {
                return try await PostgreSQLConnection(connectionString, configuration: configuration)
            } catch {
                let next = state.withLock { state in
                    let next = state.waiters.popFirst()
                    if next == nil { state.openCount -= 1 }
                    return next
                }
                next?.continuation.resume(returning: nil)
                throw error
            }
        }

        private func waitForOne() async throws -> PostgreSQLConnection? {
            let number = state.withLock { state in
                state.nextNumber += 1
                return state.nextNumber
            }
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let refusal: (any Error)? = state.withLock { state in
                        if state.isClosed { return Self.closed }
                        if Task.isCancelled { return CancellationError() }
                        // One may have been given back since this was called.
                        state.waiters.append(Waiter(number: number, continuation: continuation))
                        return nil
                    }
                    if let refusal { continuation.resume(throwing: refusal) } else { serveWaiters() }
                }
            } onCancel: {
                let waiter = state.withLock { state -> Waiter? in
                    guard let place = state.waiters.firstIndex(where: { $0.number == number }) else { return nil }
                    return state.waiters.remove(at: place)
                }
                waiter?.continuation.resume(throwing: CancellationError())
            }
        }

        /// Gives whoever waits what has become free before it stood in line.
        private func serveWaiters() {
            let served: (Waiter, PostgreSQLConnection?)? = state.withLock { state in
                guard !state.waiters.isEmpty else { return nil }
                if let connection = state.idle.popLast() { return (state.waiters.removeFirst(), connection) }
                guard state.openCount < configuration.maximumConnections else { return nil }
                state.openCount += 1
                return (state.waiters.removeFirst(), nil)
            }
            guard let (waiter, connection) = served else { return }
            waiter.continuation.resume(returning: connection)
        }
    }

#endif

// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import DequeModule
    import Dispatch
    import Synchronization

    /// The connections of one guard: each is used by one write at a time, and those who find none wait in order.
    final class PostgreSQLConnections: Sendable {
        private let connectionString: String
        private let configuration: PostgreSQLDatabase.Configuration
        private let state = Mutex(State())

        private struct State {
            var idle: [PostgreSQLConnection] = []
            /// How many are open, about to be, or promised to somebody who waits.
            var openCount = 0
            var waiters: Deque<Waiter> = []
            var lastNumber: UInt64 = 0
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

        init(_ connectionString: String, configuration: PostgreSQLDatabase.Configuration) throws {
            precondition(configuration.maximumConnections > 0, "a guard needs a connection")
            try PostgreSQLSession.validate(connectionString)
            self.connectionString = connectionString
            self.configuration = configuration
        }

        /// A connection for the caller alone, until it is given back.
        func take() async throws -> PostgreSQLConnection {
            while true {
                try Task.checkCancellation()
                switch try way() {
                case .use(let connection):
                    // Asked without the mutex: the answer may take a call to the system.
                    if connection.isUsable { return connection }
                    giveBack(connection)
                case .open: return try await open()
                case .wait:
                    guard let connection = try await waitForOne() else { return try await open() }
                    return connection
                }
            }
        }

        /// Ends the use of a connection that `take` gave.
        func giveBack(_ connection: PostgreSQLConnection) {
            let isUsable = connection.isUsable
            let waiter: Waiter? = state.withLock { state in
                if let waiter = state.waiters.popFirst() { return waiter }
                if isUsable, !state.isClosed { state.idle.append(connection) } else { state.openCount -= 1 }
                return nil
            }
            waiter?.continuation.resume(returning: isUsable ? connection : nil)
        }

        func close() {
            let (waiters, idle) = state.withLock { state in
                state.isClosed = true
                state.openCount -= state.idle.count
                defer { (state.waiters, state.idle) = ([], []) }
                return (state.waiters, state.idle)
            }
            for waiter in waiters { waiter.continuation.resume(throwing: Self.closed) }
            withExtendedLifetime(idle) {}
        }

        private static let closed = StorageError(.unreachable, "the guard was shut down")

        private func way() throws(StorageError) -> Way {
            try state.withLock { state throws(StorageError) in
                if state.isClosed { throw Self.closed }
                if let connection = state.idle.popLast() { return .use(connection) }
                guard state.openCount < configuration.maximumConnections else { return .wait }
                state.openCount += 1
                return .open
            }
        }

        private func open() async throws -> PostgreSQLConnection {
            do {
                return try await PostgreSQLConnection(connectionString, configuration: configuration)
            } catch {
                // Where this was the only one, none will be given back to those who wait.
                let refused = state.withLock { state in
                    state.openCount -= 1
                    guard state.openCount == 0 else { return Deque<Waiter>() }
                    defer { state.waiters = [] }
                    return state.waiters
                }
                for waiter in refused { waiter.continuation.resume(throwing: error) }
                serveWaiters()
                throw error
            }
        }

        private func waitForOne() async throws -> PostgreSQLConnection? {
            let number = state.withLock { state in
                state.lastNumber += 1
                return state.lastNumber
            }
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let refusal: (any Error)? = state.withLock { state in
                        if state.isClosed { return Self.closed }
                        if Task.isCancelled { return CancellationError() }
                        state.waiters.append(Waiter(number: number, continuation: continuation))
                        return nil
                    }
                    if let refusal { return continuation.resume(throwing: refusal) }
                    let limit = configuration.waitTimeout.wholeMilliseconds
                    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(limit))) { [weak self] in
                        let message =
                            "no connection became free within \(limit) ms; does a write wait for another inside it?"
                        self?.refuseWaiter(number, StorageError(.timedOut, message))
                    }
                    // One may have become free before this stood in line.
                    serveWaiters()
                }
            } onCancel: {
                refuseWaiter(number, CancellationError())
            }
        }

        private func refuseWaiter(_ number: UInt64, _ error: any Error) {
            let waiter = state.withLock { state -> Waiter? in
                guard let place = state.waiters.firstIndex(where: { $0.number == number }) else { return nil }
                return state.waiters.remove(at: place)
            }
            waiter?.continuation.resume(throwing: error)
        }

        /// Gives those who wait what is free.
        private func serveWaiters() {
            while true {
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
    }

#endif

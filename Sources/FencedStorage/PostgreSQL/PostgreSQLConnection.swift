// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import Dispatch

    /// One connection to a server, used by one write at a time.
    ///
    /// What waits for the server does so on a thread of its own, so that no thread of Swift concurrency ever waits.
    final class PostgreSQLConnection: Sendable {
        private let queue = DispatchQueue(label: "redlock.postgresql-guard")
        private let session: PostgreSQLSession
        /// Set when a wish to stop is on its way to the server: it may be late and hit what comes next, so nothing does.
        private let isAbandoned = Flag()

        /// One queue for all wishes to stop, each of which is a connection of its own and may have to wait.
        private static let cancelQueue = DispatchQueue(label: "redlock.postgresql-guard.cancel")

        /// Whether it can be used for another write; a server that ended the session meanwhile is noticed.
        var isUsable: Bool { !isAbandoned.isSet && session.isAlive }

        init(_ connectionString: String, configuration: PostgreSQLGuard.Configuration) async throws {
            session = try await onThread(of: queue) { () throws(PostgreSQLGuardError) in
                try PostgreSQLSession(connectionString, configuration: configuration)
            }
        }

        /// Begins a transaction.
        func begin() async throws {
            try await cancellable { session throws(PostgreSQLGuardError) in try session.begin() }
        }

        /// Runs one statement of ours; if the task is cancelled, the server is told to stop.
        @discardableResult
        func run(_ statement: String, _ parameters: [String?] = []) async throws -> PostgreSQLResult {
            try await cancellable { session throws(PostgreSQLGuardError) in
                try session.run(statement, parameters).result
            }
        }

        /// Runs one statement of the caller's inside a transaction, unless that is over by then.
        func run(
            _ statement: String,
            _ parameters: [String?],
            unless isOver: Flag
        ) async throws -> PostgreSQLResult {
            try await cancellable { session throws(PostgreSQLGuardError) in
                guard !isOver.isSet else {
                    throw PostgreSQLGuardError(.refused, "the transaction was used after its write had ended")
                }
                return try session.runInTransaction(statement, parameters)
            }
        }

        /// Ends the transaction so that it stays, whether the task is cancelled or not.
        ///
        /// - Throws: `PostgreSQLGuardError`; with `outcomeUnknown` if no answer came.
        func commit() async throws {
            try await onThread(of: queue) { [session] () throws(PostgreSQLGuardError) in try session.commit() }
        }

        /// Ends the transaction so that nothing of it stays.
        func rollBack() async {
            guard isUsable else { return }
            await onThread(of: queue) { [session] in session.rollBack() }
        }

        private func cancellable<Value: Sendable>(
            _ body: @escaping @Sendable (PostgreSQLSession) throws(PostgreSQLGuardError) -> Value
        ) async throws -> Value {
            try Task.checkCancellation()
            let session = self.session
            do {
                return try await withTaskCancellationHandler {
                    try await onThread(of: queue) { () throws(PostgreSQLGuardError) in try body(session) }
                } onCancel: {
                    isAbandoned.set()
                    Self.cancelQueue.async { session.cancel() }
                }
            } catch {
                // Not what the server says of it, but what happened.
                if Task.isCancelled { throw CancellationError() }
                throw error
            }
        }
    }

    /// Runs on a thread that may wait.
    private func onThread<Value: Sendable, Failure: Error>(
        of queue: DispatchQueue,
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let outcome: Result<Value, Failure> = await withCheckedContinuation { continuation in
            queue.async {
                let outcome: Result<Value, Failure>
                do throws(Failure) { outcome = .success(try body()) } catch { outcome = .failure(error) }
                continuation.resume(returning: outcome)
            }
        }
        return try outcome.get()
    }

#endif

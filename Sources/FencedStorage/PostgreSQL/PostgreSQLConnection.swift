// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import Dispatch

    /// One connection to a server, used by one write at a time.
    ///
    /// What waits for the server does so on a thread of its own, so that no thread of Swift concurrency ever waits.
    final class PostgreSQLConnection: Sendable {
        private let queue = DispatchQueue(label: "redlock.postgresql")
        private let session: PostgreSQLSession
        /// Set when a wish to stop is on its way to the server: it may be late and hit what comes next, so nothing does.
        private let isAbandoned = Flag()

        /// One queue for all wishes to stop, each of which is a connection of its own and may have to wait.
        private static let cancelQueue = DispatchQueue(label: "redlock.postgresql.cancel")

        /// Whether it can be used for another write; a server that ended the session meanwhile is noticed.
        var isUsable: Bool { !isAbandoned.isSet && session.isAlive }

        init(_ connectionString: String, configuration: PostgreSQLDatabase.Configuration) async throws {
            session = try await onThread(of: queue) { () throws(StorageError) in
                try PostgreSQLSession(connectionString, configuration: configuration)
            }
        }

        /// Runs the body in one transaction, in one hop to the thread of the connection.
        ///
        /// - Throws: ``StorageError``, with `outcomeUnknown` if no answer came to the commit; what the body throws;
        ///   `CancellationError`, and then nothing was written.
        func transaction<Value: Sendable>(
            _ access: SQLAccess,
            by deadline: ContinuousClock.Instant?,
            _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
        ) async throws -> Value {
            let isAbandoned = self.isAbandoned
            return try await cancellable { session in
                let transaction = PostgreSQLSessionTransaction(session)
                do {
                    try session.begin(access, by: deadline)
                    let value = try body(transaction)
                    transaction.end()
                    if isAbandoned.isSet { throw CancellationError() }
                    if let deadline, ContinuousClock.now >= deadline {
                        throw StorageError(.timedOut, "the transaction took longer than it may; nothing was written")
                    }
                    try session.commit()
                    return value
                } catch {
                    transaction.end()
                    session.rollBack()
                    throw error
                }
            }
        }

        /// Begins a transaction and compares the token, in one hop.
        func begin(_ admission: FencedAdmission) async throws {
            try await cancellable { session in
                try session.begin()
                let transaction = PostgreSQLSessionTransaction(session)
                defer { transaction.end() }
                try admission.admit(in: transaction)
            }
        }

        /// Runs one statement of the caller's inside a transaction, unless that is over by then.
        func run(
            _ statement: String,
            _ parameters: [String?],
            unless isOver: Flag
        ) async throws -> PostgreSQLAnswer {
            try await cancellable { session in
                guard !isOver.isSet else {
                    throw StorageError(.refused, "the transaction was used after its write had ended")
                }
                return try session.runInTransaction(statement, parameters.map(\.sqlValue))
            }
        }

        /// Ends the transaction so that it stays, whether the task is cancelled or not.
        ///
        /// - Throws: `StorageError`; with `outcomeUnknown` if no answer came.
        func commit() async throws {
            try await onThread(of: queue) { [session] () throws(StorageError) in try session.commit() }
        }

        /// Ends the transaction so that nothing of it stays.
        func rollBack() async {
            guard isUsable else { return }
            await onThread(of: queue) { [session] in session.rollBack() }
        }

        private func cancellable<Value: Sendable>(
            _ body: @escaping @Sendable (PostgreSQLSession) throws -> Value
        ) async throws -> Value {
            try Task.checkCancellation()
            let session = self.session
            do {
                return try await withTaskCancellationHandler {
                    try await onThread(of: queue) { try body(session) }
                } onCancel: {
                    isAbandoned.set()
                    Self.cancelQueue.async { session.cancel() }
                }
            } catch let error as StorageError where error.code != .outcomeUnknown && Task.isCancelled {
                // Not what the server says of it, but what happened.
                throw CancellationError()
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

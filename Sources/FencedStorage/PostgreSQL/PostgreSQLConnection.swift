// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import CLibpq
    import Dispatch
    import Synchronization

    /// One connection to a server, used by one task at a time.
    ///
    /// What waits for the server does so on a thread of its own, so that no thread of Swift concurrency ever waits.
    final class PostgreSQLConnection: Sendable {
        private let queue = DispatchQueue(label: "redlock.postgresql-guard")
        private let session: PostgreSQLSession
        /// Set when the session must not be used again.
        private let isBroken = Flag()

        /// Whether it can be used again; a server that ended it meanwhile is noticed.
        var isUsable: Bool { !isBroken.isSet && session.isAlive }

        init(_ connectionString: String, configuration: PostgreSQLGuard.Configuration) async throws {
            session = try await onThread(of: queue) { () throws(PostgreSQLGuardError) in
                try PostgreSQLSession(connectionString, configuration: configuration)
            }
        }

        /// Runs one statement; if the task is cancelled, the server is told to stop.
        @discardableResult
        func run(_ statement: String, _ parameters: [String?] = []) async throws -> PostgreSQLResult {
            try Task.checkCancellation()
            do {
                return try await withTaskCancellationHandler {
                    try await perform(statement, parameters)
                } onCancel: {
                    // The wish to stop may reach the server late and hit what comes next: nothing will.
                    isBroken.set()
                    let session = self.session
                    DispatchQueue.global().async { session.cancel() }
                }
            } catch {
                // Not what the server says of it, but what happened.
                if Task.isCancelled { throw CancellationError() }
                throw error
            }
        }

        /// Ends the transaction so that it stays, whether the task is cancelled or not.
        ///
        /// - Throws: `PostgreSQLGuardError`; with `outcomeUnknown` if no answer came.
        func commit() async throws {
            guard session.isInTransaction else {
                throw PostgreSQLGuardError(
                    .refused,
                    "the statements ended the transaction themselves, or one of them failed"
                )
            }
            do throws(PostgreSQLGuardError) {
                _ = try await perform("COMMIT", [])
            } catch {
                guard error.kind == .unreachable || error.kind == .timedOut else { throw error }
                throw PostgreSQLGuardError(
                    .outcomeUnknown,
                    "no answer to the commit, which may have happened: \(error.message)"
                )
            }
        }

        /// Ends the transaction so that nothing of it stays.
        func rollBack() async {
            // What cannot be undone by a statement is undone by the end of the connection.
            guard isUsable, (try? await perform("ROLLBACK", [])) != nil else { return isBroken.set() }
        }

        private func perform(
            _ statement: String,
            _ parameters: [String?]
        ) async throws(PostgreSQLGuardError) -> PostgreSQLResult {
            let session = self.session
            let isBroken = self.isBroken
            return try await onThread(of: queue) { () throws(PostgreSQLGuardError) in
                do throws(PostgreSQLGuardError) {
                    return try session.run(statement, parameters)
                } catch {
                    if error.kind != .refused { isBroken.set() }
                    throw error
                }
            }
        }
    }

    /// Runs on a thread that may wait.
    private func onThread<Value: Sendable>(
        of queue: DispatchQueue,
        _ body: @escaping @Sendable () throws(PostgreSQLGuardError) -> Value
    ) async throws(PostgreSQLGuardError) -> Value {
        let outcome: Result<Value, PostgreSQLGuardError> = await withCheckedContinuation { continuation in
            queue.async {
                let outcome: Result<Value, PostgreSQLGuardError>
                do throws(PostgreSQLGuardError) { outcome = .success(try body()) } catch { outcome = .failure(error) }
                continuation.resume(returning: outcome)
            }
        }
        return try outcome.get()
    }

#endif

// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    public import Redlock

    /// Guards the data in a PostgreSQL database, for those who write its own SQL and wait between the statements.
    ///
    /// ```swift
    /// let store = try await PostgreSQLGuard("postgresql://orders@db.example.com/orders?sslmode=verify-full")
    /// try await redlock.withLock("orders/42") { lease in
    ///     try await store.write(lease) { transaction in
    ///         try await transaction.query("UPDATE orders SET state = 'paid' WHERE id = $1", ["42"])
    ///     }
    /// }
    /// ```
    ///
    /// The tokens are in a table of the same database. The first statements of every transaction compare and keep the token.
    /// Writers under the same grant do not wait for one another; a newer holder waits for the transactions of the older one.
    /// A write inside another one of the same guard takes a second connection. Where nothing is waited for between the
    /// statements, ``SQLDatabase`` has one hop of threads for each transaction, and its statements fit SQLite as well.
    public final class PostgreSQLGuard: FencedStore {
        /// Statements of one transaction.
        public typealias Write = @Sendable (PostgreSQLTransaction) async throws -> Void

        /// What a guard works with.
        public typealias Configuration = PostgreSQLDatabase.Configuration

        /// The same database, for reading, and for writing without a token.
        public let database: PostgreSQLDatabase

        private var connections: PostgreSQLConnections { database.connections }

        /// A guard in front of a database; connects, and makes the table of tokens if it is not there.
        ///
        /// - Parameters:
        ///   - connection: where the database is, see `PostgreSQLDatabase.init`.
        ///   - configuration: timeouts and more.
        /// - Throws: ``StorageError``.
        public convenience init(_ connection: String, configuration: Configuration = Configuration()) async throws {
            self.init(try await PostgreSQLDatabase(connection, configuration: configuration))
        }

        /// A guard in front of a database.
        public init(_ database: PostgreSQLDatabase) {
            self.database = database
        }

        /// Runs statements in one transaction with the comparison of the token.
        ///
        /// - Parameters:
        ///   - grant: the lease to write under.
        ///   - isolation: the actor that the caller runs on; the closure runs where it was written.
        ///   - body: the statements. If it throws, nothing of the transaction stays.
        /// - Returns: what the closure returned.
        /// - Throws: ``StaleGrantError``, in which case the closure was not run; ``StorageError``, of which
        ///   `outcomeUnknown` says that the transaction may have been committed; what the closure throws;
        ///   `CancellationError` if the task was cancelled, and then nothing was written.
        @discardableResult
        public func write<Result>(
            _ grant: some FencedGrant,
            isolation: isolated (any Actor)? = #isolation,
            _ body: (PostgreSQLTransaction) async throws -> Result
        ) async throws -> Result {
            try grant.validate()
            let connection = try await connections.take()
            defer { connections.giveBack(connection) }
            let transaction = PostgreSQLTransaction(connection)
            do {
                try await connection.begin(FencedAdmission(grant, tokens: .table, table: database.tokenTable))
                let result = try await body(transaction)
                transaction.end()
                try Task.checkCancellation()
                try await connection.commit()
                return result
            } catch {
                transaction.end()
                await connection.rollBack()
                throw error
            }
        }

        /// Carries out a write in one step with the comparison of the token; see ``FencedStore``.
        public func apply(_ write: @escaping Write, under grant: some FencedGrant) async throws {
            try await self.write(grant) { try await write($0) }
        }

        /// The highest token that was written with; nil if nothing was written under a grant of the resource.
        public func highestToken(of resource: String) async throws -> FencingToken? {
            try await database.highestToken(of: resource)
        }

        /// Ends the connections; what is under way ends first.
        public func shutdown() {
            database.shutdown()
        }
    }

    /// The transaction of one write.
    public struct PostgreSQLTransaction: Sendable {
        private let connection: PostgreSQLConnection
        private let isOver = Flag()

        init(_ connection: PostgreSQLConnection) {
            self.connection = connection
        }

        /// Runs one statement.
        ///
        /// - Parameters:
        ///   - statement: the statement, with `$1`, `$2` and so on for the parameters. It must not end the transaction; what it
        ///     sets for the session stays for writes after it, so use `SET LOCAL`.
        ///   - parameters: texts as the server reads them for the type of each parameter; nil for NULL.
        /// - Returns: the rows, and how many were changed.
        /// - Throws: ``StorageError``.
        @discardableResult
        public func query(_ statement: String, _ parameters: [String?] = []) async throws -> PostgreSQLResult {
            PostgreSQLResult(try await connection.run(statement, parameters, unless: isOver))
        }

        func end() {
            isOver.set()
        }
    }

    /// What a statement led to.
    public struct PostgreSQLResult: Hashable, Sendable {
        /// The names of the columns.
        public let columns: [String]
        /// The rows: a text for each column, nil for NULL.
        public let rows: [[String?]]
        /// How many rows were inserted, updated, deleted or selected.
        public let affectedRowCount: Int

        init(_ answer: PostgreSQLAnswer) {
            columns = answer.columns
            rows = answer.texts
            affectedRowCount = answer.affectedRowCount
        }
    }

#endif

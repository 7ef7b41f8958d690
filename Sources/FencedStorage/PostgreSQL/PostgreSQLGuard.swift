// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    public import Redlock

    /// Guards the data in a PostgreSQL database.
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
    /// The tokens are in a table of the same database. The first statement of every transaction compares and keeps the token,
    /// and with it locks the row of the resource until the end: those who write under the same resource do so one after the
    /// other. Transactions are `READ COMMITTED`. A write inside another one of the same guard takes a second connection.
    ///
    /// What the connection string leaves open comes from the environment of libpq: `PGUSER`, `PGPASSFILE`, `PGOPTIONS`.
    ///
    /// A process that is stopped inside a transaction holds that row. The server ends such a transaction after
    /// ``Configuration/idleTransactionTimeout``, so that the next holder of the lock can write.
    public final class PostgreSQLGuard: FencedStore {
        /// Statements of one transaction.
        public typealias Write = @Sendable (PostgreSQLTransaction) async throws -> Void

        /// What a guard works with.
        public struct Configuration: Sendable {
            /// How many connections there are at most; each serves one write at a time.
            public var maximumConnections = 4
            /// How long an attempt to connect may take.
            public var connectTimeout = Duration.seconds(5)
            /// How long a statement may take, waiting for locks included; then the server ends it.
            public var statementTimeout = Duration.seconds(10)
            /// How long a transaction may do nothing before the server ends it.
            public var idleTransactionTimeout = Duration.seconds(5)
            /// What the table of tokens is called; a schema may stand before it.
            public var table = "fencing_tokens"
            /// How long to wait for one of the connections while others write.
            public var waitTimeout = Duration.seconds(10)

            /// The defaults.
            public init() {}
        }

        private let connections: PostgreSQLConnections
        /// The table with its schema, so that no setting of a session leads to another.
        private let table: String

        /// A guard in front of a database; connects, and makes the table of tokens if it is not there.
        ///
        /// A user who may not make tables needs one that is there:
        /// `CREATE TABLE fencing_tokens (resource text COLLATE "C" PRIMARY KEY, token bigint NOT NULL)`.
        ///
        /// - Parameters:
        ///   - connection: where the database is, as libpq knows it: a URL or words such as `host=db user=orders`. TLS is asked
        ///     for here, with `sslmode`. A password is better kept in a password file or a service file than here.
        ///   - configuration: timeouts and more.
        /// - Throws: ``PostgreSQLGuardError``.
        public init(_ connection: String, configuration: Configuration = Configuration()) async throws {
            let connections = try PostgreSQLConnections(connection, configuration: configuration)
            self.connections = connections
            let taken = try await connections.take()
            defer { connections.giveBack(taken) }
            let name = configuration.table.split(separator: ".", omittingEmptySubsequences: false)
                .map { "\"\($0.replacing("\"", with: "\"\""))\"" }
                .joined(separator: ".")
            if let found = try await Self.find(name, on: taken) {
                // Making it takes a right, even where it is there.
                table = found
                return
            }
            do {
                try await taken.run(
                    "CREATE TABLE IF NOT EXISTS \(name) (resource text COLLATE \"C\" PRIMARY KEY, token bigint NOT NULL)"
                )
            } catch let error as PostgreSQLGuardError where ["23505", "42P07", "42710"].contains(error.sqlState) {
                // Another process made it at the same moment.
            }
            guard let made = try await Self.find(name, on: taken) else {
                throw PostgreSQLGuardError(
                    .refused,
                    "the table \(name) was made and is not found: is its schema searched?"
                )
            }
            table = made
        }

        /// The name of the table with its schema; nil if there is none, or only one of the session itself.
        private static func find(_ name: String, on connection: PostgreSQLConnection) async throws -> String? {
            let found = try await connection.run(
                """
                SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.oid = to_regclass($1) AND c.relpersistence = 'p'
                """,
                [name]
            )
            return found.rows.first?[0]
        }

        deinit {
            connections.close()
        }

        /// Runs statements in one transaction with the comparison of the token.
        ///
        /// - Parameters:
        ///   - grant: the lease to write under.
        ///   - isolation: the actor that the caller runs on; the closure runs where it was written.
        ///   - body: the statements. If it throws, nothing of the transaction stays.
        /// - Returns: what the closure returned.
        /// - Throws: ``StaleGrantError``, in which case the closure was not run; ``PostgreSQLGuardError``, of which
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
            try await connection.begin()
            let transaction = PostgreSQLTransaction(connection)
            do {
                try await admit(grant, on: connection)
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
            let connection = try await connections.take()
            defer { connections.giveBack(connection) }
            return try await highestToken(of: resource, on: connection)
        }

        /// Ends the connections; what is under way ends first.
        public func shutdown() {
            connections.close()
        }

        /// Compares the token and keeps it, as the first step of a transaction.
        private func admit(_ grant: some FencedGrant, on connection: PostgreSQLConnection) async throws {
            // In one order for all, so that two grants of the same resources cannot wait for each other.
            for resource in grant.fencedResources.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
                // Waits for whoever has the row, and then looks at what that transaction left.
                let admitted = try await connection.run(
                    """
                    INSERT INTO \(table) AS kept (resource, token) VALUES ($1, $2)
                    ON CONFLICT (resource) DO UPDATE SET token = excluded.token WHERE kept.token <= excluded.token
                    """,
                    [resource, "\(grant.fencingToken)"]
                )
                guard admitted.affectedRowCount == 0 else { continue }
                throw StaleGrantError(
                    resource: resource,
                    token: grant.fencingToken,
                    highestToken: try await highestToken(of: resource, on: connection) ?? grant.fencingToken
                )
            }
        }

        private func highestToken(
            of resource: String,
            on connection: PostgreSQLConnection
        ) async throws -> FencingToken? {
            let found = try await connection.run("SELECT token FROM \(table) WHERE resource = $1", [resource])
            return found.rows.first?.first.flatMap { $0.flatMap { FencingToken($0) } }
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
        /// - Throws: ``PostgreSQLGuardError``.
        @discardableResult
        public func query(_ statement: String, _ parameters: [String?] = []) async throws -> PostgreSQLResult {
            try await connection.run(statement, parameters, unless: isOver)
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
    }

#endif

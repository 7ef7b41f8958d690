// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    /// A PostgreSQL database, through a few connections of libpq.
    ///
    /// Transactions are `READ COMMITTED`. What the connection string leaves open comes from the environment of libpq: `PGUSER`,
    /// `PGPASSFILE`, `PGOPTIONS`.
    ///
    /// A process that is stopped inside a transaction holds the rows that it has locked. The server ends such a transaction after
    /// ``Configuration/idleTransactionTimeout``, so that the next holder of the lock can write.
    public final class PostgreSQLDatabase: SQLDatabase {
        /// What a database is used with.
        public struct Configuration: Sendable {
            /// How many connections there are at most; each serves one transaction at a time.
            public var maximumConnections = 4
            /// How long an attempt to connect may take.
            public var connectTimeout = Duration.seconds(5)
            /// How long a statement may take, waiting for locks included; then the server ends it.
            public var statementTimeout = Duration.seconds(10)
            /// How long a transaction may do nothing before the server ends it.
            public var idleTransactionTimeout = Duration.seconds(5)
            /// What the table of tokens is called; a schema may stand before it.
            public var table = "fencing_tokens"
            /// How long to wait for one of the connections while others use them.
            public var waitTimeout = Duration.seconds(10)
            /// Whether the server keeps the statements of an ``SQLDatabase`` prepared; not behind a pool that gives each
            /// transaction another session.
            public var keepsPreparedStatements = true

            /// The defaults.
            public init() {}
        }

        let connections: PostgreSQLConnections

        /// Where the fencing tokens are kept: the table with its schema, so that no setting of a session leads to another.
        public let tokenTable: FencedTokenTable

        /// That of PostgreSQL.
        public var dialect: SQLDialect { .postgreSQL }

        /// Connects, and makes the table of tokens if it is not there.
        ///
        /// A user who may not make tables needs one that is there:
        /// `CREATE TABLE fencing_tokens (resource text COLLATE "C" PRIMARY KEY, token bigint NOT NULL)`.
        ///
        /// - Parameters:
        ///   - connection: where the database is, as libpq knows it: a URL or words such as `host=db user=orders`. TLS is asked
        ///     for here, with `sslmode`. A password is better kept in a password file or a service file than here.
        ///   - configuration: timeouts and more.
        /// - Throws: ``StorageError``.
        public init(_ connection: String, configuration: Configuration = Configuration()) async throws {
            let connections = try PostgreSQLConnections(connection, configuration: configuration)
            self.connections = connections
            tokenTable = try await Self.tokenTable(configuration.table, connections)
        }

        deinit {
            connections.close()
        }

        /// Ends the connections; what is under way ends first.
        public func shutdown() {
            connections.close()
        }

        /// Runs the body in one transaction; see ``SQLDatabase``.
        public func transaction<Value: Sendable>(
            _ access: SQLAccess,
            by deadline: ContinuousClock.Instant?,
            _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
        ) async throws -> Value {
            let connection = try await connections.take()
            defer { connections.giveBack(connection) }
            return try await connection.transaction(access, by: deadline, body)
        }

        // MARK: The table of tokens

        private static func tokenTable(
            _ name: String,
            _ connections: PostgreSQLConnections
        ) async throws -> FencedTokenTable {
            let connection = try await connections.take()
            defer { connections.giveBack(connection) }
            let wanted = FencedTokenTable(name)
            // Making it takes a right, even where it is there.
            if let found = try await find(wanted, on: connection) { return found }
            do {
                try await connection.transaction(.writing, by: nil) { try wanted.create(in: $0) }
            } catch let error as StorageError where error.isOfTableMadeMeanwhile {
                // Another process made it at the same moment.
            }
            guard let made = try await find(wanted, on: connection) else {
                throw StorageError(.refused, "the table \(name) was made and is not found: is its schema searched?")
            }
            return made
        }

        /// The table by its name with its schema; nil if there is none, or only one of the session itself.
        private static func find(
            _ table: FencedTokenTable,
            on connection: PostgreSQLConnection
        ) async throws -> FencedTokenTable? {
            let name = table.name.rendered(for: .postgreSQL).text
            let found = try await connection.transaction(.reading, by: nil) { transaction in
                try transaction.row(
                    """
                    SELECT format('%I.%I', n.nspname, c.relname) AS name
                    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.oid = to_regclass(\(name)) AND c.relpersistence = 'p'
                    """
                )?.get("name", as: String.self)
            }
            return found.map { FencedTokenTable(quotedName: $0) }
        }
    }

    /// An open transaction of a session.
    final class PostgreSQLSessionTransaction: SQLTransaction {
        private var session: PostgreSQLSession?

        var dialect: SQLDialect { .postgreSQL }

        init(_ session: PostgreSQLSession) {
            self.session = session
        }

        func end() {
            session = nil
        }

        func run(_ statement: SQL) throws(StorageError) -> Int {
            try answer(to: statement).affectedRowCount
        }

        func rows(_ query: SQL) throws(StorageError) -> [SQLRow] {
            try answer(to: query).rows
        }

        private func answer(to statement: SQL) throws(StorageError) -> PostgreSQLAnswer {
            guard let session else {
                throw StorageError(.refused, "the transaction was used after it had ended")
            }
            let (text, values) = statement.rendered(for: .postgreSQL)
            return try session.runInTransaction(text, values, isPrepared: true)
        }
    }

#endif

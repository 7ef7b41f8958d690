// SPDX-License-Identifier: Apache-2.0

#if SQLite

    public import GRDB
    public import Redlock

    /// Guards the data in an SQLite database, in any number of processes, for those who write with GRDB.
    ///
    /// ```swift
    /// let store = try await SQLiteGuard(DatabaseQueue(path: "orders.sqlite"))
    /// try await redlock.withLock("orders/42") { lease in
    ///     try await store.write(lease) { db in
    ///         try db.execute(sql: "UPDATE orders SET state = 'paid' WHERE id = 42")
    ///     }
    /// }
    /// ```
    ///
    /// What a power cut undoes, it undoes together with its token; with the defaults of GRDB for a `DatabasePool`, that may be
    /// writes that were confirmed a moment before.
    ///
    /// The tokens are in a table of the same database, so that one transaction holds the comparison, the statements and the
    /// new token. The guard sees only what is written through it. Statements that PostgreSQL is to understand as well are
    /// written for an ``SQLDatabase``, of which ``SQLiteDatabase`` is one.
    public struct SQLiteGuard: FencedStore {
        /// Statements of one transaction.
        public typealias Write = @Sendable (Database) throws -> Void

        private let writer: any DatabaseWriter
        private let database: SQLiteDatabase

        /// A guard in front of a database; makes the table of tokens if it is not there.
        ///
        /// - Parameters:
        ///   - database: a queue or a pool of GRDB. With several processes, give it a `busyMode` that waits.
        ///   - table: what the table of tokens is called.
        /// - Throws: ``StorageError``.
        public init(_ database: any DatabaseWriter, table: String = "fencing_tokens") async throws {
            writer = database
            self.database = try await SQLiteDatabase(database, tokenTable: FencedTokenTable(table))
        }

        /// Runs statements in one transaction with the comparison of the token.
        ///
        /// - Parameters:
        ///   - grant: the lease to write under.
        ///   - updates: the statements. If they throw, nothing of the transaction stays.
        /// - Returns: what the closure returned.
        /// - Throws: `StaleGrantError`, in which case the closure was not run; what the closure throws; ``StorageError``;
        ///   `DatabaseError` of the closure's statements; `CancellationError` if the task was cancelled, and then nothing was
        ///   written.
        @discardableResult
        public func write<Result: Sendable>(
            _ grant: some FencedGrant,
            _ updates: @escaping @Sendable (Database) throws -> Result
        ) async throws -> Result {
            try await writer.write { database in
                try admit(grant, in: database)
                return try updates(database)
            }
        }

        /// Carries out a write in one step with the comparison of the token; see ``FencedStore``.
        public func apply(_ write: @escaping Write, under grant: some FencedGrant) async throws {
            try await self.write(grant, write)
        }

        /// Compares the token and keeps it, as the first step of a transaction that the caller has begun.
        ///
        /// It is for those who write through GRDB themselves: nothing that they write before this call is guarded.
        ///
        /// - Throws: `StaleGrantError`; let it out of the transaction, so that it is undone.
        public func admit(_ grant: some FencedGrant, in database: Database) throws {
            try grant.validate()
            precondition(database.isInsideTransaction, "outside a transaction, a token guards nothing")
            let transaction = SQLiteTransaction(database)
            defer { transaction.end() }
            try FencedAdmission(grant, tokens: .table, table: self.database.tokenTable).admit(in: transaction)
        }

        /// The highest token that was written with; nil if nothing was written under a grant of the resource.
        public func highestToken(of resource: String) async throws -> FencingToken? {
            try await database.highestToken(of: resource)
        }
    }

#endif

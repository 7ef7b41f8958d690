// SPDX-License-Identifier: Apache-2.0

#if SQLite

    import Foundation
    public import GRDB

    /// An SQLite database, in a file or in memory, in any number of processes of one machine.
    ///
    /// What a power cut undoes, it undoes together with its token; with the defaults of GRDB for a `DatabasePool`, that may be
    /// writes that were confirmed a moment before.
    public struct SQLiteDatabase: SQLDatabase {
        /// Where the fencing tokens are kept.
        public let tokenTable: FencedTokenTable
        private let writer: any DatabaseWriter

        /// That of SQLite.
        public var dialect: SQLDialect { .sqlite }

        /// A database that GRDB has opened; makes the table of tokens if it is not there.
        ///
        /// - Parameters:
        ///   - writer: a queue or a pool. With several processes, give it a `busyMode` that waits.
        ///   - tokenTable: where the fencing tokens are kept.
        /// - Throws: ``StorageError``.
        public init(_ writer: any DatabaseWriter, tokenTable: FencedTokenTable = FencedTokenTable()) async throws {
            self.writer = writer
            self.tokenTable = tokenTable
            try await write { try tokenTable.create(in: $0) }
        }

        /// A database in a file, which is made if it is not there.
        ///
        /// Confirmed writes survive a power cut: they are synchronised to the disk one by one.
        ///
        /// - Parameters:
        ///   - path: where the file is.
        ///   - busyTimeout: how long to wait for another process that writes.
        /// - Throws: ``StorageError``.
        public init(path: String, busyTimeout: Duration = .seconds(10)) async throws {
            var configuration = Configuration()
            configuration.busyMode = .timeout(Double(busyTimeout.wholeMilliseconds) / 1_000)
            configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            let opened = configuration
            let writer = try StorageError.told { try DatabasePool(path: path, configuration: opened) }
            try await self.init(writer)
        }

        /// A new database in memory, which ends with its last reference.
        ///
        /// - Throws: ``StorageError``.
        public static func inMemory() async throws -> SQLiteDatabase {
            try await SQLiteDatabase(StorageError.told { try DatabaseQueue() })
        }

        /// Runs the body in one transaction; see ``SQLDatabase``.
        public func transaction<Value: Sendable>(
            _ access: SQLAccess,
            by deadline: ContinuousClock.Instant?,
            _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
        ) async throws -> Value {
            do {
                switch access {
                case .reading: return try await writer.read { try Self.run(body, in: $0, by: deadline) }
                case .writing: return try await writer.write { try Self.run(body, in: $0, by: deadline) }
                }
            } catch let error as DatabaseError {
                throw StorageError(error)
            }
        }

        private static func run<Value>(
            _ body: (any SQLTransaction) throws -> Value,
            in database: Database,
            by deadline: ContinuousClock.Instant?
        ) throws -> Value {
            let transaction = SQLiteTransaction(database)
            defer { transaction.end() }
            let value = try body(transaction)
            // An error that the body has caught has undone what it was about.
            if let failure = transaction.failure { throw failure }
            if let deadline, ContinuousClock.now >= deadline {
                throw StorageError(.timedOut, "the transaction took longer than it may; nothing was written")
            }
            return value
        }
    }

    /// An open transaction of GRDB.
    final class SQLiteTransaction: SQLTransaction {
        private var database: Database?
        /// The first error of a statement.
        private(set) var failure: StorageError?

        var dialect: SQLDialect { .sqlite }

        init(_ database: Database) {
            self.database = database
        }

        func end() {
            database = nil
        }

        func run(_ statement: SQL) throws(StorageError) -> Int {
            try told { database in
                let (text, values) = statement.rendered(for: .sqlite)
                let prepared = try database.cachedStatement(sql: text)
                try prepared.execute(arguments: StatementArguments(values.map(\.databaseValue)))
                return database.changesCount
            }
        }

        func rows(_ query: SQL) throws(StorageError) -> [SQLRow] {
            try told { database in
                let (text, values) = query.rendered(for: .sqlite)
                let prepared = try database.cachedStatement(sql: text)
                let arguments = StatementArguments(values.map(\.databaseValue))
                return try Row.fetchAll(prepared, arguments: arguments).map { row in
                    SQLRow(columns: Array(row.columnNames), values: row.databaseValues.map(SQLValue.init))
                }
            }
        }

        private func told<Value>(_ body: (Database) throws -> Value) throws(StorageError) -> Value {
            if let failure { throw failure }
            guard let database else {
                throw StorageError(.refused, "the transaction was used after it had ended")
            }
            do {
                return try StorageError.told { try body(database) }
            } catch {
                failure = error
                throw error
            }
        }
    }

    extension StorageError {
        init(_ error: DatabaseError) {
            // The message of SQLite names tables and columns, and no values; that of GRDB would show the arguments.
            let message = error.message ?? "the database answered with error \(error.resultCode.rawValue)"
            switch error.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED: self.init(.conflict, "another process has the database: \(message)")
            case .SQLITE_CANTOPEN, .SQLITE_NOTADB: self.init(.unreachable, message)
            case .SQLITE_INTERRUPT: self.init(.timedOut, message)
            default: self.init(.refused, message)
            }
        }

        /// Runs what GRDB does, with its errors as those of this module.
        static func told<Value>(_ body: () throws -> Value) throws(StorageError) -> Value {
            do {
                return try body()
            } catch let error as DatabaseError {
                throw StorageError(error)
            } catch {
                throw StorageError(.refused, "\(error)")
            }
        }
    }

    extension SQLValue {
        fileprivate var databaseValue: DatabaseValue {
            switch self {
            case .null: .null
            case .integer(let number): number.databaseValue
            case .real(let number): number.databaseValue
            case .text(let text): text.databaseValue
            case .blob(let bytes): Data(bytes).databaseValue
            }
        }

        fileprivate init(_ value: DatabaseValue) {
            switch value.storage {
            case .null: self = .null
            case .int64(let number): self = .integer(number)
            case .double(let number): self = .real(number)
            case .string(let text): self = .text(text)
            case .blob(let data): self = .blob([UInt8](data))
            }
        }
    }

#endif

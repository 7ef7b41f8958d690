// SPDX-License-Identifier: Apache-2.0

/// What differs between the databases, for statements that are written once.
///
/// ```swift
/// let due = try transaction.rows("""
///     SELECT name FROM jobs WHERE due_ms <= \(sql: transaction.dialect.clock) \(sql: transaction.dialect.forUpdateSkippingLocked)
///     """)
/// ```
public struct SQLDialect: Hashable, Sendable, CustomStringConvertible {
    private enum Value: String {
        case sqlite, postgreSQL
    }

    private let value: Value

    /// SQLite: one writer at a time has the whole database, so that rows need no locks.
    public static let sqlite = SQLDialect(value: .sqlite)
    /// PostgreSQL, in transactions that are `READ COMMITTED`.
    public static let postgreSQL = SQLDialect(value: .postgreSQL)

    /// The name of the dialect.
    public var description: String { value.rawValue }

    /// The time of the database, in milliseconds since 1970, at the moment when the expression is evaluated.
    ///
    /// It is not the start of the transaction: a statement that has waited for a row reads the time after that.
    public var clock: SQL {
        switch value {
        case .sqlite: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
        case .postgreSQL: "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
        }
    }

    /// Behind a query: locks the rows against other writers until the end of the transaction.
    public var forUpdate: SQL { clause("FOR UPDATE") }

    /// Behind a query: the same, and leaves out the rows that others have locked.
    public var forUpdateSkippingLocked: SQL { clause("FOR UPDATE SKIP LOCKED") }

    /// Behind a query: locks the rows against writers, together with others that only share them.
    public var forShare: SQL { clause("FOR SHARE") }

    /// The type of a column for whole numbers of 64 bits.
    public var integerType: SQL { "bigint" }

    /// The type of a column for texts that are compared byte by byte.
    public var textType: SQL {
        switch value {
        case .sqlite: "text"
        case .postgreSQL: "text COLLATE \"C\""
        }
    }

    /// The type of a column for bytes.
    public var blobType: SQL {
        switch value {
        case .sqlite: "blob"
        case .postgreSQL: "bytea"
        }
    }

    /// The type of a column for numbers with a fraction.
    public var realType: SQL { "double precision" }

    /// Whether writers exclude each other by the row, and not by the whole database.
    var locksRows: Bool { value == .postgreSQL }

    /// What stands in a text for the parameter of that number, from 1.
    func placeholder(_ number: Int) -> String {
        switch value {
        case .sqlite: "?"
        case .postgreSQL: "$\(number)"
        }
    }

    private func clause(_ text: SQL) -> SQL { locksRows ? text : "" }
}

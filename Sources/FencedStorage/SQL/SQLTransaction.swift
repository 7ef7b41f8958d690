// SPDX-License-Identifier: Apache-2.0

/// One open transaction.
///
/// Its statements run on a thread where waiting is allowed, one after the other: nothing can suspend while it holds locks of
/// rows. It ends with the body that it was given to, and throws ``StorageError`` with `refused` when it is used after that.
public protocol SQLTransaction {
    /// What differs between the databases.
    var dialect: SQLDialect { get }

    /// Runs one statement.
    ///
    /// - Returns: how many rows were inserted, updated or deleted.
    /// - Throws: ``StorageError``. An error of the database undoes the transaction, even where the body catches it.
    @discardableResult
    func run(_ statement: SQL) throws(StorageError) -> Int

    /// Runs a query, or a statement with RETURNING.
    ///
    /// - Returns: all rows of its answer.
    /// - Throws: ``StorageError``, as `run(_:)`.
    func rows(_ query: SQL) throws(StorageError) -> [SQLRow]
}

extension SQLTransaction {
    /// The first row of the answer; nil if it is empty.
    ///
    /// - Throws: ``StorageError``, as `run(_:)`.
    public func row(_ query: SQL) throws(StorageError) -> SQLRow? {
        try rows(query).first
    }

    /// The time of the database, in milliseconds since 1970, read now.
    ///
    /// - Throws: ``StorageError``, as `run(_:)`.
    public func clockMilliseconds() throws(StorageError) -> Int64 {
        guard let row = try row("SELECT \(sql: dialect.clock) AS clock") else {
            throw StorageError(.unexpectedValue, "the database did not tell its time")
        }
        return try row.get("clock")
    }
}

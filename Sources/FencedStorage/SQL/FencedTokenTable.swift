// SPDX-License-Identifier: Apache-2.0

import RedisTransport
import Redlock

/// The table in which a database keeps the highest fencing token of every resource.
public struct FencedTokenTable: Hashable, Sendable {
    /// Its name, quoted, with the schema where there is one.
    let name: SQL

    /// A table of that name; a dot separates the name of a schema.
    public init(_ name: String = "fencing_tokens") {
        self.name = .identifier(name)
    }

    /// A table by its name as the database writes it.
    init(quotedName: String) {
        name = SQL(stringLiteral: quotedName)
    }

    /// Makes the table, if it is not there.
    func create(in transaction: any SQLTransaction) throws(StorageError) {
        let dialect = transaction.dialect
        try transaction.run(
            """
            CREATE TABLE IF NOT EXISTS \(sql: name)
                (resource \(sql: dialect.textType) NOT NULL PRIMARY KEY, token \(sql: dialect.integerType) NOT NULL)
            """
        )
    }

    /// Compares the token of a resource, and keeps it if it is the highest.
    ///
    /// - Throws: `StaleGrantError`; ``StorageError``.
    func admit(_ resource: String, _ token: FencingToken, in transaction: any SQLTransaction) throws {
        if transaction.dialect.locksRows, try isShared(resource, token, in: transaction) { return }
        // Waits for the transaction that has the row, and then looks at what that left.
        let admitted = try transaction.run(
            """
            INSERT INTO \(sql: name) AS kept (resource, token) VALUES (\(resource), \(token))
            ON CONFLICT (resource) DO UPDATE SET token = excluded.token WHERE kept.token <= excluded.token
            """
        )
        if admitted > 0 { return }
        let highest = try highestToken(of: resource, in: transaction)
        throw StaleGrantError(resource: resource, token: token, highestToken: highest ?? token)
    }

    /// Shares the row with other writers under the same grant, if its token is in it already: they need not wait for one
    /// another, while a newer holder still waits for all of them.
    ///
    /// A share is never raised to more: two transactions that share the row would wait for each other.
    ///
    /// - Returns: false if the token must be written first.
    /// - Throws: `StaleGrantError` if a higher one is there; ``StorageError``.
    private func isShared(_ resource: String, _ token: FencingToken, in transaction: any SQLTransaction) throws -> Bool
    {
        // Without a lock: a row whose token is lower must not be shared.
        guard try highestToken(of: resource, in: transaction) == token else { return false }
        let kept = try highestToken(of: resource, in: transaction, locking: transaction.dialect.forShare)
        guard let kept else {
            throw StorageError(.conflict, "the fencing token of \"\(resource.printable())\" was purged at this moment")
        }
        // Meanwhile it can only have become higher.
        guard kept == token else { throw StaleGrantError(resource: resource, token: token, highestToken: kept) }
        return true
    }

    /// The highest token that was written with; nil if there was none.
    func highestToken(
        of resource: String,
        in transaction: any SQLTransaction,
        locking lock: SQL = ""
    ) throws(StorageError) -> FencingToken? {
        try transaction.row("SELECT token FROM \(sql: name) WHERE resource = \(resource) \(sql: lock)")?.get("token")
    }
}

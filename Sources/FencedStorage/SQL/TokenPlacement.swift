// SPDX-License-Identifier: Apache-2.0

import RedisTransport
import Redlock

/// Where the highest fencing token of what is written is kept.
public struct TokenPlacement: Hashable, Sendable {
    enum Place: Hashable, Sendable {
        case table
        case row(SQL, key: SQL, token: SQL)
    }

    let place: Place

    /// In the table of tokens, by the name of the resource: one row for each name, until it is purged.
    public static let table = TokenPlacement(place: .table)

    /// In a column of the row that is guarded: the token lives and dies with its row, and costs no statement of its own.
    ///
    /// The row must be there; under a grant of a row that is not, nothing is written (``StorageError`` with `rowMissing`), so
    /// that what was deleted is not made again by a holder that comes late. The row is made by a transaction of its own, with 0
    /// in the column.
    ///
    /// - Parameters:
    ///   - table: the name of the table.
    ///   - keyColumn: the column by which the row is found, which is unique.
    ///   - key: the value in it.
    ///   - tokenColumn: the column for the token: whole numbers of 64 bits, NOT NULL.
    public static func row(
        of table: String,
        where keyColumn: String,
        is key: some SQLConvertible,
        tokenColumn: String
    ) -> TokenPlacement {
        TokenPlacement(
            place: .row(
                .identifier(table),
                key: "\(identifier: keyColumn) = \(key)",
                token: .identifier(tokenColumn)
            )
        )
    }
}

/// The comparison of a token, as the first step of a transaction.
struct FencedAdmission: Sendable {
    private let resources: [String]
    private let token: FencingToken
    private let placement: TokenPlacement
    private let table: FencedTokenTable

    init(_ grant: some FencedGrant, tokens: TokenPlacement, table: FencedTokenTable) {
        // In one order for all, so that two grants of the same resources cannot wait for each other.
        resources = grant.fencedResources.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        token = grant.fencingToken
        placement = tokens
        self.table = table
    }

    /// What was locked, for people.
    var names: String { resources.map { "\"\($0.printable())\"" }.joined(separator: ", ") }

    /// Compares the token, and keeps it if it is the highest.
    ///
    /// - Throws: `StaleGrantError`; ``StorageError``.
    func admit(in transaction: any SQLTransaction) throws {
        switch placement.place {
        case .table: for resource in resources { try table.admit(resource, token, in: transaction) }
        case .row(let table, let key, let column): try admit(table, key, column, in: transaction)
        }
    }

    private func admit(_ table: SQL, _ key: SQL, _ column: SQL, in transaction: any SQLTransaction) throws {
        let admitted = try transaction.run(
            "UPDATE \(sql: table) SET \(sql: column) = \(token) WHERE \(sql: key) AND \(sql: column) <= \(token)"
        )
        if admitted > 0 { return }
        guard
            let kept = try transaction.row("SELECT \(sql: column) AS token FROM \(sql: table) WHERE \(sql: key)")
        else {
            throw StorageError(.rowMissing, "the row that keeps the fencing token of \(names) is not there")
        }
        throw StaleGrantError(resource: resources[0], token: token, highestToken: try kept.get("token"))
    }
}

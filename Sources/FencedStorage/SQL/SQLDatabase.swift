// SPDX-License-Identifier: Apache-2.0

public import Redlock

/// A database in which the data, the fencing tokens and the records of a module stand side by side, so that one transaction
/// decides about all of them.
///
/// There is one for SQLite (`SQLiteDatabase`) and one for PostgreSQL (`PostgreSQLDatabase`); statements are written once, see
/// ``SQL`` and ``SQLDialect``.
///
/// ```swift
/// try await redlock.withLock("orders/42") { lease in
///     try await database.write(under: lease) { transaction in
///         try transaction.run("UPDATE orders SET state = 'paid' WHERE id = \(42)")
///     }
/// }
/// ```
///
/// The body of a transaction is synchronous and runs on a thread of the database where waiting is allowed: there is one hop of
/// threads for each transaction, and nothing can suspend while it holds locks. Do nothing in it but compute and ask the
/// database.
public protocol SQLDatabase: Sendable {
    /// What differs between the databases.
    var dialect: SQLDialect { get }

    /// Where the fencing tokens are kept that stand in no row of their own.
    var tokenTable: FencedTokenTable { get }

    /// Runs the body in one transaction, which stays if the body returns.
    ///
    /// - Parameters:
    ///   - access: whether the body may write.
    ///   - deadline: by when the transaction must be committed; nil for the limits of the database alone.
    ///   - body: the statements. If it throws, nothing of the transaction stays.
    /// - Returns: what the body returned.
    /// - Throws: ``StorageError``; what the body throws; `CancellationError` if the task was cancelled, and then nothing was
    ///   written.
    func transaction<Value: Sendable>(
        _ access: SQLAccess,
        by deadline: ContinuousClock.Instant?,
        _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
    ) async throws -> Value
}

/// What a transaction is for.
public enum SQLAccess: Hashable, Sendable {
    /// It only reads; a statement that writes is refused.
    case reading
    /// It reads and writes.
    case writing
}

extension SQLDatabase {
    /// Runs queries in one transaction.
    ///
    /// - Throws: ``StorageError``; what the body throws; `CancellationError`.
    public func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
    ) async throws -> Value {
        try await transaction(.reading, by: nil, body)
    }

    /// Runs statements in one transaction that compares no token: for what is not locked, or what other statements decide.
    ///
    /// - Throws: ``StorageError``, of which `outcomeUnknown` says that the transaction may have been committed; what the body
    ///   throws; `CancellationError`, and then nothing was written.
    @discardableResult
    public func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
    ) async throws -> Value {
        try await transaction(.writing, by: nil, body)
    }

    /// Runs statements in one transaction with the comparison of the fencing token.
    ///
    /// No statement goes on beyond the end of the grant, where the grant tells it: the transaction is undone then.
    ///
    /// - Parameters:
    ///   - grant: the lease to write under.
    ///   - tokens: where the highest token is kept.
    ///   - body: the statements. If it throws, nothing of the transaction stays.
    /// - Returns: what the body returned.
    /// - Throws: `StaleGrantError`, in which case the body was not run; ``StorageError``, of which `outcomeUnknown` says that the
    ///   transaction may have been committed, and `timedOut` that the grant is over; what the body throws;
    ///   `CancellationError`, and then nothing was written.
    @discardableResult
    public func write<Value: Sendable>(
        under grant: some FencedGrant,
        tokens: TokenPlacement = .table,
        _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
    ) async throws -> Value {
        try grant.validate()
        let admission = FencedAdmission(grant, tokens: tokens, table: tokenTable)
        let end = grant.endOfValidity
        return try await transaction(.writing, by: end) { transaction in
            // Looked at inside of the transaction, which a server ends when its process stands still.
            if let end, ContinuousClock.now >= end {
                throw StorageError(.timedOut, "the grant of \(admission.names) is over; nothing was written")
            }
            try admission.admit(in: transaction)
            return try body(transaction)
        }
    }

    /// The highest token that was written with; nil if nothing was written under a grant of the resource.
    ///
    /// - Parameter resource: one of `FencedGrant.fencedResources`.
    /// - Throws: ``StorageError``.
    public func highestToken(of resource: String) async throws -> FencingToken? {
        let table = tokenTable
        return try await read { try table.highestToken(of: resource, in: $0) }
    }

    /// Runs a transaction that may have been committed, until it is known whether it was.
    ///
    /// A commit without an answer may still be under way, so that a plain look at the data may see it missing and be wrong a
    /// moment later. The question therefore locks a row that the lost transaction wrote as well, and so waits for its end:
    ///
    /// ```swift
    /// let attempt = UUID().uuidString
    /// do {
    ///     try await database.write { try $0.run("UPDATE jobs SET attempt = \(attempt) WHERE name = \(name)") }
    /// } catch let error as StorageError where error.code == .outcomeUnknown {
    ///     let wasCommitted = try await database.resolve { transaction in
    ///         try transaction.row("""
    ///             SELECT attempt FROM jobs WHERE name = \(name) \(sql: transaction.dialect.forUpdate)
    ///             """)?.get("attempt") == attempt
    ///     }
    /// }
    /// ```
    ///
    /// Ask for what only this attempt has written, never for whether there is a row. Until it is resolved, nothing may be
    /// answered, begun or undone.
    ///
    /// - Parameter wasCommitted: the question, which must lock a row that the lost transaction wrote.
    /// - Returns: what the question found.
    /// - Throws: ``StorageError`` if the question cannot be asked either; the outcome is as unknown as before.
    public func resolve<Value: Sendable>(
        _ wasCommitted: @escaping @Sendable (any SQLTransaction) throws -> Value
    ) async throws -> Value {
        var pause = Duration.milliseconds(10)
        while true {
            do {
                return try await transaction(.writing, by: nil, wasCommitted)
            } catch let error as StorageError where [.unreachable, .conflict].contains(error.code) {
                // The server that lost the answer is the one that is asked, and may be starting again.
                guard pause < .seconds(2) else { throw error }
                try await Task.sleep(for: pause)
                pause *= 2
            }
        }
    }
}

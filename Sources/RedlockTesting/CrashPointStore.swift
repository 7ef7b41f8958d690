// SPDX-License-Identifier: Apache-2.0

public import FencedStorage
internal import Synchronization

/// A database whose transactions fail where a test wants them to: for what a crash, a lost answer or a late commit leaves.
///
/// ```swift
/// try await CrashPointStore.exhaust(
///     database: { try await SQLiteDatabase.inMemory() },
///     scenario: { database in try await Orders(database).pay("o-1") },      // what is tried; called again when it failed
///     check: { database in try await expectPaidOnce("o-1", in: database) }  // what must be true in the end
/// )
/// ```
///
/// Only writing transactions fail; a transaction that reads fails like one that never reached the database, which is what a
/// fault before the body is.
public final class CrashPointStore: SQLDatabase {
    /// How a transaction fails.
    public enum Fault: Hashable, Sendable, CaseIterable {
        /// The database is not reached: the body does not run.
        case beforeBody
        /// The connection ends behind the body: nothing of it stays.
        case beforeCommit
        /// The transaction is committed, and its answer is lost: the outcome is unknown to the caller.
        case afterCommit
        /// The answer is lost, and the transaction is committed later: those that read do not see it yet, and the next that
        /// writes, or locks rows, waits for it.
        case lateCommit
    }

    /// A fault of one transaction.
    public struct CrashPoint: Hashable, Sendable, CustomStringConvertible {
        /// Which of the writing transactions fails, from 1.
        public let transaction: Int
        /// How it fails.
        public let fault: Fault

        /// A fault of one transaction.
        public init(transaction: Int, fault: Fault) {
            self.transaction = transaction
            self.fault = fault
        }

        /// The number of the transaction, and how it fails.
        public var description: String { "transaction \(transaction) \(fault)" }
    }

    private struct State {
        var transactionCount = 0
        /// What was given up by its caller and is committed before the next that writes.
        var late: [@Sendable () async throws -> Void] = []
    }

    private let database: any SQLDatabase
    private let faults: [Int: Fault]
    private let state = Mutex(State())

    /// That of the database.
    public var dialect: SQLDialect { database.dialect }
    /// That of the database.
    public var tokenTable: FencedTokenTable { database.tokenTable }
    /// How many writing transactions have begun.
    public var transactionCount: Int { state.withLock { $0.transactionCount } }

    /// A database that fails at some points.
    ///
    /// - Parameters:
    ///   - database: what is under it; one that nothing else uses.
    ///   - points: at most one for each transaction.
    public init(_ database: any SQLDatabase, failingAt points: [CrashPoint]) {
        self.database = database
        faults = Dictionary(points.map { ($0.transaction, $0.fault) }) { first, _ in first }
    }

    /// Runs the body in one transaction, or fails as it is to; see ``SQLDatabase``.
    public func transaction<Value: Sendable>(
        _ access: SQLAccess,
        by deadline: ContinuousClock.Instant?,
        _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
    ) async throws -> Value {
        guard access == .writing else { return try await database.transaction(access, by: deadline, body) }
        let number = state.withLock { state in
            state.transactionCount += 1
            return state.transactionCount
        }
        guard let fault = faults[number] else {
            try await commitLate()
            return try await database.transaction(access, by: deadline, body)
        }
        switch fault {
        case .beforeBody: throw StorageError(.unreachable, "a fault: the database was not reached")
        case .beforeCommit:
            try await commitLate()
            return try await database.transaction(access, by: deadline) { transaction in
                _ = try body(transaction)
                throw StorageError(.unreachable, "a fault: the connection ended before the commit")
            }
        case .afterCommit:
            try await commitLate()
            _ = try await database.transaction(access, by: deadline, body)
        case .lateCommit:
            try await commitLate()
            let database = self.database
            state.withLock { state in
                state.late.append { _ = try await database.transaction(.writing, by: deadline, body) }
            }
        }
        throw StorageError(.outcomeUnknown, "a fault: no answer to the commit")
    }

    /// Commits what was given up by its callers; what fails now is undone, and there is no caller left to tell.
    private func commitLate() async throws {
        let late = state.withLock { state in
            defer { state.late = [] }
            return state.late
        }
        for commit in late {
            try Task.checkCancellation()
            try? await commit()
        }
    }
}

// MARK: Every point

extension CrashPointStore {
    /// Runs a scenario once without a fault, then once for every transaction and every fault, and once for every pair of them.
    ///
    /// A scenario that throws is called again on the same database, as a process that was started again would do its work,
    /// until it ends without an error.
    ///
    /// - Parameters:
    ///   - isInPairs: whether two faults in one run are tried as well; that takes the square of the time.
    ///   - database: makes an empty database.
    ///   - scenario: what is tried.
    ///   - check: throws if what must be true is not, once the scenario is over.
    /// - Returns: how many runs there were.
    /// - Throws: ``CrashPointViolation`` with the points at which the check failed, or the scenario never ended.
    @discardableResult
    public static func exhaust(
        isInPairs: Bool = true,
        database: () async throws -> any SQLDatabase,
        scenario: (any SQLDatabase) async throws -> Void,
        check: (any SQLDatabase) async throws -> Void
    ) async throws -> Int {
        func run(_ points: [CrashPoint]) async throws -> Int {
            let store = CrashPointStore(try await database(), failingAt: points)
            do {
                try await runToTheEnd(scenario, on: store)
                let transactionCount = store.transactionCount
                try await store.commitLate()
                try await check(store.database)
                return transactionCount
            } catch {
                throw CrashPointViolation(points: points, problem: "\(error)")
            }
        }
        var runCount = 1
        let count = try await run([])
        for transaction in 1...max(count, 1) {
            for fault in Fault.allCases {
                let point = CrashPoint(transaction: transaction, fault: fault)
                // What the fault leads to has transactions of its own, which may fail too.
                let countWithFault = try await run([point])
                runCount += 1
                guard isInPairs, transaction < countWithFault else { continue }
                for second in transaction + 1...countWithFault {
                    for secondFault in Fault.allCases {
                        _ = try await run([point, CrashPoint(transaction: second, fault: secondFault)])
                        runCount += 1
                    }
                }
            }
        }
        return runCount
    }

    /// How often a scenario begins again: more often than there are faults.
    private static let mostBeginnings = 8

    private static func runToTheEnd(
        _ scenario: (any SQLDatabase) async throws -> Void,
        on store: CrashPointStore
    ) async throws {
        for _ in 1..<mostBeginnings {
            do { return try await scenario(store) } catch is StorageError {}
        }
        try await scenario(store)
    }
}

/// What must be true is not, after faults at some points.
public struct CrashPointViolation: Error, Sendable, CustomStringConvertible {
    /// Where the faults were.
    public let points: [CrashPointStore.CrashPoint]
    /// What is wrong.
    public let problem: String

    /// What is wrong, and after which faults.
    public var description: String {
        let place = points.isEmpty ? "without a fault" : points.map(\.description).joined(separator: ", ")
        return "\(problem) (\(place))"
    }
}

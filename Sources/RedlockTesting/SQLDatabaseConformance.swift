// SPDX-License-Identifier: Apache-2.0

public import FencedStorage
import Redlock

/// Tries whether a database keeps what `SQLDatabase` promises.
///
/// It makes tables whose names begin with `conformance_`, and leaves nothing in them that disturbs the next run.
public struct SQLDatabaseConformance: Sendable {
    private let database: any SQLDatabase
    private let name: String

    /// A suite for a database.
    public init(_ database: any SQLDatabase) {
        self.database = database
        name = "conformance/\(UInt64.random(in: 0 ... .max))"
    }

    /// Tries everything.
    ///
    /// - Parameters:
    ///   - writeCount: how many guarded writes to make while many are under way.
    ///   - concurrency: how many are under way at a time.
    /// - Throws: ``SQLDatabaseViolation`` or ``FencedStoreViolation`` for the first promise that is broken; what the database
    ///   throws otherwise.
    public func check(writeCount: Int = 400, concurrency: Int = 16) async throws {
        try await checkMigrations()
        try await checkValues()
        try await checkUndoing()
        try await checkReading()
        try await checkEnd()
        try await checkClock()
        try await checkConcurrentWrites(concurrency)
        try await checkRowTokens()
        try await checkGuard(writeCount: writeCount, concurrency: concurrency)
    }

    // MARK: Tables

    private static let tables = [
        Migration { transaction in
            let dialect = transaction.dialect
            try transaction.run(
                """
                CREATE TABLE conformance_log (
                    name \(sql: dialect.textType) NOT NULL, place \(sql: dialect.integerType) NOT NULL,
                    token \(sql: dialect.integerType) NOT NULL, PRIMARY KEY (name, place)
                )
                """
            )
        },
        Migration { transaction in
            let dialect = transaction.dialect
            try transaction.run(
                """
                CREATE TABLE conformance_rows (
                    name \(sql: dialect.textType) NOT NULL PRIMARY KEY, count \(sql: dialect.integerType) NOT NULL,
                    fence \(sql: dialect.integerType) NOT NULL, bytes \(sql: dialect.blobType), real \(sql: dialect.realType),
                    text \(sql: dialect.textType)
                )
                """
            )
        },
    ]

    private func checkMigrations() async throws {
        let component = name
        // Many processes begin at the same moment.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { try await database.migrate("conformance", Self.tables) } }
            try await group.waitForAll()
        }
        let table = "conformance_steps"
        try await database.write { try $0.run("DROP TABLE IF EXISTS \(identifier: table)") }
        let first = Migration { transaction in
            try transaction.run("CREATE TABLE \(identifier: table) (version \(sql: transaction.dialect.integerType))")
        }
        let second = Migration { try $0.run("INSERT INTO \(identifier: table) VALUES (\(2))") }
        let failing = Migration { transaction in
            try transaction.run("INSERT INTO \(identifier: table) VALUES (\(3))")
            throw Undo()
        }
        try await database.migrate(component, [first])
        try await database.migrate(component, [first, second])
        try await database.migrate(component, [first, second])
        do {
            try await database.migrate(component, [first, second, failing])
            throw SQLDatabaseViolation("a migration failed, and it was not told")
        } catch is Undo {}
        let versions = try await database.read { transaction in
            try transaction.rows("SELECT version FROM \(identifier: table)").map { try $0.get("version", as: Int.self) }
        }
        try expect(versions == [2], "each migration runs once, and one that fails leaves nothing: \(versions)")
        do {
            try await database.migrate(component, [first])
            throw SQLDatabaseViolation("tables of a newer version were taken for those of this one")
        } catch let error as StorageError where error.code == .newerSchema {}
        try await database.write { transaction in
            try transaction.run("DROP TABLE \(identifier: table)")
            try transaction.run("DELETE FROM schema_versions WHERE component = \(component)")
        }
    }

    // MARK: Values

    private func checkValues() async throws {
        let texts = ["", "plain", "it's; DROP TABLE conformance_rows; --", "ä\u{308}🔒", "$1 ? :a", "line\nbreak"]
        for (place, text) in texts.enumerated() {
            let key = "\(name)/\(place)/\(text)"
            let bytes = [UInt8](repeating: UInt8(place), count: place) + [0, 255, 92]
            let number = place.isMultiple(of: 2) ? Int64.max - Int64(place) : Int64.min + Int64(place)
            let real = Double(place) / 3
            try await database.write { transaction in
                let inserted = try transaction.run(
                    """
                    INSERT INTO conformance_rows (name, count, fence, bytes, real, text)
                    VALUES (\(key), \(number), \(0), \(bytes), \(real), \(text))
                    """
                )
                guard inserted == 1 else {
                    throw SQLDatabaseViolation("one row was inserted, and \(inserted) were told")
                }
            }
            let row = try await database.read { transaction in
                try transaction.row("SELECT count, bytes, real, text FROM conformance_rows WHERE name = \(key)")
            }
            guard let row else { throw SQLDatabaseViolation("a row is not found by its key \(key)") }
            try expect(try row.get("count", as: Int64.self) == number, "a whole number comes back as it was")
            try expect(try row.get("bytes", as: [UInt8].self) == bytes, "bytes come back as they were")
            try expect(try row.get("real", as: Double.self) == real, "a number comes back as it was")
            try expect(try row.get("text", as: String.self) == text, "a text comes back as it was")
        }
        let key = "\(name)/null"
        let absent = String?.none
        let row = try await database.write { transaction in
            try transaction.row(
                """
                INSERT INTO conformance_rows (name, count, fence, text) VALUES (\(key), \(true), \(0), \(absent))
                RETURNING text, count, bytes
                """
            )
        }
        try expect(try row?.get("text", as: String?.self) == .some(nil), "NULL comes back as nil")
        try expect(try row?.get("count", as: Bool.self) == true, "a truth value comes back as it was")
        do {
            _ = try row?.get("text", as: String.self)
            throw SQLDatabaseViolation("NULL was taken for a text")
        } catch let error as StorageError where error.code == .unexpectedValue {}
    }

    // MARK: What stays

    private func checkUndoing() async throws {
        let key = name + "/undone"
        let insert: SQL = "INSERT INTO conformance_rows (name, count, fence) VALUES (\(key), \(1), \(0))"
        do {
            try await database.write { transaction in
                try transaction.run(insert)
                throw Undo()
            }
            throw SQLDatabaseViolation("what a body throws does not come out")
        } catch is Undo {}
        try expect(try await count(of: key) == nil, "what was written stays, though the body threw")
        do {
            try await database.write { transaction in
                try transaction.run(insert)
                // An error that is caught undoes all the same: the databases differ in what they would keep.
                _ = try? transaction.run("INSERT INTO conformance_nowhere VALUES (1)")
            }
            throw SQLDatabaseViolation(
                "a statement failed, its error was caught, and the transaction was told as committed"
            )
        } catch is StorageError {}
        try expect(try await count(of: key) == nil, "what was written stays, though a statement failed")
        do {
            _ = try await database.transaction(.writing, by: ContinuousClock.now - .seconds(1)) { try $0.run(insert) }
            throw SQLDatabaseViolation("a transaction was committed behind its end")
        } catch let error as StorageError where error.code == .timedOut {}
        try expect(try await count(of: key) == nil, "what was written stays, though the time was over")
    }

    private func checkReading() async throws {
        let key = name + "/read"
        do {
            _ = try await database.read { transaction in
                try transaction.run("INSERT INTO conformance_rows (name, count, fence) VALUES (\(key), \(1), \(0))")
            }
            throw SQLDatabaseViolation("a transaction that is to read has written")
        } catch let error as StorageError where error.code == .refused {}
        try expect(try await count(of: key) == nil, "a transaction that is to read has written")
    }

    private func checkEnd() async throws {
        let kept = Kept()
        try await database.read { kept.transaction = $0 }
        do {
            _ = try kept.transaction?.rows("SELECT 1 AS one")
            throw SQLDatabaseViolation("a transaction can be used after its end")
        } catch let error as StorageError where error.code == .refused {}
    }

    private func checkClock() async throws {
        let first = try await database.read { try $0.clockMilliseconds() }
        try await Task.sleep(for: .milliseconds(20))
        let second = try await database.read { try $0.clockMilliseconds() }
        try expect(
            first > 1_700_000_000_000 && second >= first + 15,
            "the clock of the database stands or is set wrongly"
        )
    }

    private func checkConcurrentWrites(_ concurrency: Int) async throws {
        let key = name + "/count"
        try await database.write { transaction in
            try transaction.run("INSERT INTO conformance_rows (name, count, fence) VALUES (\(key), \(0), \(0))")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<concurrency {
                group.addTask {
                    try await database.write { transaction in
                        // Read under the lock of the row, and written from what was read.
                        let row = try transaction.row(
                            """
                            SELECT count FROM conformance_rows WHERE name = \(key) \(sql: transaction.dialect.forUpdate)
                            """
                        )
                        guard let row else { throw SQLDatabaseViolation("a row has vanished") }
                        let count: Int = try row.get("count")
                        try transaction.run("UPDATE conformance_rows SET count = \(count + 1) WHERE name = \(key)")
                    }
                }
            }
            try await group.waitForAll()
        }
        try expect(try await count(of: key) == concurrency, "updates were lost between writers")
    }

    // MARK: Tokens

    private func checkRowTokens() async throws {
        let key = name + "/fenced"
        let placement = TokenPlacement.row(of: "conformance_rows", where: "name", is: key, tokenColumn: "fence")
        func write(_ token: Int64) async throws {
            let grant = ReceivedGrant(key, FencingToken(rawValue: token))
            try await database.write(under: grant, tokens: placement) { transaction in
                try transaction.run("UPDATE conformance_rows SET count = count + 1 WHERE name = \(key)")
            }
        }
        do {
            try await write(5)
            throw SQLDatabaseViolation("something was written under the token of a row that is not there")
        } catch let error as StorageError where error.code == .rowMissing {}
        try await database.write { transaction in
            try transaction.run("INSERT INTO conformance_rows (name, count, fence) VALUES (\(key), \(0), \(0))")
        }
        for token in [5, 5, 7] as [Int64] { try await write(token) }
        do {
            try await write(6)
            throw SQLDatabaseViolation("a stale token was accepted for a row")
        } catch let error as StaleGrantError where error.highestToken == FencingToken(rawValue: 7) {}
        try expect(try await count(of: key) == 3, "the write of a stale token left something")
        try expect(try await database.highestToken(of: key) == nil, "the token of a row is in the table as well")
    }

    private func checkGuard(writeCount: Int, concurrency: Int) async throws {
        let log = name
        try await FencedStoreConformance(
            GuardedLog(database: database),
            appending: { entry in { @Sendable transaction in try Self.append(entry, to: log, in: transaction) } },
            reading: {
                try await database.read { transaction in
                    try transaction.rows("SELECT token, place FROM conformance_log WHERE name = \(log) ORDER BY place")
                        .map { row in
                            FencedStoreEntry(
                                token: try row.get("token"),
                                number: try row.get("place", as: Int.self) & (1 << 32 - 1)
                            )
                        }
                }
            },
            failing: { transaction in
                try Self.append(FencedStoreEntry(token: FencingToken(rawValue: 1), number: 0), to: log, in: transaction)
                throw Undo()
            }
        )
        .check(writeCount: writeCount, concurrency: concurrency)
    }

    /// The place in the log and the number of the entry share a column.
    private static func append(_ entry: FencedStoreEntry, to log: String, in transaction: any SQLTransaction) throws {
        // Writers under one grant run side by side, so that they could take the same place.
        if transaction.dialect == .postgreSQL {
            try transaction.run("LOCK TABLE conformance_log IN EXCLUSIVE MODE")
        }
        try transaction.run(
            """
            INSERT INTO conformance_log (name, place, token)
            SELECT \(log), (COALESCE(MAX(place) / 4294967296, 0) + 1) * 4294967296 + \(entry.number), \(entry.token)
            FROM conformance_log WHERE name = \(log)
            """
        )
    }

    private func count(of key: String) async throws -> Int? {
        try await database.read { transaction in
            try transaction.row("SELECT count FROM conformance_rows WHERE name = \(key)")?.get("count")
        }
    }

    private func expect(_ condition: Bool, _ violation: String) throws(SQLDatabaseViolation) {
        guard condition else { throw SQLDatabaseViolation(violation) }
    }
}

/// A promise that a database broke.
public struct SQLDatabaseViolation: Error, Hashable, Sendable, CustomStringConvertible {
    /// What should have been, or what was.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

private struct Undo: Error {}

/// A database as a store of transactions.
private struct GuardedLog: FencedStore {
    typealias Write = @Sendable (any SQLTransaction) throws -> Void

    let database: any SQLDatabase

    func apply(_ write: @escaping Write, under grant: some FencedGrant) async throws {
        try await database.write(under: grant) { try write($0) }
    }

    func highestToken(of resource: String) async throws -> FencingToken? {
        try await database.highestToken(of: resource)
    }
}

/// A transaction that was kept beyond its end.
///
/// `@unchecked Sendable`: it is set in the transaction, and read after that.
private final class Kept: @unchecked Sendable {
    var transaction: (any SQLTransaction)?
}

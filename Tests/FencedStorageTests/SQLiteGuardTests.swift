// SPDX-License-Identifier: Apache-2.0

#if SQLite

    import FencedStorage
    import Foundation
    import GRDB
    import Redlock
    import RedlockTesting
    import Testing

    /// Data in an SQLite database that nobody changes who came too late.
    struct SQLiteGuardTests {
        @Test
        func keepsWhatStoresPromise() async throws {
            try await withFolder { folder in
                let database = try DatabasePool(path: folder.path + "/log.sqlite")
                let log = SQLiteLog(database)
                try await log.prepare()
                try await FencedStoreConformance(
                    SQLiteGuard(database),
                    appending: { entry in { @Sendable in try log.append(entry, in: $0) } },
                    reading: { try await log.entries() },
                    failing: { database in
                        try log.append(FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1), in: database)
                        try database.execute(sql: "INSERT INTO nowhere VALUES (1)")
                    }
                )
                .check(writeCount: 10_000)
            }
        }

        @Test("Connections of their own, as processes have them, see each other's tokens")
        func severalConnections() async throws {
            try await withFolder { folder in
                var configuration = GRDB.Configuration()
                configuration.busyMode = .timeout(10)
                let path = folder.path + "/log.sqlite"
                let databases = try (0..<4).map { _ in try DatabaseQueue(path: path, configuration: configuration) }
                try await SQLiteLog(databases[0]).prepare()
                // All of them make the table of tokens.
                let stores = try await withThrowingTaskGroup(of: SQLiteGuard.self) { group in
                    for database in databases { group.addTask { try await SQLiteGuard(database) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let refusedCount = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for number in 0..<400 {
                        group.addTask {
                            let entry = FencedStoreEntry(
                                token: FencingToken(rawValue: Int64(number / 4 + 1)),
                                number: number
                            )
                            do {
                                try await stores[number % 4].write(ReceivedGrant("log", entry.token)) { database in
                                    try SQLiteLog.append(entry, in: database)
                                }
                                return false
                            } catch is StaleGrantError {
                                return true
                            }
                        }
                    }
                    return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                let tokens = try await SQLiteLog(databases[0]).entries().map(\.token)
                #expect(tokens == tokens.sorted())
                #expect(tokens.count + refusedCount == 400)
            }
        }

        @Test
        func joinsATransactionOfTheCaller() async throws {
            let database = try DatabaseQueue()
            let log = SQLiteLog(database)
            try await log.prepare()
            let store = try await SQLiteGuard(database, table: "odd \"name\"")
            try await database.write { database in
                try store.admit(ReceivedGrant("log", FencingToken(rawValue: 2)), in: database)
                try log.append(FencedStoreEntry(token: FencingToken(rawValue: 2), number: 1), in: database)
            }
            await #expect(throws: StaleGrantError.self) {
                try await database.write { database in
                    try store.admit(ReceivedGrant("log", FencingToken(rawValue: 1)), in: database)
                    try log.append(FencedStoreEntry(token: FencingToken(rawValue: 1), number: 2), in: database)
                }
            }
            #expect(try await log.entries().map(\.number) == [1])
        }

        @Test
        func cancelledWriteLeavesNothing() async throws {
            let database = try DatabaseQueue()
            let log = SQLiteLog(database)
            try await log.prepare()
            let store = try await SQLiteGuard(database)
            let isInside = AsyncStream.makeStream(of: Void.self)
            let mayGoOn = DispatchSemaphore(value: 0)
            let writing = Task {
                try await store.write(ReceivedGrant("log", FencingToken(rawValue: 2))) { database in
                    try log.append(FencedStoreEntry(token: FencingToken(rawValue: 2), number: 1), in: database)
                    isInside.continuation.yield()
                    mayGoOn.wait()
                }
            }
            for await _ in isInside.stream { break }
            writing.cancel()
            mayGoOn.signal()
            await #expect(throws: CancellationError.self) { try await writing.value }
            #expect(try await log.entries().isEmpty)
            #expect(try await store.highestToken(of: "log") == nil)
        }
    }

    /// A log that is a table.
    struct SQLiteLog: Sendable {
        private let database: any DatabaseWriter

        init(_ database: any DatabaseWriter) {
            self.database = database
        }

        func prepare() async throws {
            try await database.write { database in
                try database.execute(
                    sql:
                        "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, token INTEGER NOT NULL, number INTEGER NOT NULL)"
                )
            }
        }

        func append(_ entry: FencedStoreEntry, in database: Database) throws {
            try Self.append(entry, in: database)
        }

        static func append(_ entry: FencedStoreEntry, in database: Database) throws {
            try database.execute(
                sql: "INSERT INTO log (token, number) VALUES (?, ?)",
                arguments: [entry.token.rawValue, entry.number]
            )
        }

        func entries() async throws -> [FencedStoreEntry] {
            try await database.read { database in
                try Row.fetchAll(database, sql: "SELECT token, number FROM log ORDER BY id").map { row in
                    FencedStoreEntry(token: FencingToken(rawValue: row[0]), number: row[1])
                }
            }
        }
    }

#endif

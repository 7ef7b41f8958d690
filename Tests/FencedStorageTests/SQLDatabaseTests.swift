// SPDX-License-Identifier: Apache-2.0

#if SQLite && PostgreSQL

    import FencedStorage
    import Foundation
    import Redlock
    import RedlockTesting
    import TestSupport
    import Testing

    /// One text of SQL for every database.
    @Suite(.timeLimit(.minutes(3)))
    struct SQLDatabaseTests {
        enum Kind: CaseIterable, Sendable {
            case sqliteFile, sqliteMemory, postgreSQL

            func withDatabase(_ body: (any SQLDatabase) async throws -> Void) async throws {
                switch self {
                case .sqliteFile:
                    try await withFolder { folder in
                        try await body(SQLiteDatabase(path: folder.path + "/data.sqlite"))
                    }
                case .sqliteMemory: try await body(SQLiteDatabase.inMemory())
                case .postgreSQL:
                    try await withPostgreSQL(settings: []) { server in
                        let database = try await PostgreSQLDatabase(server.url)
                        try await body(database)
                        database.shutdown()
                    }
                }
            }
        }

        @Test(arguments: Kind.allCases)
        func promisesAreKept(_ kind: Kind) async throws {
            try await kind.withDatabase { database in
                try await SQLDatabaseConformance(database).check()
                // The same tables once more.
                try await SQLDatabaseConformance(database).check(writeCount: 50)
            }
        }

        @Test(arguments: MistakenDatabase.Mistake.allCases)
        func mistakesAreFound(_ mistake: MistakenDatabase.Mistake) async throws {
            let database = MistakenDatabase(database: try await SQLiteDatabase.inMemory(), mistake: mistake)
            await #expect(throws: SQLDatabaseViolation.self) { try await SQLDatabaseConformance(database).check() }
        }

        /// The example: a store of orders, written once.
        @Test(arguments: Kind.allCases)
        func aStoreIsWrittenOnce(_ kind: Kind) async throws {
            try await kind.withDatabase { database in
                let orders = try await OrderStore(database)
                try await orders.place("o-1", item: "it's a \"book\"")
                try await orders.pay("o-1", under: ReceivedGrant("orders/o-1", FencingToken(rawValue: 42)))
                await #expect(throws: StaleGrantError.self) {
                    try await orders.cancel("o-1", under: ReceivedGrant("orders/o-1", FencingToken(rawValue: 41)))
                }
                #expect(try await orders.state(of: "o-1") == "paid")
                #expect(try await orders.state(of: "o-2") == nil)
            }
        }

        /// A grant that is over writes nothing, whatever its token; one that is not does.
        @Test(arguments: Kind.allCases)
        func aGrantThatIsOverWritesNothing(_ kind: Kind) async throws {
            try await kind.withDatabase { database in
                let orders = try await OrderStore(database)
                try await orders.place("o-1", item: "book")
                for (seconds, expected) in [(-1, "open"), (60, "paid")] as [(Int, String)] {
                    let grant = GrantWithEnd(endOfValidity: .now + .seconds(seconds))
                    if seconds < 0 {
                        let error = await #expect(throws: StorageError.self) {
                            try await orders.pay("o-1", under: grant)
                        }
                        #expect(error?.code == .timedOut)
                    } else {
                        try await orders.pay("o-1", under: grant)
                    }
                    #expect(try await orders.state(of: "o-1") == expected)
                }
            }
        }

        private struct GrantWithEnd: FencedGrant {
            let fencedResources = ["orders/o-1"]
            let fencingToken = FencingToken(rawValue: 7)
            let endOfValidity: ContinuousClock.Instant?
        }
    }

    /// A store of a user: one row for each order, which carries its token.
    struct OrderStore {
        private let database: any SQLDatabase

        init(_ database: any SQLDatabase) async throws {
            self.database = database
            try await database.migrate(
                "orders",
                [
                    Migration { transaction in
                        let dialect = transaction.dialect
                        try transaction.run(
                            """
                            CREATE TABLE orders (
                                id \(sql: dialect.textType) NOT NULL PRIMARY KEY, item \(sql: dialect.textType) NOT NULL,
                                state \(sql: dialect.textType) NOT NULL, token \(sql: dialect.integerType) NOT NULL
                            )
                            """
                        )
                    }
                ]
            )
        }

        func place(_ id: String, item: String) async throws {
            try await database.write { transaction in
                try transaction.run(
                    "INSERT INTO orders (id, item, state, token) VALUES (\(id), \(item), \("open"), \(0))"
                )
            }
        }

        func pay(_ id: String, under grant: some FencedGrant) async throws {
            try await setState("paid", of: id, under: grant)
        }

        func cancel(_ id: String, under grant: some FencedGrant) async throws {
            try await setState("cancelled", of: id, under: grant)
        }

        func state(of id: String) async throws -> String? {
            try await database.read { try $0.row("SELECT state FROM orders WHERE id = \(id)")?.get("state") }
        }

        private func setState(_ state: String, of id: String, under grant: some FencedGrant) async throws {
            let row = TokenPlacement.row(of: "orders", where: "id", is: id, tokenColumn: "token")
            try await database.write(under: grant, tokens: row) { transaction in
                try transaction.run("UPDATE orders SET state = \(state) WHERE id = \(id)")
            }
        }
    }

    /// A database with a mistake.
    struct MistakenDatabase: SQLDatabase {
        enum Mistake: CaseIterable, Sendable {
            case keepsWhatFailed, writesWhereItReads, knowsNoEnd
        }

        let database: SQLiteDatabase
        let mistake: Mistake

        var dialect: SQLDialect { database.dialect }
        var tokenTable: FencedTokenTable { database.tokenTable }

        func transaction<Value: Sendable>(
            _ access: SQLAccess,
            by deadline: ContinuousClock.Instant?,
            _ body: @escaping @Sendable (any SQLTransaction) throws -> Value
        ) async throws -> Value {
            switch mistake {
            case .keepsWhatFailed:
                let outcome = try await database.transaction(access, by: deadline) { transaction in
                    Result { try body(transaction) }
                }
                return try outcome.get()
            case .writesWhereItReads: return try await database.transaction(.writing, by: deadline, body)
            case .knowsNoEnd: return try await database.transaction(access, by: nil, body)
            }
        }
    }

#endif

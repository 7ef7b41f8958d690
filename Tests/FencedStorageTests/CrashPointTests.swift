// SPDX-License-Identifier: Apache-2.0

#if SQLite

    import FencedStorage
    import RedlockTesting
    import Testing

    /// A payment that must happen once, written rightly and with the mistakes that are likely.
    struct CrashPointTests {
        enum Way: CaseIterable, Sendable {
            case right
            /// An answer that is lost is taken for a failure, and the payment is tried again.
            case lostAnswerIsAFailure
            /// Whether it was paid is looked up by a read that waits for nothing.
            case plainReadResolves
            /// The account and the order are changed in two transactions.
            case effectIsInParts
        }

        @Test
        func theRightWaySurvivesAllPointsAndPairs() async throws {
            let runCount = try await Self.exhaust(.right)
            // Two transactions, four faults each, and pairs of those.
            #expect(runCount > 1 + 2 * 4 + 16, "\(runCount)")
        }

        @Test(arguments: Way.allCases.filter { $0 != .right })
        func mistakesAreFound(_ way: Way) async throws {
            let violation = await #expect(throws: CrashPointViolation.self) { try await Self.exhaust(way) }
            #expect(violation?.points.isEmpty == false, "\(String(describing: violation))")
        }

        /// The faults that show each mistake: others would not do.
        @Test
        func eachMistakeNeedsItsFault() async throws {
            func faults(of way: Way) async -> CrashPointStore.Fault? {
                do {
                    try await Self.exhaust(way, isInPairs: false)
                    return nil
                } catch {
                    return (error as? CrashPointViolation)?.points.first?.fault
                }
            }
            #expect(await faults(of: .lostAnswerIsAFailure) == .afterCommit)
            #expect(await faults(of: .plainReadResolves) == .lateCommit)
            #expect(await faults(of: .effectIsInParts) == .beforeBody)
        }

        @discardableResult
        private static func exhaust(_ way: Way, isInPairs: Bool = true) async throws -> Int {
            try await CrashPointStore.exhaust(
                isInPairs: isInPairs,
                database: {
                    let database = try await SQLiteDatabase.inMemory()
                    try await Payment.makeTables(in: database)
                    return database
                },
                scenario: { database in try await Payment(database, way).pay() },
                check: { database in
                    let (balance, isPaid) = try await Payment.state(in: database)
                    guard balance == 90, isPaid else {
                        throw Wrong(
                            description: "the balance is \(balance), and the order is \(isPaid ? "" : "not ")paid"
                        )
                    }
                }
            )
        }

        private struct Wrong: Error, CustomStringConvertible {
            let description: String
        }
    }

    /// Takes 10 from an account for an order.
    private struct Payment {
        private let database: any SQLDatabase
        private let way: CrashPointTests.Way

        init(_ database: any SQLDatabase, _ way: CrashPointTests.Way) {
            self.database = database
            self.way = way
        }

        static func makeTables(in database: any SQLDatabase) async throws {
            try await database.write { transaction in
                try transaction.run("CREATE TABLE account (balance bigint NOT NULL)")
                try transaction.run("INSERT INTO account VALUES (\(100))")
                try transaction.run("CREATE TABLE orders (id text PRIMARY KEY, state text NOT NULL, attempt text)")
                try transaction.run("INSERT INTO orders (id, state) VALUES (\("o-1"), \("open"))")
            }
        }

        static func state(in database: any SQLDatabase) async throws -> (balance: Int, isPaid: Bool) {
            try await database.read { transaction in
                let balance = try transaction.row("SELECT balance FROM account")
                let order = try transaction.row("SELECT state FROM orders")
                return (try balance?.get("balance") ?? 0, try order?.get("state") == "paid")
            }
        }

        func pay() async throws {
            switch way {
            case .right: try await payOnce()
            case .lostAnswerIsAFailure: try await payWithoutLooking()
            case .plainReadResolves: try await payAfterAPlainRead()
            case .effectIsInParts: try await payInParts()
            }
        }

        /// The order decides in the transaction that takes the money, and again when the answer is lost.
        private func payOnce() async throws {
            let attempt = "\(UInt64.random(in: 0 ... .max))"
            do {
                try await database.write { transaction in
                    let changed = try transaction.run(
                        "UPDATE orders SET state = 'paid', attempt = \(attempt) WHERE id = 'o-1' AND state = 'open'"
                    )
                    if changed == 1 { try transaction.run("UPDATE account SET balance = balance - 10") }
                }
            } catch let error as StorageError where error.code == .outcomeUnknown {
                let isPaid = try await database.resolve { transaction in
                    let lock = transaction.dialect.forUpdate
                    return try transaction.row("SELECT state FROM orders WHERE id = 'o-1' \(sql: lock)")?.get("state")
                        == "paid"
                }
                if !isPaid { throw error }
            }
            // Told to others only when it is certain, by a transaction of its own.
            try await database.write { try $0.run("UPDATE orders SET attempt = NULL WHERE id = 'o-1'") }
        }

        private func takeAndMark(_ transaction: any SQLTransaction) throws {
            try transaction.run("UPDATE account SET balance = balance - 10")
            try transaction.run("UPDATE orders SET state = 'paid'")
        }

        private func payWithoutLooking() async throws {
            try await database.write { try takeAndMark($0) }
        }

        private func payAfterAPlainRead() async throws {
            let isPaid = try await database.read { try $0.row("SELECT state FROM orders")?.get("state") == "paid" }
            if !isPaid { try await database.write { try takeAndMark($0) } }
        }

        private func payInParts() async throws {
            let isPaid = try await database.read { try $0.row("SELECT state FROM orders")?.get("state") == "paid" }
            if isPaid { return }
            do {
                try await database.write { try $0.run("UPDATE account SET balance = balance - 10") }
            } catch let error as StorageError where error.code == .outcomeUnknown {
                let isTaken = try await database.resolve { transaction in
                    let lock = transaction.dialect.forUpdate
                    return try transaction.row("SELECT balance FROM account \(sql: lock)")?.get("balance", as: Int.self)
                        == 90
                }
                if !isTaken { throw error }
            }
            try await database.write { try $0.run("UPDATE orders SET state = 'paid'") }
        }
    }

#endif

// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import Dispatch
    import FencedStorage
    import Redlock
    import Synchronization
    import TestSupport
    import Testing

    /// Writers under one grant do not wait for one another in PostgreSQL, and a newer holder waits for all of the older one's.
    @Suite(.serialized, .timeLimit(.minutes(3)))
    struct SharedAdmissionTests {
        private static let older = ReceivedGrant("shared", FencingToken(rawValue: 41))
        private static let newer = ReceivedGrant("shared", FencingToken(rawValue: 42))

        /// A transaction that stays open until it is told to end.
        private final class Writer: Sendable {
            let grant: ReceivedGrant
            private let end = DispatchSemaphore(value: 0)
            private let admitted = Mutex(false)
            private let failed = Mutex(false)

            init(_ grant: ReceivedGrant) {
                self.grant = grant
            }

            var isAdmitted: Bool { admitted.withLock { $0 } }
            var hasFailed: Bool { failed.withLock { $0 } }

            func run(_ database: PostgreSQLDatabase) async -> Result<Void, any Error> {
                do {
                    try await database.write(under: grant) { _ in
                        self.admitted.withLock { $0 = true }
                        self.end.wait()
                    }
                    return .success(())
                } catch {
                    failed.withLock { $0 = true }
                    return .failure(error)
                }
            }

            func finish() { end.signal() }
        }

        /// How many transactions wait for a lock.
        private static func waitingCount(_ database: PostgreSQLDatabase) async throws -> Int {
            try await database.read { transaction in
                try transaction.row("SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted")?.get("waiting") ?? 0
            }
        }

        private static func withDatabase(_ body: (PostgreSQLDatabase) async throws -> Void) async throws {
            try await withPostgreSQL(settings: []) { server in
                var configuration = PostgreSQLDatabase.Configuration()
                configuration.maximumConnections = 8
                configuration.idleTransactionTimeout = .seconds(60)
                configuration.statementTimeout = .seconds(30)
                let database = try await PostgreSQLDatabase(server.url, configuration: configuration)
                try await body(database)
                database.shutdown()
            }
        }

        /// Two transactions under each of two grants: in every order of their beginnings, and of their ends, none waits for one
        /// of its own grant, none under the older grant is admitted behind one of the newer, and none is undone by a deadlock.
        @Test
        func everyInterleavingIsInOrder() async throws {
            try await Self.withDatabase { database in
                for beginnings in Self.permutations(of: [0, 1, 2, 3]) {
                    for ends in [
                        beginnings, beginnings.reversed(),
                        [beginnings[1], beginnings[3], beginnings[0], beginnings[2]],
                    ] {
                        try await Self.tryOut(beginnings, ends, database)
                    }
                }
            }
        }

        private static func tryOut(_ beginnings: [Int], _ ends: [Int], _ database: PostgreSQLDatabase) async throws {
            try await database.write { try $0.run("DELETE FROM fencing_tokens") }
            // The older grant has written before, so that its transactions need not write its token.
            try await database.write(under: older) { _ in }
            let writers = [Writer(older), Writer(older), Writer(newer), Writer(newer)]
            let outcomes = try await withThrowingTaskGroup(of: (Int, Result<Void, any Error>).self) { group in
                var begun: [Int] = []
                for number in beginnings {
                    group.addTask { (number, await writers[number].run(database)) }
                    begun.append(number)
                    let isOlder = number < 2
                    let openOlder = begun.dropLast().filter { $0 < 2 && writers[$0].isAdmitted }
                    let hasNewerBegun = begun.dropLast().contains { $0 >= 2 }
                    if isOlder, !hasNewerBegun {
                        // Another one of the same grant is open, and does not matter.
                        try await eventually("an older one is admitted at once") { writers[number].isAdmitted }
                    } else if !isOlder, openOlder.isEmpty, !hasNewerBegun {
                        try await eventually("the newer one is admitted") { writers[number].isAdmitted }
                    } else {
                        try await eventually("it is admitted, refused, or waits") {
                            let waiting = try await waitingCount(database)
                            return writers[number].isAdmitted || writers[number].hasFailed || waiting > 0
                        }
                        if !isOlder, !openOlder.isEmpty {
                            #expect(!writers[number].isAdmitted, "a newer one is admitted while an older one is open")
                        }
                    }
                }
                var outcomes: [Int: Result<Void, any Error>] = [:]
                for number in ends { writers[number].finish() }
                for try await (number, outcome) in group { outcomes[number] = outcome }
                return outcomes
            }
            for (number, outcome) in outcomes {
                guard case .failure(let error) = outcome else { continue }
                // One of the older grant may come behind the newer one, and nothing else may fail.
                #expect(number < 2 && error is StaleGrantError, "\(beginnings) \(ends): \(number) \(error)")
            }
            let newestCommitted = outcomes.keys.filter { if case .success = outcomes[$0] { $0 >= 2 } else { false } }
            #expect(newestCommitted.count == 2)
            #expect(try await database.highestToken(of: "shared") == newer.fencingToken)
        }

        private static func permutations(of numbers: [Int]) -> [[Int]] {
            guard numbers.count > 1 else { return [numbers] }
            return numbers.flatMap { first in
                permutations(of: numbers.filter { $0 != first }).map { [first] + $0 }
            }
        }

        /// The control: shares that are raised to more wait for each other, until the server undoes one of them.
        @Test
        func sharesThatAreRaisedDeadlock() async throws {
            try await Self.withDatabase { database in
                try await database.write(under: Self.older) { _ in }
                let bothShare = DispatchSemaphore(value: 0)
                let goOn = DispatchSemaphore(value: 0)
                let upgrade: @Sendable () async -> StorageError? = {
                    do {
                        try await database.write { transaction in
                            _ = try transaction.rows("SELECT token FROM fencing_tokens FOR SHARE")
                            bothShare.signal()
                            goOn.wait()
                            try transaction.run("UPDATE fencing_tokens SET token = token + 1")
                        }
                        return nil
                    } catch {
                        return error as? StorageError
                    }
                }
                async let first = upgrade()
                async let second = upgrade()
                await Self.onThread { for _ in 0..<2 { bothShare.wait() } }
                for _ in 0..<2 { goOn.signal() }
                let errors = await [first, second].compactMap { $0 }
                #expect(errors.map(\.code) == [.conflict] && errors.first?.sqlState == "40P01", "\(errors)")
            }
        }

        private static func onThread(_ body: @escaping @Sendable () -> Void) async {
            await withCheckedContinuation { continuation in
                DispatchQueue.global().async {
                    body()
                    continuation.resume()
                }
            }
        }
    }

#endif

// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import FencedStorage
    import Foundation
    import Redlock
    import RedlockTesting
    import TestSupport
    import Testing

    /// Data in a PostgreSQL database that nobody changes who came too late.
    @Suite(.serialized)
    struct PostgreSQLGuardTests {
        private static let table =
            "CREATE TABLE log (id bigserial PRIMARY KEY, token bigint NOT NULL, number bigint NOT NULL)"

        @Test
        func keepsWhatStoresPromise() async throws {
            try await withStore { store, _ in
                try await FencedStoreConformance(
                    store,
                    appending: { entry in { @Sendable in try await Self.append(entry, in: $0) } },
                    reading: { try await Self.entries(store) },
                    failing: { transaction in
                        try await Self.append(
                            FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1),
                            in: transaction
                        )
                        try await transaction.query("INSERT INTO nowhere VALUES (1)")
                    }
                )
                .check(writeCount: 10_000)
            }
        }

        @Test("A statement that failed undoes all, even where its error was caught")
        func caughtErrors() async throws {
            try await withStore { store, _ in
                let grant = ReceivedGrant("log", FencingToken(rawValue: 7))
                let error = await #expect(throws: StorageError.self) {
                    try await store.write(grant) { transaction in
                        try await Self.append(FencedStoreEntry(token: grant.fencingToken, number: 1), in: transaction)
                        _ = try? await transaction.query("SELECT 1 / 0")
                    }
                }
                #expect(error?.code == .refused)
                let left = try await Self.entries(store)
                #expect(left.isEmpty)
                #expect(try await store.highestToken(of: "log") == nil)
            }
        }

        @Test
        func errorsAreExplained() async throws {
            try await withStore { store, server in
                let grant = ReceivedGrant("log", FencingToken(rawValue: 7))
                let refused = await #expect(throws: StorageError.self) {
                    try await store.write(grant) { try await $0.query("SELECT * FROM nowhere") }
                }
                #expect(refused?.sqlState == "42P01")
                #expect(refused?.description == "relation \"nowhere\" does not exist (SQLSTATE 42P01)")
                let secret = await #expect(throws: StorageError.self) {
                    _ = try await PostgreSQLGuard("postgresql://user:hunter2 x@[broken/db")
                }
                #expect(secret?.code == .invalidConnectionString)
                #expect(secret?.description.contains("hunter2") == false)
                let absent = await #expect(throws: StorageError.self) {
                    _ = try await PostgreSQLGuard("host=127.0.0.1 port=1 user=redlock password=hunter2")
                }
                #expect(absent?.code == .unreachable)
                #expect(absent?.description.contains("127.0.0.1") == true)
                #expect(absent?.description.contains("hunter2") == false)
                _ = server
            }
        }

        @Test
        func rowsComeBack() async throws {
            try await withStore { store, _ in
                let result = try await store.write(ReceivedGrant("log", FencingToken(rawValue: 1))) { transaction in
                    try await transaction.query("SELECT $1::text AS word, NULL AS nothing, 'ä' || $2", ["a'b", "ü"])
                }
                #expect(result.columns == ["word", "nothing", "?column?"])
                #expect(result.rows == [["a'b", nil, "äü"]])
                #expect(result.affectedRowCount == 1)
            }
        }

        @Test("A holder that is stopped inside a transaction holds up the next one for a bounded time")
        func idleTransactionsEnd() async throws {
            try await withStore { store, server in
                var configuration = PostgreSQLGuard.Configuration()
                configuration.idleTransactionTimeout = .milliseconds(300)
                let stoppedStore = try await PostgreSQLGuard(server.url, configuration: configuration)
                let isInside = AsyncStream.makeStream(of: Void.self)
                let stopped = Task {
                    try await stoppedStore.write(ReceivedGrant("log", FencingToken(rawValue: 1))) { transaction in
                        try await Self.append(
                            FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1),
                            in: transaction
                        )
                        isInside.continuation.yield()
                        try await Task.sleep(for: .seconds(3))
                        try await Self.append(
                            FencedStoreEntry(token: FencingToken(rawValue: 1), number: 2),
                            in: transaction
                        )
                    }
                }
                for await _ in isInside.stream { break }
                let start = ContinuousClock.now
                let next = FencedStoreEntry(token: FencingToken(rawValue: 2), number: 3)
                try await store.write(ReceivedGrant("log", next.token)) { try await Self.append(next, in: $0) }
                #expect(ContinuousClock.now - start < .seconds(2))
                await #expect(throws: StorageError.self) { try await stopped.value }
                #expect(try await Self.entries(store) == [next])
            }
        }

        @Test("What a body sets for its session changes neither the limits nor the tokens of the next write")
        func sessionSettings() async throws {
            var configuration = PostgreSQLGuard.Configuration()
            configuration.maximumConnections = 1
            try await withStore(configuration) { store, _ in
                try await store.write(ReceivedGrant("log", FencingToken(rawValue: 9))) { transaction in
                    try await transaction.query(
                        "CREATE TEMP TABLE fencing_tokens (resource text PRIMARY KEY, token bigint)"
                    )
                    try await transaction.query("SET statement_timeout = 1")
                }
                await #expect(throws: StaleGrantError.self) {
                    try await store.write(ReceivedGrant("log", FencingToken(rawValue: 8))) {
                        try await $0.query("SELECT 1")
                    }
                }
                try await store.write(ReceivedGrant("log", FencingToken(rawValue: 9))) { transaction in
                    try await transaction.query("SELECT pg_sleep(0.05)")
                }
            }
        }

        @Test(
            "A body cannot end the transaction unnoticed",
            arguments: ["COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "PREPARE TRANSACTION 'a'"]
        )
        func endedTransactions(_ statement: String) async throws {
            try await withStore { store, _ in
                let entry = FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1)
                let error = await #expect(throws: StorageError.self) {
                    try await store.write(ReceivedGrant("log", entry.token)) { transaction in
                        try await Self.append(entry, in: transaction)
                        _ = try? await transaction.query(statement)
                        _ = try? await Self.append(entry, in: transaction)
                    }
                }
                // Preparing is refused by servers that are not set up for it, which undoes the transaction.
                #expect(error?.code == .outcomeUnknown || statement.hasPrefix("PREPARE") && error?.code == .refused)
                let count = try await Self.entries(store).count
                #expect(count == (statement.hasPrefix("COMMIT") ? 1 : 0))
            }
        }

        @Test
        func savepointsWork() async throws {
            try await withStore { store, _ in
                let entry = FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1)
                try await store.write(ReceivedGrant("log", entry.token)) { transaction in
                    try await Self.append(entry, in: transaction)
                    try await transaction.query("SAVEPOINT before")
                    _ = try? await transaction.query("SELECT 1 / 0")
                    try await transaction.query("ROLLBACK TO SAVEPOINT before")
                }
                #expect(try await Self.entries(store) == [entry])
            }
        }

        @Test
        func transactionsEndWithTheirWrite() async throws {
            try await withStore { store, _ in
                let kept = try await store.write(ReceivedGrant("log", FencingToken(rawValue: 1))) { $0 }
                let error = await #expect(throws: StorageError.self) { try await kept.query("SELECT 1") }
                #expect(error?.code == .refused)
            }
        }

        @Test
        func whatTakesTooLongIsEnded() async throws {
            try await withPostgreSQL { server in
                var configuration = PostgreSQLGuard.Configuration()
                configuration.statementTimeout = .milliseconds(300)
                let store = try await PostgreSQLGuard(server.url, configuration: configuration)
                let error = await #expect(throws: StorageError.self) {
                    try await store.write(ReceivedGrant("a", FencingToken(rawValue: 1))) {
                        try await $0.query("SELECT pg_sleep(9)")
                    }
                }
                #expect(error?.code == .timedOut)
                #expect(error?.sqlState == "57014")
            }
        }

        @Test("A server that stops answering is waited for no longer than the limits say, whatever it was sent")
        func stoppedServer() async throws {
            try await withPostgreSQL { server in
                try await withFaultProxy(target: .init(port: server.port)) { proxy in
                    var configuration = PostgreSQLGuard.Configuration()
                    configuration.statementTimeout = .milliseconds(300)
                    let url = server.url.replacing("port=\(server.port)", with: "port=\(proxy.port)")
                    let store = try await PostgreSQLGuard(url, configuration: configuration)
                    let start = ContinuousClock.now
                    let error = await #expect(throws: StorageError.self) {
                        try await store.write(ReceivedGrant("a", FencingToken(rawValue: 1))) { transaction in
                            await proxy.set(.stall)
                            try await transaction.query("SELECT $1", [String(repeating: "x", count: 50_000_000)])
                        }
                    }
                    #expect(error?.code == .timedOut)
                    #expect(ContinuousClock.now - start < .seconds(20))
                }
            }
        }

        @Test("A commit that happened, and whose answer was lost, is not told as a failure")
        func commitWithoutAnswer() async throws {
            try await withStore { direct, server in
                try await withFaultProxy(target: .init(port: server.port)) { proxy in
                    var configuration = PostgreSQLGuard.Configuration()
                    configuration.statementTimeout = .milliseconds(300)
                    let url = server.url.replacing("port=\(server.port)", with: "port=\(proxy.port)")
                    let store = try await PostgreSQLGuard(url, configuration: configuration)
                    let entry = FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1)
                    let error = await #expect(throws: StorageError.self) {
                        try await store.write(ReceivedGrant("log", entry.token)) { transaction in
                            try await Self.append(entry, in: transaction)
                            await proxy.set(.stall, direction: .toClient)
                        }
                    }
                    #expect(error?.code == .outcomeUnknown)
                    #expect(try await Self.entries(direct) == [entry])
                    #expect(try await direct.highestToken(of: "log") == entry.token)
                }
            }
        }

        @Test("Writes inside each other that use up the connections end with an error")
        func nestedWrites() async throws {
            var configuration = PostgreSQLGuard.Configuration()
            configuration.maximumConnections = 1
            configuration.waitTimeout = .milliseconds(200)
            try await withStore(configuration) { store, _ in
                let error = await #expect(throws: StorageError.self) {
                    try await store.write(ReceivedGrant("a", FencingToken(rawValue: 1))) { _ in
                        _ = try await store.highestToken(of: "a")
                    }
                }
                #expect(error?.code == .timedOut)
            }
        }

        @Test(arguments: [
            "postgresql://u:pa/ss@host/db", "postgresql://u:p@hunter2@host/db", "host=a\0sslmode=require", "nonsense",
        ])
        func connectionStringsThatAreNoneTellNothing(_ text: String) async throws {
            let error = await #expect(throws: StorageError.self) { _ = try await PostgreSQLGuard(text) }
            #expect(error?.code == .invalidConnectionString)
            #expect(error?.description.contains("hunter2") == false && error?.description.contains("ss@") == false)
        }

        @Test
        func cancelledWriteLeavesNothing() async throws {
            try await withStore { store, _ in
                let isInside = AsyncStream.makeStream(of: Void.self)
                let start = ContinuousClock.now
                let writing = Task {
                    try await store.write(ReceivedGrant("log", FencingToken(rawValue: 1))) { transaction in
                        try await Self.append(
                            FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1),
                            in: transaction
                        )
                        isInside.continuation.yield()
                        try await transaction.query("SELECT pg_sleep(8)")
                    }
                }
                for await _ in isInside.stream { break }
                try await Task.sleep(for: .milliseconds(50))
                writing.cancel()
                await #expect(throws: CancellationError.self) { try await writing.value }
                #expect(ContinuousClock.now - start < .seconds(5))
                #expect(try await Self.entries(store).isEmpty)
            }
        }

        @Test("Those who find no connection wait in order, and leave when their task is cancelled")
        func fewConnections() async throws {
            var configuration = PostgreSQLGuard.Configuration()
            configuration.maximumConnections = 1
            try await withStore(configuration) { store, _ in
                let isInside = AsyncStream.makeStream(of: Void.self)
                async let slow = store.write(ReceivedGrant("a", FencingToken(rawValue: 1))) { transaction in
                    isInside.continuation.yield()
                    return try await transaction.query("SELECT pg_sleep(0.5)")
                }
                for await _ in isInside.stream { break }
                let given = Task {
                    try await store.write(ReceivedGrant("b", FencingToken(rawValue: 1))) {
                        try await $0.query("SELECT 1")
                    }
                }
                try await Task.sleep(for: .milliseconds(50))
                given.cancel()
                await #expect(throws: CancellationError.self) { try await given.value }
                try await store.write(ReceivedGrant("c", FencingToken(rawValue: 1))) { try await $0.query("SELECT 1") }
                _ = try await slow
            }
        }

        @Test
        func goesOnAfterTheServerEndedTheConnections() async throws {
            try await withStore { store, server in
                let grant = ReceivedGrant("log", FencingToken(rawValue: 1))
                try await store.write(grant) { try await $0.query("SELECT 1") }
                let other = try await PostgreSQLGuard(server.url)
                try await other.write(ReceivedGrant("other", FencingToken(rawValue: 1))) { transaction in
                    try await transaction.query(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'redlock'"
                    )
                }
                try await eventually { (try? await store.write(grant) { try await $0.query("SELECT 1") }) != nil }
            }
        }

        @Test("Where the answer to a commit is lost, the error says that it may have happened")
        func lostAnswer() async throws {
            try await withStore { store, server in
                let entry = FencedStoreEntry(token: FencingToken(rawValue: 1), number: 1)
                let error = await #expect(throws: StorageError.self) {
                    try await store.write(ReceivedGrant("log", entry.token)) { transaction in
                        try await Self.append(entry, in: transaction)
                        // The commit checks this at its end, and ends the session instead of answering.
                        try await transaction.query(
                            """
                            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END'
                            """
                        )
                        try await transaction.query(
                            """
                            CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON log
                            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()
                            """
                        )
                        try await Self.append(FencedStoreEntry(token: entry.token, number: 2), in: transaction)
                    }
                }
                #expect(error?.code == .outcomeUnknown)
                _ = server
            }
        }

        @Test
        func speaksTLS() async throws {
            try await withCertificates { certificates in
                try await withPostgreSQL(certificates: certificates) { server in
                    let place = "host=localhost hostaddr=127.0.0.1 port=\(server.port) user=redlock dbname=postgres"
                    let trusted = place + " sslmode=verify-full sslrootcert=\(certificates.path("ca.crt"))"
                    let store = try await PostgreSQLGuard(trusted)
                    let result = try await store.write(ReceivedGrant("tls", FencingToken(rawValue: 1))) { transaction in
                        try await transaction.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
                    }
                    #expect(result.rows == [["t"]])
                    let stranger = place + " sslmode=verify-full sslrootcert=\(certificates.path("other-ca.crt"))"
                    let error = await #expect(throws: StorageError.self) {
                        _ = try await PostgreSQLGuard(stranger)
                    }
                    #expect(error?.description.contains("certificate verify failed") == true)
                }
            }
        }

        // MARK: Support

        private func withStore(
            _ configuration: PostgreSQLGuard.Configuration = PostgreSQLGuard.Configuration(),
            _ body: (PostgreSQLGuard, PostgreSQLServer) async throws -> Void
        ) async throws {
            try await withPostgreSQL { server in
                let store = try await PostgreSQLGuard(server.url, configuration: configuration)
                try await store.write(ReceivedGrant("preparation", FencingToken(rawValue: 1))) { transaction in
                    try await transaction.query(Self.table)
                }
                try await body(store, server)
                store.shutdown()
            }
        }

        private static func append(_ entry: FencedStoreEntry, in transaction: PostgreSQLTransaction) async throws {
            try await transaction.query(
                "INSERT INTO log (token, number) VALUES ($1, $2)",
                ["\(entry.token)", "\(entry.number)"]
            )
        }

        private static func entries(_ store: PostgreSQLGuard) async throws -> [FencedStoreEntry] {
            let result = try await store.write(ReceivedGrant("reading", FencingToken(rawValue: 1))) { transaction in
                try await transaction.query("SELECT token, number FROM log ORDER BY id")
            }
            return result.rows.compactMap { FencedStoreEntry($0.map { $0 ?? "" }.joined(separator: " ")) }
        }
    }

#endif

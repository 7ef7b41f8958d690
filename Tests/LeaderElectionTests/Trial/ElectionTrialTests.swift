// SPDX-License-Identifier: Apache-2.0

#if SQLite && PostgreSQL && os(Linux)

    import FencedStorage
    import Foundation
    import GRDB
    import LocalRedis
    import Redlock
    import TestSupport
    import Testing

    /// Whoever leads, what it writes late is refused; and there is always somebody who leads.
    @Suite(.serialized)
    struct ElectionTrialTests {
        @Test(
            "Candidates are killed and stopped, nodes lost, emptied and their clocks set: guarded rows never go back in term"
        )
        func guardedRowsNeverGoBack() async throws {
            let scale = TrialScale.wanted
            let clocks = try (0..<5).map { _ in try ClockShim() }
            var options = LocalRedisOptions()
            options.additionalEnvironment = Dictionary(
                uniqueKeysWithValues: clocks.enumerated().map { ($0.offset + 1, $0.element.environment) }
            )
            let folder = FileManager.default.temporaryDirectory.appending(path: "election-trial-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let database = try DatabaseQueue(path: folder.appending(path: "rows.sqlite").path)
            for table in ["guarded", "unguarded"] {
                try await database.write {
                    try $0.execute(
                        sql: "CREATE TABLE \(table) (id INTEGER PRIMARY KEY AUTOINCREMENT, token INTEGER, n INTEGER)"
                    )
                }
            }
            try await database.write {
                try $0.execute(sql: "CREATE TABLE probe (n INTEGER); INSERT INTO probe VALUES (0)")
            }
            try await withPostgreSQL { server in
                let store = try await PostgreSQLGuard(server.url)
                try await store.database.write {
                    try $0.run("CREATE TABLE guarded (id bigserial, token bigint, n bigint)")
                }
                try await withLocalRedis(nodes: 5, options: options) { redis in
                    let trial = try await ElectionTrial(
                        scale,
                        redis,
                        clocks: clocks,
                        sqlite: folder.appending(path: "rows.sqlite").path,
                        postgreSQL: server.url
                    )
                    do { try await trial.run() } catch { Issue.record(error) }
                    await trial.end()
                    judge(trial)
                }
                let guarded = try await Self.tokens(in: "guarded", of: database)
                let unguarded = try await Self.tokens(in: "unguarded", of: database)
                let onServer = try await store.database.read {
                    try $0.rows("SELECT token FROM guarded ORDER BY id").map { try $0.get("token", as: Int64.self) }
                }
                print(
                    "rows that go back in term: SQLite \(Self.steps(backIn: guarded)) of \(guarded.count),",
                    "PostgreSQL \(Self.steps(backIn: onServer)) of \(onServer.count),",
                    "without a guard \(Self.steps(backIn: unguarded)) of \(unguarded.count)"
                )
                #expect(Self.steps(backIn: guarded) == 0)
                #expect(Self.steps(backIn: onServer) == 0)
                // The control: without a guard, rows of former leaders come late.
                #expect(Self.steps(backIn: unguarded) > 0)
                store.shutdown()
            }
        }

        private func judge(_ trial: ElectionTrial) {
            let (scale, log) = (trial.scale, trial.log)
            let beginnings = log.beginnings.sorted { $0.nanoseconds < $1.nanoseconds }
            print(
                "\(beginnings.count) terms of \(Set(beginnings.map(\.identity)).count) candidates, \(log.refusals) late writes refused"
            )
            print("failover after a kill:", Self.summary(trial.failovers))
            print("failover while quarantines may withhold the quorum:", Self.summary(trial.failoversInQuarantine))
            print("handover:", Self.summary(trial.handovers))
            print("left of the term when the leader stopped without a quorum:", Self.summary(trial.endsInOutages))
            #expect(zip(beginnings, beginnings.dropFirst()).allSatisfy { $0.term < $1.term }, "terms increase")
            // Among few stops there may be none in the moment before a write.
            if scale.stops >= 40 { #expect(log.refusals > 0) }
            // A server ends the transaction of a process that stands still in the middle of one.
            #expect(log.failures.count <= scale.stops, "\(log.failures.prefix(5))")
            #expect(trial.failovers.count == scale.kills)
            // What a shared machine adds is allowed for where there are too few to leave the slowest out.
            let allowed = scale.leaseDuration + scale.retryPeriod * 2
            #expect(Self.percentile(99, of: trial.failovers) < (scale.kills < 40 ? allowed * 2 : allowed))
            #expect(Self.percentile(99, of: trial.handovers) < .milliseconds(scale.kills < 40 ? 1_000 : 100))
            #expect(trial.endsInOutages.count == scale.outages)
            #expect(trial.endsInOutages.allSatisfy { $0 > .zero })
            #expect(Set(beginnings.map(\.identity)).count == scale.processes * scale.candidatesPerProcess)
        }

        private static func tokens(in table: String, of database: DatabaseQueue) async throws -> [Int64] {
            try await database.read { try Int64.fetchAll($0, sql: "SELECT token FROM \(table) ORDER BY id") }
        }

        /// How many rows have a token below that of a row before them.
        private static func steps(backIn tokens: [Int64]) -> Int {
            var highest = Int64.min
            return tokens.count { token in
                defer { highest = max(highest, token) }
                return token < highest
            }
        }

        private static func percentile(_ percent: Int, of durations: [Duration]) -> Duration {
            let sorted = durations.sorted()
            return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, sorted.count * percent / 100)]
        }

        private static func summary(_ durations: [Duration]) -> String {
            let milliseconds = [50, 99].map { Int(percentile($0, of: durations) / .milliseconds(1)) }
            let limits = [durations.min() ?? .zero, durations.max() ?? .zero].map { Int($0 / .milliseconds(1)) }
            return
                "\(durations.count) times, p50 \(milliseconds[0]) ms, p99 \(milliseconds[1]) ms, \(limits[0]) to \(limits[1]) ms"
        }
    }

#endif

// SPDX-License-Identifier: Apache-2.0

#if SQLite && PostgreSQL

    import FencedStorage
    import Foundation
    import GRDB
    import LeaderElection
    import Redlock

    /// Several candidates of one election in one process, for whoever wants to kill and stop it.
    ///
    ///     ElectionCandidate PROCESS COUNT LEASE-SECONDS NODE,... SQLITE-PATH POSTGRESQL-CONNECTION
    ///
    /// Whoever leads writes rows of its term, one after the other: through the guards of two databases, and into a table that
    /// nobody guards. It does not notice that its task was cancelled before a row is written, as real work may not.
    ///
    /// Or one that does not stop when its term ends.
    ///
    ///     ElectionCandidate stuck NODE,...
    ///
    /// Lines on standard output: `lead IDENTITY TERM NANOSECONDS`, `end IDENTITY TERM NANOSECONDS NANOSECONDS-LEFT`,
    /// `refused IDENTITY TERM`, and `failed …`.
    @main
    struct ElectionCandidate {
        static func main() async throws {
            let arguments = CommandLine.arguments
            if arguments.count == 3, arguments[1] == "stuck" { return try await StuckLeader.run(nodes: arguments[2]) }
            guard arguments.count == 7, let count = Int(arguments[2]), let seconds = Double(arguments[3]) else {
                exit(64)
            }
            let store = try await TermRows(sqlite: arguments[5], postgreSQL: arguments[6])
            let nodes = arguments[4].split(separator: ",").map(String.init)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<count {
                    let elector = try elector("\(arguments[1]).\(number)", nodes, leaseDuration: .seconds(seconds))
                    group.addTask {
                        try await elector.run { term in await lead(under: term, writing: store) }
                    }
                }
                try await group.waitForAll()
            }
        }

        private static func elector(
            _ identity: String,
            _ nodes: [String],
            leaseDuration: Duration
        ) throws -> LeaderElector {
            var locks = RedlockConfiguration()
            locks.maximumTTL = leaseDuration
            var times = ElectionConfiguration()
            times.leaseDuration = leaseDuration
            times.renewDeadline = leaseDuration * 2 / 3
            times.retryPeriod = leaseDuration * 2 / 15
            let client = try RedlockClient(nodes: nodes, configuration: locks)
            return try LeaderElector(client, name: "trial", identity: identity, configuration: times)
        }

        private static func lead(under term: Term, writing rows: TermRows) async {
            tell("lead \(term.leader.identity) \(term.number) \(monotonicNanoseconds)")
            var number = 0
            repeat {
                number += 1
                // Before the row, so that one that stood still meanwhile writes it, whatever has become of its term.
                try? await Task.sleep(for: .milliseconds(10))
                await rows.write(number, under: term)
            } while !Task.isCancelled
            let left = (term.validUntil - .now) / .nanoseconds(1)
            tell("end \(term.leader.identity) \(term.number) \(monotonicNanoseconds) \(Int64(left))")
        }

        private static var monotonicNanoseconds: UInt64 { DispatchTime.now().uptimeNanoseconds }

        static func tell(_ line: String) {
            try? FileHandle.standardOutput.write(contentsOf: Data("\(line)\n".utf8))
        }
    }

    /// The same rows in two guarded tables, and in one that is not.
    struct TermRows: Sendable {
        private let database: DatabaseQueue
        private let guardedDatabase: SQLiteGuard
        private let guardedServer: PostgreSQLGuard

        init(sqlite path: String, postgreSQL connection: String) async throws {
            var configuration = GRDB.Configuration()
            configuration.busyMode = .timeout(30)
            database = try DatabaseQueue(path: path, configuration: configuration)
            guardedDatabase = try await SQLiteGuard(database)
            var timeouts = PostgreSQLGuard.Configuration()
            timeouts.maximumConnections = 1
            guardedServer = try await PostgreSQLGuard(connection, configuration: timeouts)
        }

        func write(_ number: Int, under term: Term) async {
            // Of a task of its own, so that nothing stops it when the term ends.
            let work = Task.detached {
                await refusing(term) {
                    try await guardedDatabase.write(term) { try Self.insert(number, of: term, into: "guarded", $0) }
                }
                await refusing(term) {
                    try await guardedServer.write(term) { transaction in
                        _ = try await transaction.query(
                            "INSERT INTO guarded (token, n) VALUES ($1, $2)",
                            ["\(term.number)", "\(number)"]
                        )
                    }
                }
                // Last, so that a leader which stands still at whatever point, and goes on, comes to this once more.
                try await database.write { try Self.insert(number, of: term, into: "unguarded", $0) }
            }
            do { try await work.value } catch { ElectionCandidate.tell("failed unguarded: \(error)") }
        }

        private static func insert(_ number: Int, of term: Term, into table: String, _ database: Database) throws {
            try database.execute(
                sql: "INSERT INTO \(table) (token, n) VALUES (?, ?)",
                arguments: [term.number.rawValue, number]
            )
        }

        private func refusing(_ term: Term, _ write: () async throws -> Void) async {
            do {
                try await write()
            } catch is StaleGrantError {
                ElectionCandidate.tell("refused \(term.leader.identity) \(term.number)")
            } catch {
                ElectionCandidate.tell("failed \(error)")
            }
        }
    }

#else

    /// There are no databases to write to.
    @main
    struct ElectionCandidate {
        static func main() async throws {
            guard CommandLine.arguments.count == 3 else { return }
            try await StuckLeader.run(nodes: CommandLine.arguments[2])
        }

        static func tell(_ line: String) {
            print(line)
        }
    }

#endif

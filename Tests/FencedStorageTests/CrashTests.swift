// SPDX-License-Identifier: Apache-2.0

#if SQLite && PostgreSQL

    import FencedStorage
    import Foundation
    import GRDB
    import Redlock
    import TestSupport
    import Testing

    /// Processes that are killed in the middle of a transaction leave all of it or nothing, and nothing that they were told is
    /// lost.
    @Suite(.serialized)
    struct CrashTests {
        private static let killCount = 100

        @Test
        func sqliteWritesAreWholeAfterKills() async throws {
            let wholeCount = try await Self.wholeCount(ofKilled: "sqlite", killCount: Self.killCount)
            #expect(wholeCount == Self.killCount)
        }

        @Test("The same with a transaction for each statement leaves parts (control)")
        func partsAreFound() async throws {
            let wholeCount = try await Self.wholeCount(ofKilled: "sqlite-in-steps", killCount: 20)
            #expect(wholeCount < 20)
        }

        private static func wholeCount(ofKilled kind: String, killCount: Int) async throws -> Int {
            try await withFolder { folder in
                let path = folder.path + "/log.sqlite"
                let database = try DatabaseQueue(path: path)
                let store = try await SQLiteGuard(database)
                try await database.write { try $0.execute(sql: "CREATE TABLE log (number INTEGER)") }
                var state = LogState()
                for _ in 0..<killCount {
                    let told = try await tellBeforeKill([kind, path])
                    let numbers = try await database.read {
                        try Int64.fetchAll($0, sql: "SELECT number FROM log ORDER BY rowid")
                    }
                    state.judge(numbers, token: try await store.highestToken(of: "log"), told: told)
                }
                return state.wholeCount
            }
        }

        @Test
        func postgreSQLWritesAreWholeAfterKills() async throws {
            try await withPostgreSQL(settings: []) { server in
                let store = try await PostgreSQLGuard(server.url)
                try await store.database.write { try $0.run("CREATE TABLE log (id bigserial, number bigint)") }
                var state = LogState()
                for _ in 0..<Self.killCount {
                    let told = try await Self.tellBeforeKill(["postgresql", server.url])
                    // What the killed process had begun holds the row of the resource until the server has ended it.
                    let numbers = try await store.database.resolve { transaction in
                        _ = try transaction.rows(
                            "SELECT token FROM fencing_tokens WHERE resource = \("log") FOR UPDATE"
                        )
                        return try transaction.rows("SELECT number FROM log ORDER BY id")
                            .map { try $0.get("number", as: Int64.self) }
                    }
                    state.judge(numbers, token: try await store.highestToken(of: "log"), told: told)
                }
                #expect(state.wholeCount == Self.killCount)
            }
        }

        @Test("A file is the old one or the new one, and its token is on the disk before it")
        func filesAreWholeAfterKills() async throws {
            try await withFolder { folder in
                let path = folder.path + "/data"
                let store = FileGuard(path: path)
                var numbers: Set<Int64> = []
                for _ in 0..<Self.killCount {
                    let told = try await Self.tellBeforeKill(["file", path])
                    let token = try await store.highestToken(of: "log")?.rawValue ?? 0
                    let contents = try String(contentsOfFile: path, encoding: .utf8)
                    let number = try #require(contents.split(separator: "\n").first.flatMap { Int64($0) })
                    #expect(contents.utf8.count == "\(number)\n".utf8.count + 100_000)
                    #expect(told <= number && number <= told + 1)
                    #expect(token == number || token == number + 1)
                    numbers.insert(number)
                }
                #expect(numbers.count > Self.killCount / 2)
            }
        }

        /// Runs a writer for a moment, kills it, and returns the last number that it told, here or before.
        private static func tellBeforeKill(_ arguments: [String]) async throws -> Int64 {
            let process = Process()
            process.executableURL = URL(filePath: BuiltProgram.path("FencedWriter"))
            process.arguments = arguments
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            // It has written before, so that it is in the middle of something.
            let start = output.fileHandleForReading.availableData
            try await Task.sleep(for: .milliseconds(.random(in: 0...60)))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let text = String(decoding: start + output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            return text.split(separator: "\n").last.flatMap { Int64($0) } ?? 0
        }
    }

    /// Judges what killed writers left.
    private struct LogState {
        /// How often all was there or nothing.
        private(set) var wholeCount = 0
        private var formerToken: Int64 = 0

        /// Every number is there twice, in order, up to the one whose token the store keeps, and nothing is missing that the
        /// writer was told.
        mutating func judge(_ numbers: [Int64], token: FencingToken?, told: Int64) {
            let token = token?.rawValue ?? 0
            let isInOrder = numbers == (0..<numbers.count).map { Int64($0 / 2 + 1) }
            let told = max(told, formerToken)
            // One commit may have come about that nobody was told any more.
            if isInOrder, numbers.count == 2 * Int(token), told <= token, token <= told + 1 { wholeCount += 1 }
            formerToken = token
        }
    }

#endif

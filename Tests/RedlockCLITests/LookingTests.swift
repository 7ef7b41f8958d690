// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

@testable import RedlockCLI

/// Commands that only look change nothing on the servers, not even on those that were never enrolled.
@Suite(.timeLimit(.minutes(2)))
struct LookingTests {
    /// What was changed on a server: how often, as the server counts it, and which keys there are.
    private static func changes(of server: LocalRedisServer) async throws -> String {
        let information = try #require(try await server.send("INFO", "persistence"))
        let count = information.split(whereSeparator: \.isNewline).first {
            $0.hasPrefix("rdb_changes_since_last_save:")
        }
        return "\(try #require(count)), \(try await server.send("DBSIZE") ?? "") keys"
    }

    private static func changes(of redis: LocalRedisSet) async throws -> [String] {
        var changes: [String] = []
        for server in redis.servers { changes.append(try await Self.changes(of: server)) }
        return changes
    }

    @Test(arguments: [
        ["doctor"], ["doctor", "-v", "--json"], ["status", "a"], ["status", "--slot", "1", "a"], ["list"],
        ["list", "--json", "a*"], ["elect", "--history", "a"],
    ])
    func lookingChangesNothing(arguments: [String]) async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let before = try await Self.changes(of: redis)
            _ = try await Executable.run(arguments, redis: redis.urls)
            #expect(try await Self.changes(of: redis) == before)
            // The control: a command that wants a lock is noticed.
            _ = try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls)
            try await eventually { try await Self.changes(of: redis) != before }
        }
    }

    @Test(arguments: [["watch"], ["watch", "a"], ["elect", "--observe", "a"]])
    func watchingChangesNothing(arguments: [String]) async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let before = try await Self.changes(of: redis)
            let running = try Executable.Running(arguments, environment: Executable.environment(redis.urls))
            // Long enough for connections, and for the looks that follow on them.
            try await Task.sleep(for: .seconds(3))
            #expect(isRunning(running.processID), "\(running.errors)")
            #expect(try await Self.changes(of: redis) == before)
            running.send(SIGTERM)
            _ = try await running.result()
            #expect(try await Self.changes(of: redis) == before)
        }
    }

    /// A restart is noticed, and yet the record is not written anew, neither for a loss nor for a server that kept all.
    @Test(arguments: [LocalRedisPersistence.none, .appendOnlyAlways])
    func lookingAfterARestartChangesNothing(persistence: LocalRedisPersistence) async throws {
        try await withEnrolledRedis(nodes: 3, options: LocalRedisOptions(persistence: persistence)) { redis in
            for server in redis.servers {
                await server.kill()
                try await server.start()
            }
            let before = try await Self.changes(of: redis)
            _ = try await Executable.run(["doctor"], redis: redis.urls)
            #expect(try await Self.changes(of: redis) == before)
            _ = try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls)
            try await eventually { try await Self.changes(of: redis) != before }
        }
    }
}

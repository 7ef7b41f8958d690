// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

/// `redlock acquire`, `extend`, `release` and `status`.
@Suite(.timeLimit(.minutes(2)))
struct ScriptCommandTests {
    private static func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test
    func aLockLivesFromAcquireToRelease() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let urls = redis.urls
            let acquire = try await Executable.run(["acquire", "--ttl", "20s", "--label", "me", "a"], redis: urls)
            #expect(acquire.exitCode == 0 && acquire.errors.isEmpty)
            let token = acquire.output.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(acquire.output == token + "\n" && token.count > 16)
            #expect(try await Executable.run(["run", "-n", "a", "--", "true"], redis: urls).exitCode == 1)

            let extend = try await Executable.run(
                ["extend", "--json", "--ttl", "30s", "a"],
                redis: urls,
                environment: ["REDLOCK_TOKEN": token]
            )
            #expect(extend.exitCode == 0)
            let validity = try #require(try Self.object(extend.output)["validityMilliseconds"] as? Int)
            #expect((20_000...30_000).contains(validity))

            let foreign = try await Executable.run(["release", "a"], redis: urls, input: "0123:somebody else\n")
            #expect(foreign.exitCode == 1 && foreign.errorLines.count == 1)
            #expect(try await Executable.run(["release", "a"], redis: urls, input: token + "\n").exitCode == 0)
            let again = try await Executable.run(["release", "--json", "a"], redis: urls, input: token)
            #expect(again.exitCode == 1)
            #expect(try Self.object(again.output)["released"] as? Bool == false)
            let late = try await Executable.run(["extend", "a"], redis: urls, environment: ["REDLOCK_TOKEN": token])
            #expect(late.exitCode == 1 && late.errorLines.count == 1, "\(late.errors)")
            for result in [acquire, extend, foreign, again, late] { #expect(!result.errors.contains(token)) }
        }
    }

    @Test
    func acquirePrintsJSONAndTheLockEndsByItself() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let result = try await Executable.run(
                ["acquire", "--json", "--ttl", "1s", "--label", "me", "a"],
                redis: redis.urls
            )
            let object = try Self.object(result.output)
            #expect(Set(object.keys) == ["name", "token", "validityMilliseconds", "owner"])
            #expect(object["name"] as? String == "a" && object["owner"] as? String == "me")
            #expect((1...1_000).contains(try #require(object["validityMilliseconds"] as? Int)))
            #expect(try await Executable.run(["run", "-w", "5", "a", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test
    func aTokenThatCannotBeWrittenIsNotLeftLocked() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let result = try await Executable.run(
                ["run", "outer", "-c", "\(Executable.path) acquire a > /dev/full"],
                redis: redis.urls
            )
            #expect(result.exitCode == 71, "\(result.errors)")
            #expect(try await Executable.run(["status", "a"], redis: redis.urls).exitCode == 1)
        }
    }

    @Test
    func statusShowsEveryNode() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let free = try await Executable.run(["status", "a"], redis: redis.urls)
            #expect(free.exitCode == 1 && free.output.hasPrefix("a: free\n"))
            _ = try await Executable.run(["acquire", "--label", "me", "a"], redis: redis.urls)
            await redis[0].kill()
            let held = try await Executable.run(["status", "--json", "a"], redis: redis.urls)
            let object = try Self.object(held.output)
            let nodes = try #require(object["nodes"] as? [[String: Any]])
            #expect(nodes.map { $0["node"] as? String } == redis.servers.map { "127.0.0.1:\($0.port)" })
            #expect(nodes[0]["state"] as? String == "unavailable")
            let human = try await Executable.run(["status", "a"], redis: redis.urls)
            #expect(human.output.split(separator: "\n").count == 4)
            await redis[1].kill()
            let unknown = try await Executable.run(["status", "a"], redis: redis.urls)
            #expect(unknown.exitCode == 69 && unknown.errorLines.count == 1)
        }
    }
}

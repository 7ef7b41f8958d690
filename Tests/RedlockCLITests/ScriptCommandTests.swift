// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// `redlock acquire`, `extend`, `release` and `status`.
@Suite(.timeLimit(.minutes(2)))
struct ScriptCommandTests {
    @Test
    func aLockLivesFromAcquireToRelease() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
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
            let validity = try #require(try extend.object()["validityMilliseconds"] as? Int)
            #expect((20_000...30_000).contains(validity))

            let foreign = try await Executable.run(["release", "a"], redis: urls, input: "0123:somebody else\n")
            #expect(foreign.exitCode == 1 && foreign.errorLines.count == 1)
            #expect(try await Executable.run(["release", "a"], redis: urls, input: token + "\n").exitCode == 0)
            let again = try await Executable.run(["release", "--json", "a"], redis: urls, input: token)
            #expect(again.exitCode == 1)
            #expect(try again.object()["released"] as? Bool == false)
            let late = try await Executable.run(["extend", "a"], redis: urls, environment: ["REDLOCK_TOKEN": token])
            #expect(late.exitCode == 1 && late.errorLines.count == 1, "\(late.errors)")
            for result in [acquire, extend, foreign, again, late] { #expect(!result.errors.contains(token)) }
        }
    }

    @Test
    func acquirePrintsJSONAndTheLockEndsByItself() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let result = try await Executable.run(
                ["acquire", "--json", "--ttl", "1s", "--label", "me", "a"],
                redis: redis.urls
            )
            let object = try result.object()
            #expect(Set(object.keys) == ["name", "token", "fencingToken", "validityMilliseconds", "owner"])
            #expect(object["name"] as? String == "a" && object["owner"] as? String == "me")
            #expect((1...1_000).contains(try #require(object["validityMilliseconds"] as? Int)))
            #expect(try await Executable.run(["run", "-w", "5", "a", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test
    func aTokenThatCannotBeWrittenIsNotLeftLocked() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
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
        try await withEnrolledRedis(nodes: 3) { redis in
            let free = try await Executable.run(["status", "a"], redis: redis.urls)
            #expect(free.exitCode == 1 && free.output.hasPrefix("a: free\n"))
            // On every node: `acquire` ends when a quorum has it, which may be these two alone.
            for server in redis.servers {
                let ownerToken = String(repeating: "0", count: 32) + ":me"
                _ = try await server.send("SET", "redlock:lock:a", ownerToken, "PX", "30000")
                _ = try await server.send("SET", "redlock:fence:a", "7")
            }
            await redis[0].kill()
            let held = try await Executable.run(["status", "--json", "a"], redis: redis.urls)
            let object = try held.object()
            let nodes = try #require(object["nodes"] as? [[String: Any]])
            #expect(nodes.map { $0["voteCounts"] as? Bool } == [false, true, true])
            let token = try #require(object["lastFencingToken"] as? Int)
            #expect(nodes.map { $0["node"] as? String } == redis.servers.map { "127.0.0.1:\($0.port)" })
            #expect(nodes[0]["state"] as? String == "unavailable")
            for node in nodes {
                let fields = ["node", "state", "holder", "reason", "voteCounts", "voteReason"]
                #expect(Set(node.keys) == Set(fields).union(HolderDetailsTests.fields))
            }
            #expect(object["held"] as? Bool == true && object["free"] as? Bool == false)
            let human = try await Executable.run(["status", "a"], redis: redis.urls)
            #expect(human.output.split(separator: "\n").count == 4)
            #expect(human.output.contains("fencing tokens reserved up to \(token)\n"), "\(human.output)")
            await redis[1].kill()
            let unknown = try await Executable.run(["status", "a"], redis: redis.urls)
            #expect(unknown.exitCode == 69 && unknown.errorLines.count == 1)
            let unknownObject = try await Executable.run(["status", "--json", "a"], redis: redis.urls).object()
            #expect(unknownObject["held"] is NSNull && unknownObject["free"] is NSNull)
        }
    }

    @Test
    func forceTakesALockAwayFromAnybody() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let token = try await Executable.run(["acquire", "--ttl", "30s", "a"], redis: redis.urls).output
            let before = try await Executable.run(["status", "--json", "a"], redis: redis.urls).object()
            let waiter = try Executable.Running(
                ["run", "a", "-c", "echo $REDLOCK_FENCING_TOKEN"],
                environment: Executable.environment(redis.urls)
            )
            try await eventually("it waits") { try await redis[0].send("ZCARD", "redlock:queue:a") == "1" }
            let forced = try await Executable.run(["release", "--force", "--json", "a"], redis: redis.urls)
            #expect(forced.exitCode == 0 && forced.output.contains("\"released\":true"), "\(forced.errors)")
            let next = try await waiter.result()
            #expect(next.exitCode == 0)
            let reserved = try #require(before["lastFencingToken"] as? Int)
            let granted = try #require(Int(next.output.trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(granted > reserved)
            // The former holder has nothing any more.
            let late = try await Executable.run(["release", "a"], redis: redis.urls, input: token)
            #expect(late.exitCode == 1)
            let again = try await Executable.run(["release", "--force", "a"], redis: redis.urls)
            #expect(again.exitCode == 1 && again.errors.contains("was not held by a quorum"), "\(again.errors)")
            await redis[0].kill()
            await redis[1].kill()
            let outage = try await Executable.run(["release", "--force", "a"], redis: redis.urls)
            #expect(outage.exitCode == 69, "\(outage.errors)")
            let compatible = try await Executable.run(["release", "--force", "--compatible", "a"], redis: redis.urls)
            #expect(compatible.exitCode == 64, "\(compatible.errors)")
        }
    }

    @Test
    func listShowsWhatIsHeldAndWhoWaits() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let none = try await Executable.run(["list"], redis: redis.urls)
            #expect(none.exitCode == 0 && none.output.isEmpty && none.errors.isEmpty, "\(none.errors)")
            for name in ["jobs/long-name", "jobs/b", "other"] {
                let acquired = try await Executable.run(["acquire", "--label", "me", name], redis: redis.urls)
                #expect(acquired.exitCode == 0)
            }
            let waiter = try Executable.Running(
                ["run", "jobs/b", "--", "true"],
                environment: Executable.environment(redis.urls)
            )
            try await eventually("it waits") { try await redis[0].send("ZCARD", "redlock:queue:jobs/b") == "1" }
            let jobs = try await Executable.run(["list", "jobs/*"], redis: redis.urls)
            let lines = jobs.output.split(separator: "\n")
            #expect(lines.count == 2 && jobs.exitCode == 0)
            #expect(lines.first?.hasPrefix("jobs/b          me  ") == true, "\(jobs.output)")
            #expect(lines.first?.hasSuffix("  1 client waits") == true, "\(jobs.output)")
            #expect(lines.last?.hasPrefix("jobs/long-name  me  ") == true, "\(jobs.output)")
            let object = try await Executable.run(["list", "--json"], redis: redis.urls).object()
            let locks = try #require(object["locks"] as? [[String: Any]])
            #expect(locks.map { $0["name"] as? String } == ["jobs/b", "jobs/long-name", "other"])
            #expect(locks.map { $0["waitingClients"] as? Int } == [1, 0, 0])
            for lock in locks {
                let fields = ["name", "slot", "sharers", "lastFencingToken", "waitingClients", "notALock"]
                #expect(Set(lock.keys) == Set(fields).union(HolderDetailsTests.fields))
            }
            waiter.send(SIGTERM)
            #expect(try await waiter.result().exitCode == 128 + SIGTERM)
            await redis[0].kill()
            await redis[1].kill()
            let outage = try await Executable.run(["list"], redis: redis.urls)
            #expect(outage.exitCode == 69 && outage.output.isEmpty, "\(outage.errors)")
        }
    }

    @Test
    func whatNobodyHoldsAndNobodyCanGetIsNotCalledFree() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            _ = try await redis[0].send("SET", "redlock:lock:split", "one")
            _ = try await redis[1].send("SET", "redlock:lock:split", "two")
            let split = try await Executable.run(["status", "split"], redis: redis.urls)
            #expect(split.exitCode == 0)
            let summary = "split: not held by a quorum, but 2 of 3 nodes have keys of several owners\n"
            #expect(split.output.hasPrefix(summary), "\(split.output)")
            #expect(split.output.contains("no expiry"))
            for server in redis.servers { _ = try await server.send("LPUSH", "redlock:lock:list", "x") }
            let list = try await Executable.run(["status", "list"], redis: redis.urls)
            #expect(list.exitCode == 0, "\(list.output)")
            #expect(list.output.contains("3 of 3 nodes") && list.output.contains("holds something that is not a lock"))
            _ = try await redis[2].send("SET", "redlock:lock:minority", "one")
            #expect(try await Executable.run(["status", "minority"], redis: redis.urls).exitCode == 1)
        }
    }

    @Test
    func resultsThatCannotBeWrittenAreAnError() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let token = try await Executable.run(["acquire", "a"], redis: redis.urls).output
            for command in ["status a", "status --json a", "extend --json a", "release --json a"] {
                let result = try await Executable.run(
                    ["run", "outer", "-c", "\(Executable.path) \(command) > /dev/full"],
                    redis: redis.urls,
                    input: token
                )
                #expect(result.exitCode == 71 && result.errorLines.count == 1, "\(command): \(result.errors)")
            }
        }
    }

    @Test
    func jsonErrorsNameTheirKindAndTheLock() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            _ = try await Executable.run(["acquire", "--label", "me", "a"], redis: redis.urls)
            let table: [([String], String, Int)] = [
                (["run", "-n", "a", "--", "true"], "timedOut", 1), (["acquire", "-n", "-E", "9", "a"], "timedOut", 9),
                (["release", "a"], "notHeld", 1), (["extend", "a"], "notHeld", 1),
                (["acquire", "--ttl", "0", "a"], "usage", 64),
            ]
            for (arguments, code, exitCode) in table {
                let result = try await Executable.run(
                    [arguments[0], "--json"] + arguments.dropFirst(),
                    redis: redis.urls,
                    input: "0123:somebody else"
                )
                let error = try #require(result.event("error"), "\(arguments): \(result.errors)")
                #expect(error["code"] as? String == code && error["resource"] as? String == "a", "\(result.errors)")
                #expect(error["exitCode"] as? Int == exitCode && Int(result.exitCode) == exitCode)
                #expect(error["holder"] as? String == (code == "timedOut" ? "me" : nil))
            }
            await redis[0].kill()
            let outage = try await Executable.run(["status", "--json", "a"], redis: redis.urls)
            #expect(outage.event("error")?["code"] as? String == "quorumUnavailable")
            #expect(outage.event("error")?["resource"] as? String == "a")
        }
    }
}

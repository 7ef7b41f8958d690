// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// Data that others wrote below the prefix: it is told for what it is, it hides no lock, and it can be removed.
@Suite(.timeLimit(.minutes(3)))
struct ForeignDataTests {
    /// Runs a script of Lua on every server, as it can write every name.
    private static func run(_ script: String, on redis: LocalRedisSet) async throws {
        for server in redis.servers { _ = try await server.send("EVAL", script, "0") }
    }

    /// Servers with a hash in place of the lock `wt`, a text in place of those who share `rz`, and one real lock.
    private static func withForeignData(_ body: (LocalRedisSet) async throws -> Void) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            try await run("redis.call('HSET', 'redlock:lock:wt', 'a', 'b')", on: redis)
            try await run("redis.call('SET', 'redlock:readers:rz', 'x')", on: redis)
            let held = try await Executable.run(["acquire", "--ttl", "30s", "real"], redis: redis.urls)
            #expect(held.exitCode == 0, "\(held.errors)")
            try await body(redis)
        }
    }

    @Test
    func foreignDataIsListedAndHidesNoLock() async throws {
        try await Self.withForeignData { redis in
            let list = try await Executable.run(["list"], redis: redis.urls)
            #expect(list.exitCode == 0, "\(list.errors)")
            let lines = list.output.split(separator: "\n")
            try #require(lines.count == 3, "\(list.output)")
            #expect(lines[0].hasPrefix("real ") && !lines[0].contains("not a lock"))
            #expect(lines[1].hasPrefix("rz ") && lines[1].contains("not a lock on 3 of 3 nodes"))
            #expect(lines[2].hasPrefix("wt ") && lines[2].contains("not a lock on 3 of 3 nodes"))
            let json = try await Executable.run(["list", "--json"], redis: redis.urls).object()
            let locks = try #require(json["locks"] as? [[String: Any]])
            #expect(locks.map { $0["notALock"] as? Bool } == [false, true, true])
            for name in ["wt", "rz"] {
                let status = try await Executable.run(["status", name], redis: redis.urls)
                #expect(status.exitCode == 0, "\(status.errors)")
                #expect(status.output.hasPrefix("\(name): not a lock: 3 of 3 nodes"), "\(status.output)")
            }
            let nodes = try await Executable.run(["status", "--json", "wt"], redis: redis.urls).object()["nodes"]
            #expect((nodes as? [[String: Any]])?.allSatisfy { $0["state"] as? String == "notALock" } == true)
        }
    }

    @Test
    func watchingGoesOnBesideForeignData() async throws {
        try await Self.withForeignData { redis in
            let watch = try Executable.Running(["watch", "--json"], environment: Executable.environment(redis.urls))
            try await watch.waitFor(#""resource":"wt""#)
            try await watch.waitFor(#""event":"held""#)
            #expect(watch.output.contains(#""event":"notALock""#), "\(watch.output)")
            _ = try await Executable.run(["release", "--force", "real"], redis: redis.urls)
            try await watch.waitFor(#""event":"released""#)
            #expect(!watch.output.contains("quorumLost"))
            // It was told once, though it was seen at every look.
            #expect(watch.output.components(separatedBy: #""resource":"wt""#).count == 2, "\(watch.output)")
            _ = try await Executable.run(["release", "--force", "wt"], redis: redis.urls)
            try await watch.waitFor(#""event":"foreignDataGone""#)
            watch.send(SIGTERM)
            _ = try await watch.result()
            #expect(watch.output.components(separatedBy: #""resource":"wt""#).count == 3, "\(watch.output)")
        }
    }

    @Test
    func whoWantsTheLockIsToldAndForceRemovesWhatIsInItsPlace() async throws {
        try await Self.withForeignData { redis in
            for name in ["wt", "rz"] {
                for wait in [["-n"], ["-w", "1"]] {
                    let command = ["run", "--json"] + wait + [name, "--", "true"]
                    let refused = try await Executable.run(command, redis: redis.urls)
                    #expect(refused.exitCode == 69, "\(refused.errors)")
                    let error = try #require(refused.event("error"))
                    #expect(error["code"] as? String == "notALock")
                    #expect((error["message"] as? String)?.contains("redlock release --force") == true)
                }
            }
            for name in ["wt", "rz"] {
                let sharing = try await Executable.run(
                    ["run", "--json", "-s", "-n", name, "--", "true"],
                    redis: redis.urls
                )
                #expect(sharing.exitCode == 69, "\(sharing.errors)")
                #expect(try #require(sharing.event("error"))["code"] as? String == "notALock", "\(sharing.errors)")
            }
            for name in ["wt", "rz"] {
                let removed = try await Executable.run(["release", "--force", name], redis: redis.urls)
                #expect(removed.exitCode == 0, "\(removed.errors)")
                #expect(try await Executable.run(["run", "-n", name, "--", "true"], redis: redis.urls).exitCode == 0)
            }
            // Nothing else was touched.
            let list = try await Executable.run(["list"], redis: redis.urls)
            #expect(list.output.hasPrefix("real ") && list.output.split(separator: "\n").count == 1, "\(list.output)")
        }
    }

    /// Whatever lies at whichever of our keys, names of no use included: the lock that is held is listed.
    @Test(arguments: [
        "'redlock:lock:b'", "'redlock:readers:b'", "'redlock:queue:real'", "'redlock:queue-expiry:real'",
        "'redlock:turn:real'", "'redlock:fence:real'", "'redlock:slots:b'", "'redlock:slot:000:b'", "'redlock:slot:x'",
        "'redlock:slot-fence:000:b'", "'redlock:records:real'", "'redlock:lock:\\255\\254'",
        "'redlock:lock:\\1\\27[2J'", "'redlock:lock:'",
    ])
    func noForeignKeyEndsTheListing(key: String) async throws {
        try await Self.withForeignData { redis in
            try await Self.run("redis.call('DEL', \(key)) redis.call('HSET', \(key), 'a', 'b')", on: redis)
            let list = try await Executable.run(["list"], redis: redis.urls)
            #expect(list.exitCode == 0 && "\n\(list.output)".contains("\nreal "), "\(list)")
            #expect(!list.output.contains("\u{1B}"))
            let status = try await Executable.run(["status", "real"], redis: redis.urls)
            #expect(status.exitCode == 0 && status.output.hasPrefix("real: held by"), "\(status)")
        }
    }

    @Test(arguments: ["'SET', 'redlock:fence:a', 'many'", "'HSET', 'redlock:fence:a', 'a', 'b'"])
    func aCounterThatIsNoNumberIsToldWithWhatToDo(command: String) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            try await Self.run("redis.call(\(command))", on: redis)
            for command in [["run", "-n", "a", "--", "true"], ["fence", "a", "--at-least", "7"]] {
                let refused = try await Executable.run(command, redis: redis.urls)
                #expect(refused.exitCode == 69, "\(refused)")
                #expect(!refused.errors.contains("user_script") && !refused.errors.contains("not an integer"))
                #expect(refused.errors.contains("delete"), "\(refused.errors)")
            }
            // What is advised helps.
            try await Self.run("redis.call('DEL', 'redlock:fence:a')", on: redis)
            #expect(try await Executable.run(["fence", "a", "--at-least", "7"], redis: redis.urls).exitCode == 0)
            #expect(try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test
    func whatLiesInPlaceOfTheRecordIsTold() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            _ = try await redis[0].send("DEL", "redlock:node")
            _ = try await redis[0].send("HSET", "redlock:node", "a", "b")
            let doctor = try await Executable.run(["doctor"], redis: redis.urls)
            #expect(doctor.exitCode == 69 && doctor.errors.contains("what lies in place of its record is none"))
            #expect(try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }
}

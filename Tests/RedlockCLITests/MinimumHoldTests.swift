// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

/// `redlock run --min-hold`.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct MinimumHoldTests {
    @Test(
        "A quick command does not run twice within its minimum hold, and does without one (control)",
        arguments: [true, false]
    )
    func quickCommandRunsOnce(hasMinimumHold: Bool) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let hold = hasMinimumHold ? ["--min-hold", "20s"] : []
            for kind in [[], ["--fair"], ["--shared"], ["--slots", "1"], ["--compatible"], ["second name"]] {
                let name = "quick \(kind.joined())"
                let first = try await Executable.run(
                    ["run", "--json"] + hold + kind + [name, "--", "true"],
                    redis: redis.urls
                )
                #expect(first.exitCode == 0, "\(kind): \(first.errors)")
                let stays = first.event("released")?["staysMilliseconds"] as? Int
                #expect((10_000...20_000).contains(stays ?? 0) == hasMinimumHold, "\(kind): \(first.errors)")
                // Readers do not keep other readers out.
                let other = kind == ["--shared"] ? [] : kind
                let second = try await Executable.run(["run", "-n"] + other + [name, "--", "true"], redis: redis.urls)
                #expect(second.exitCode == (hasMinimumHold ? 1 : 0), "\(kind): \(second.errors)")
            }
        }
    }

    @Test("The lock shows as held for the rest, and free afterwards; force ends it")
    func restShows() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let run = try await Executable.run(
                ["run", "-v", "--label", "me", "--min-hold", "20s", "quick", "--", "false"],
                redis: redis.urls
            )
            // A command that fails keeps it as well.
            #expect(run.exitCode == 1)
            #expect(run.errors.contains("stays locked for the rest of its minimum hold"), "\(run.errors)")
            let held = try await Executable.run(["status", "--json", "quick"], redis: redis.urls).object()
            #expect(held["held"] as? Bool == true && held["owner"] as? String == "me", "\(held)")
            let forced = try await Executable.run(["release", "--force", "quick"], redis: redis.urls)
            #expect(forced.exitCode == 0, "\(forced.errors)")
            let start = ContinuousClock.now
            _ = try await Executable.run(["run", "--min-hold", "2s", "quick", "--", "true"], redis: redis.urls)
            let next = try await Executable.run(["run", "quick", "--", "true"], redis: redis.urls)
            #expect(next.exitCode == 0)
            #expect(ContinuousClock.now - start >= .seconds(2))
        }
    }

    @Test("Where no command ran, nothing stays")
    func nothingStaysOfNothing() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let run = try await Executable.run(
                ["run", "--min-hold", "20s", "quick", "--", "/nonexistent/command"],
                redis: redis.urls
            )
            #expect(run.exitCode == 127)
            #expect(try await Executable.run(["run", "-n", "quick", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test("A minimum hold beyond the maximum TTL or the maximum hold is refused, with what to do")
    func longOnesAreRefused() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let long = try await Executable.run(["run", "--min-hold", "31s", "a", "--", "true"], redis: redis.urls)
            #expect(long.exitCode == 64, "\(long)")
            #expect(long.errors.contains("maximum TTL") && long.errors.contains("--max-ttl"), "\(long.errors)")
            let both = try await Executable.run(
                ["run", "--min-hold", "20s", "--max-hold", "10s", "a", "--", "true"],
                redis: redis.urls
            )
            #expect(both.exitCode == 64)
            #expect(both.errors.contains("--max-hold"), "\(both.errors)")
            let zero = try await Executable.run(["run", "--min-hold", "0", "a", "--", "true"], redis: redis.urls)
            #expect(zero.exitCode == 64, "\(zero)")
            #expect(try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test("A rest that no quorum confirms is told, with how long it was to stay")
    func unconfirmedRestIsTold() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            for server in redis.servers.suffix(2) { _ = try await server.send("ACL", "SETUSER", "default", "-pexpire") }
            let run = try await Executable.run(
                ["run", "--json", "--min-hold", "20s", "quick", "--", "true"],
                redis: redis.urls
            )
            #expect(run.exitCode == 0)
            let event = try #require(run.event("releaseUnconfirmed"), "\(run.errors)")
            #expect((10_000...20_000).contains(event["staysMilliseconds"] as? Int ?? 0), "\(event)")
            #expect(run.event("released") == nil)
        }
    }

    @Test("The configuration file sets it for every run")
    func configurationFile() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let file = FileManager.default.temporaryDirectory.appendingPathComponent(
                "redlock-\(UUID().uuidString).json"
            )
            defer { try? FileManager.default.removeItem(at: file) }
            try Data(#"{"min-hold": "20s", "record": 5}"#.utf8).write(to: file)
            for kind in [[], ["-s"], ["--slots", "2"]] {
                let run = try await Executable.run(
                    ["run", "--json", "--config", file.path] + kind + ["a\(kind.count)", "--", "true"],
                    redis: redis.urls
                )
                #expect(run.exitCode == 0, "\(run.errors)")
                #expect(run.event("released")?["staysMilliseconds"] as? Int != nil, "\(run.errors)")
            }
            let history = try await Executable.run(["history", "--json", "a0"], redis: redis.urls).object()
            #expect((history["grants"] as? [Any])?.count == 1)
        }
    }
}

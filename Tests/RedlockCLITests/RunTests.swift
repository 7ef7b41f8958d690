// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

/// `redlock run` around commands that end by themselves.
@Suite(.timeLimit(.minutes(2)))
struct RunTests {
    @Test
    func exitsAsTheCommandDid() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let table: [([String], Int32, String)] = [
                (["--", "true"], 0, ""),
                (["--", "false"], 1, ""),
                (["--", "sh", "-c", "exit 200"], 200, ""),
                (["--", "sh", "-c", "kill -TERM $$"], 128 + 15, ""),
                (["--", "sh", "-c", "kill -KILL $$"], 128 + 9, ""),
                (["--", "/nonexistent/command"], 127, "not found"),
                (["--", "nonexistent-command"], 127, "not found"),
                (["--", "/etc/passwd"], 126, "permission denied"),
                (["--", "/"], 126, "cannot be executed"),
                (["-c", "exit 3"], 3, ""),
                (["-c", "echo out; echo err >&2"], 0, "err"),
            ]
            for (command, code, message) in table {
                let result = try await Executable.run(["run", "table"] + command, redis: redis.urls)
                #expect(result.exitCode == code, "\(command): \(result.errors)")
                #expect(message.isEmpty || result.errors.contains(message), "\(command): \(result.errors)")
                #expect(result.errorLines.count == (message.isEmpty ? 0 : 1), "\(command): \(result.errors)")
            }
            // Nothing is left behind, after failures to start neither.
            #expect(try await Executable.run(["run", "-n", "table", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test
    func theCommandGetsInputArgumentsAndEnvironment() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let input = "line 1\nline 2"
            let cat = try await Executable.run(["run", "a", "--", "cat"], redis: redis.urls, input: input)
            #expect(cat.output == input)
            let echo = try await Executable.run(
                ["run", "a", "--", "printf", "%s|", "-n", "--", "a b", "", "*"],
                redis: redis.urls
            )
            #expect(echo.output == "-n|--|a b||*|")
            let before = Date().timeIntervalSince1970 * 1_000
            let variables = try await Executable.run(
                ["run", "--label", "me", "--max-hold", "1h", "a", "-c", "unset PWD OLDPWD; env"],
                redis: redis.urls,
                environment: ["REDISCLI_AUTH": "hunter2", "REDLOCK_TOKEN": "hunter2"]
            )
            let lines = variables.output.split(separator: "\n")
            #expect(lines.contains("REDLOCK_NAME=a"))
            #expect(lines.contains("REDLOCK_OWNER=me"))
            #expect(!variables.output.contains("hunter2"))
            let deadline = lines.first { $0.hasPrefix("REDLOCK_DEADLINE_MS=") }?.split(separator: "=").last
            let milliseconds = try #require(deadline.flatMap { Double($0) })
            #expect((before + 3_590_000...before + 3_700_000).contains(milliseconds))
            let nested = try await Executable.run(
                ["run", "--max-hold", "1h", "a", "--", Executable.path, "run", "b", "--", "env"],
                redis: redis.urls
            )
            #expect(nested.output.contains("REDLOCK_NAME=b\n"))
            #expect(!nested.output.contains("REDLOCK_DEADLINE_MS"))
        }
    }

    @Test
    func aHeldLockIsWaitedForOrReported() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let holder = try Executable.Running(
                ["run", "--label", "holder", "busy", "-c", "echo started; exec sleep 300"],
                environment: environment
            )
            try await holder.waitFor("started")
            let refused = try await Executable.run(["run", "-n", "busy", "--", "echo", "ran"], redis: redis.urls)
            #expect(refused.exitCode == 1)
            #expect(refused.output.isEmpty)
            #expect(refused.errorLines.count == 1 && refused.errors.contains("holder"), "\(refused.errors)")
            let code = try await Executable.run(
                ["run", "--wait", "0.2", "--node-timeout", "1s", "-E", "99", "busy", "--", "echo"],
                redis: redis.urls
            )
            #expect(code.exitCode == 99)
            let acquire = try await Executable.run(["acquire", "-w", "0", "-E", "98", "busy"], redis: redis.urls)
            #expect(acquire.exitCode == 98)
            let waiting = try Executable.Running(["run", "--json", "busy", "--", "true"], environment: environment)
            try await waiting.waitFor("waiting")
            holder.send(SIGTERM)
            let waited = try await waiting.result()
            #expect(waited.exitCode == 0)
            #expect(waited.event("waiting")?["holder"] as? String == "holder", "\(waited.errors)")
            #expect(waited.event("acquired") != nil && waited.event("released") != nil)
            #expect(try await holder.result().exitCode == 128 + SIGTERM)
        }
    }

    @Test
    func waitingIsToldSoonToPeopleAndLateToLogs() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            _ = try await Executable.run(["acquire", "--label", "holder", "--ttl", "30s", "busy"], redis: redis.urls)
            let environment = Executable.environment(redis.urls, ["REDLOCK_HELD": "busy"])
            let command = ["-w", "6", "busy", "--", "true"]
            let quiet = try Executable.Running(["run", "-q"] + command, environment: environment)
            let early = try await Executable.run(["run", "-w", "1", "busy", "--", "true"], redis: redis.urls)
            #expect(!early.errors.contains("waiting"))
            let late = try Executable.Running(["acquire", "-w", "6", "busy"], environment: environment)
            let log = try await late.result()
            #expect(log.errors.contains("waiting for \"busy\", held by holder"), "\(log.errors)")
            #expect(log.errors.contains("may wait for itself"))
            let silent = try await quiet.result()
            #expect(!silent.errors.contains("waiting"))
        }
    }

    @Test
    func aConfigurationMayComeThroughAPipe() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let text = #"{"redis": ["\#(redis.urls[0])"], "conflict-exit-code": 17}"#
            _ = try await Executable.run(["acquire", "busy"], redis: redis.urls)
            for line in ["cat | R run --config /dev/stdin", "R run --config <(cat)"] {
                let script = line.replacingOccurrences(of: "R", with: Executable.path) + " -n busy -- true"
                let result = try await Executable.run(
                    ["run", "outer", "--", "bash", "-c", "unset REDLOCK_REDIS; " + script],
                    redis: redis.urls,
                    input: text
                )
                #expect(result.exitCode == 17, "\(result.errors)")
            }
        }
    }

    @Test
    func tooFewDescriptorsAreRaisedOrRefused() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            for (limit, code) in [("-S -n 20", 0), ("-n 20", 71)] {
                let result = try await Executable.run(
                    ["run", "outer", "--", "bash", "-c", "ulimit \(limit); \(Executable.path) run a -- true"],
                    redis: redis.urls
                )
                #expect(Int(result.exitCode) == code, "\(result.errors)")
                #expect(result.errorLines.count == (code == 0 ? 0 : 1), "\(result.errors)")
            }
        }
    }

    @Test
    func verbosityIsAsTold() async throws {
        try await withEnrolledRedis(nodes: 2) { redis in
            let normal = try await Executable.run(["run", "a", "--", "true"], redis: redis.urls)
            #expect(normal.errorLines.count == 1 && normal.errors.contains("odd number"), "\(normal.errors)")
            let quiet = try await Executable.run(["run", "-q", "a", "--", "true"], redis: redis.urls)
            #expect(quiet.errors.isEmpty)
            let verbose = try await Executable.run(["run", "-v", "a", "--", "true"], redis: redis.urls)
            #expect(verbose.errors.contains("acquired") && verbose.errors.contains("released"))
            let json = try await Executable.run(["run", "--json", "a", "--", "true"], redis: redis.urls)
            #expect(json.events.count == json.errorLines.count)
            #expect(json.events.map { $0["event"] as? String } == ["warning", "acquired", "exited", "released"])
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import RedlockTesting
import Testing

/// Wrong usage and servers that are of no use: one clear line each, the right exit code, and no command is run.
@Suite(.timeLimit(.minutes(2)))
struct BadInputTests {
    struct Usage: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        let message: String
        var testDescription: String { arguments.joined(separator: " ").prefix(60).debugDescription }

        init(_ arguments: [String], _ message: String) {
            self.arguments = arguments
            self.message = message
        }
    }

    private static let echo = ["x", "--", "echo", "ran"]
    static let wrongUsages = [
        Usage(["run"], "name"),
        Usage(["run", "x"], "no command"),
        Usage(["run", "x", "echo", "ran"], "--"),
        Usage(["run", "x", "-c", "echo", "--", "echo"], "exclude"),
        Usage(["bogus"], "bogus"),
        Usage(["run", "--bogus"] + echo, "--bogus"),
        Usage(["run", "--ttl"] + echo, "ttl"),
        Usage(["run", "--ttl", "-5"] + echo, "negative"),
        Usage(["run", "--ttl", "nan"] + echo, "nan"),
        Usage(["run", "--ttl", "999999999999999999999h"] + echo, "too long"),
        Usage(["run", "--ttl", "0"] + echo, "longer than 0"),
        Usage(["run", "--ttl", "1d"] + echo, "maximum"),
        Usage(["run", "--ttl", "500ms"] + echo, "ten times"),
        Usage(["run", "--node-timeout", "0"] + echo, "node timeout"),
        Usage(["run", "-w", "1", "-n"] + echo, "exclude"),
        Usage(["run", "-w", "-1"] + echo, "negative"),
        Usage(["run", "-v", "-q"] + echo, "exclude"),
        Usage(["run", "-E", "256"] + echo, "256"),
        Usage(["run", "--signal", "NOPE"] + echo, "NOPE"),
        Usage(["run", "--max-hold", "0"] + echo, "hold"),
        Usage(["run", "", "--", "echo", "ran"], "empty"),
        Usage(["run", "a\nb", "--", "echo", "ran"], "control"),
        Usage(["run", String(repeating: "é", count: 257), "--", "echo", "ran"], "514"),
        Usage(["run", "--label", "a\u{1B}"] + echo, "control"),
        Usage(["run", "--label", ""] + echo, "label is empty"),
        Usage(["run", "--note", ""] + echo, "note is empty"),
        Usage(["run", "--note", "a\u{1F}b"] + echo, "the note has control characters"),
        Usage(["acquire", "--note", String(repeating: "é", count: 129), "x"], "258 bytes"),
        Usage(["run", "--ttl", "31s"] + echo, "--max-ttl"),
        Usage(["run", "--max-ttl", "500ms"] + echo, "--node-timeout"),
        Usage(["run", "-dash", "--", "echo", "ran"], "-d"),
        Usage(["acquire", "--", "-dash"], "dash"),
        Usage(["run", "--config", ""] + echo, "--config is empty"),
        Usage(["run", "--config", "/dev/null"] + echo, "is empty"),
        Usage(["run", "--config", "/"] + echo, "directory"),
        Usage(["run", "--redis", "host"] + echo, "URL"),
        Usage(["run", "--redis", "ftp://host"] + echo, "scheme"),
        Usage(["run", "--redis", "redis://:hunter2@host"] + echo, "REDLOCK_REDIS_PASSWORD"),
        Usage(["run", "--redis", "redis://a", "--redis", "redis://a:6379"] + echo, "twice"),
        Usage(["run", "--redis", "redis+unix:///" + String(repeating: "a", count: 120)] + echo, "socket path has"),
        Usage(["run", "--redis", "redis://a:0"] + echo, "port"),
        Usage(["run", "--redis", "redis://a:65536"] + echo, "port"),
        Usage(["run", "--redis", "redis://:7000"] + echo, "no host"),
        Usage(["doctor", "--redis", "redis://a/2147483648"], "database"),
        Usage(["init", "--redis", "redis://a#x", "--redis", "redis://b#x"], "two nodes"),
        Usage(["run", "--redis", "redis://a", "--tls-ca", "/nonexistent"] + echo, "rediss"),
        Usage(["run", "--redis", "rediss://a", "--tls-ca", "/nonexistent"] + echo, "/nonexistent"),
        Usage(["run", "--config", "/nonexistent"] + echo, "/nonexistent"),
        Usage(["release", "x", "token"], "token"),
        Usage(["release", "x"], "token"),
        Usage(["extend", "--ttl", "0", "x"], "token"),
        Usage(["acquire"], "name"),
        Usage(["status", "a\tb"], "control"),
        Usage(["run", "--quorum", "0"] + echo, "number of nodes"),
        Usage(["run", "--quorum", "2"] + echo, "quorum of 2"),
        Usage(["run", "--drift", "41%"] + echo, "40%"),
        Usage(["run", "--drift", "5"] + echo, "percentage"),
        Usage(["run", "--drift", "nan%"] + echo, "percentage"),
        Usage(["run", "--prefix", "a\nb"] + echo, "prefix"),
        Usage(["run", "--compatible", "--prefix", "a:"] + echo, "--compatible and --prefix exclude"),
        Usage(["doctor", "--compatible"], "`redlock doctor` and --compatible exclude"),
        Usage(["init", "--compatible"], "`redlock init` and --compatible exclude"),
        Usage(["watch", "--compatible"], "`redlock watch` and --compatible exclude"),
        Usage(["watch", "--interval", "99ms"], "--interval is too short"),
        Usage(["watch", "--interval", "soon"], "not a duration"),
        Usage(["watch", ""], "empty"),
        Usage(["watch", "a\nb"], "control"),
        Usage(["watch", "a", "b"], "b"),
        Usage(["bench", "--duration", "99ms"], "--duration is too short"),
        Usage(["bench", "--duration", "soon"], "not a duration"),
        Usage(["bench", "--duration", "-1"], "negative"),
        Usage(["bench", "--concurrency", "0"], "number of tasks from 1 to 1000"),
        Usage(["bench", "--concurrency", "1001"], "number of tasks from 1 to 1000"),
        Usage(["bench", "--concurrency", "many"], "number of tasks from 1 to 1000"),
        Usage(["bench", "surplus"], "surplus"),
        Usage(["fence", "x", "--at-least", "1", "--compatible"], "`redlock fence` and --compatible exclude"),
        Usage(["fence", "x"], "at-least"),
        Usage(["fence", "--at-least", "1"], "name"),
        Usage(["fence", "x", "--at-least", "0"], "whole number from 1"),
        Usage(["fence", "x", "--at-least", "-1"], "whole number from 1"),
        Usage(["fence", "x", "--at-least", "1.5"], "whole number from 1"),
        Usage(["fence", "x", "--at-least", "9007199254740993"], "between 1 and"),
        Usage(["fence", "a\tb", "--at-least", "1"], "control"),
        Usage(["init", "surplus"], "surplus"),
        Usage(["doctor", "surplus"], "surplus"),
    ]

    @Test(arguments: wrongUsages)
    func wrongUsageIsRefused(_ usage: Usage) async throws {
        let result = try await Executable.run(usage.arguments)
        #expect(result.exitCode == 64, "\(result.errors)")
        #expect(result.output.isEmpty)
        #expect(result.errorLines.count == 1, "\(result.errors)")
        #expect(result.errors.hasPrefix("redlock: ") && result.errors.contains(usage.message), "\(result.errors)")
        #expect(!result.errors.contains("hunter2"))
        let json = try await Executable.run([usage.arguments[0], "--json"] + usage.arguments.dropFirst())
        #expect(json.exitCode == 64)
        #expect(json.event("error")?["exitCode"] as? Int == 64, "\(json.errors)")
    }

    @Test
    func withoutServersAHintSaysHowToGetSome() async throws {
        // Nobody listens on the default port in most places; where somebody does, there is nothing to see.
        let result = try await Executable.run(["run", "-n", "x", "--", "true"])
        guard result.exitCode != 0 else { return }
        #expect(result.exitCode == 69)
        #expect(result.errors.contains("redlock local up"), "\(result.errors)")
    }

    @Test
    func tooFewServersAreAnOutageWithEveryReason() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            await redis[0].kill()
            await redis[1].kill()
            for arguments in [["run", "x", "--", "echo", "ran"], ["acquire", "x"]] {
                let result = try await Executable.run(arguments, redis: redis.urls)
                #expect(result.exitCode == 69)
                #expect(result.output.isEmpty)
                #expect(result.errorLines.count == 1)
                for server in redis.servers.prefix(2) { #expect(result.errors.contains("127.0.0.1:\(server.port)")) }
                #expect(!result.errors.contains("local up"))
            }
            let status = try await Executable.run(["status", "x"], redis: redis.urls)
            #expect(status.exitCode == 69)
        }
    }

    /// Where it may be an outage, a line says first that it waits.
    @Test(arguments: [
        (ScriptedBehaviour.answersHTTP, 1), (.acceptsAndNeverAnswers, 2), (.closesAtOnce, 2), (.garbage, 1),
        (.wrongPassword, 1), (.hugeArray, 1),
    ])
    func uselessServersAreAnOutage(_ behaviour: ScriptedBehaviour, lineCount: Int) async throws {
        try await withScriptedServer(behaviour) { server in
            let result = try await Executable.run(
                ["run", "x", "--", "echo", "ran"],
                redis: ["redis://:hunter2@127.0.0.1:\(server.port)"]
            )
            #expect(result.exitCode == 69)
            #expect(result.output.isEmpty)
            #expect(result.errorLines.count == lineCount)
            #expect(result.errorLines.last?.contains("127.0.0.1:\(server.port)") == true)
            #expect(!result.errors.contains("hunter2"))
        }
    }

    @Test
    func passwordsWorkFromEnvironmentAndFileAndAreShownNowhere() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["requirepass hunter2"]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            let without = try await Executable.run(["run", "x", "--", "true"], redis: redis.urls)
            #expect(without.exitCode == 69)
            let wrong = try await Executable.run(
                ["run", "x", "--", "true"],
                redis: redis.urls,
                environment: ["REDLOCK_REDIS_PASSWORD": "swordfish"]
            )
            #expect(wrong.exitCode == 69)
            #expect(wrong.errorLines.count == 1 && !wrong.errors.contains("swordfish"), "\(wrong.errors)")
            let enrolment = try await Executable.run(
                ["init"],
                redis: redis.urls,
                environment: ["REDLOCK_REDIS_PASSWORD": "hunter2"]
            )
            #expect(enrolment.exitCode == 0, "\(enrolment.errors)")
            let right = try await Executable.run(
                ["run", "-v", "--json", "x", "--", "sh", "-c", "tr '\\0' '\\n' < /proc/$PPID/cmdline; env"],
                redis: redis.urls,
                environment: ["REDLOCK_REDIS_PASSWORD": "hunter2"]
            )
            #expect(right.exitCode == 0, "\(right.errors)")
            #expect(!right.output.contains("hunter2") && !right.errors.contains("hunter2"))
            let path = NSTemporaryDirectory() + "redlock-\(UUID().uuidString).json"
            defer { try? FileManager.default.removeItem(atPath: path) }
            let text = #"{"redis": ["\#(redis.urls[0])"], "password": "hunter2"}"#
            _ = FileManager.default.createFile(
                atPath: path,
                contents: Data(text.utf8),
                attributes: [.posixPermissions: 0o644]
            )
            let file = try await Executable.run(["run", "--config", path, "x", "--", "true"])
            #expect(file.exitCode == 0)
            #expect(file.errors.contains("chmod 600") && !file.errors.contains("hunter2"))
        }
    }

    @Test
    func helpVersionAndCompletionWork() async throws {
        for arguments in [
            ["--help"], ["run", "--help"], ["acquire", "--help"], ["status", "--help"], ["doctor", "--help"],
            ["init", "--help"], ["fence", "--help"], ["bench", "--help"], ["--version"],
        ] {
            let result = try await Executable.run(arguments)
            #expect(result.exitCode == 0 && !result.output.isEmpty && result.errors.isEmpty, "\(arguments)")
        }
        for shell in ["bash", "zsh", "fish"] {
            let result = try await Executable.run(["--generate-completion-script", shell])
            #expect(result.exitCode == 0 && result.output.contains("max-hold"))
            #expect(result.output.contains("doctor") && result.output.contains("at-least"))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import LocalRedis
    import TestSupport
    import Testing

    /// Commands that run as another user than `redlock`, which may not signal them.
    @Suite(.timeLimit(.minutes(2)), .enabled(if: OtherUser.isAvailable, "needs root, setpriv and set-user-id programs"))
    struct UnstoppableCommandTests {
        @Test
        func atTheMaximumHoldTheLockIsKeptUntilTheCommandHasEnded() async throws {
            try await withOtherUser { user, redis in
                let running = try user.redlock(
                    ["run", "--json", "--ttl", "3s", "--max-hold", "1s", "x", "--"] + user.asRoot("echo up; sleep 10"),
                    redis
                )
                try await running.waitFor("unstoppable")
                // Longer than the TTL: only renewal keeps it.
                try await Task.sleep(for: .milliseconds(2_500))
                let second = try await Executable.run(["run", "-n", "x", "--", "true"], redis: redis.urls)
                #expect(second.exitCode == 1, "the first command still runs: \(second)")
                let result = try await running.result()
                #expect(result.exitCode == 75)
                #expect(result.event("unstoppable")?["keepsLock"] as? Bool == true)
                #expect(result.event("overrun") == nil)
                let message = try #require(result.event("error")?["message"] as? String)
                #expect(message.contains("could not be stopped") && !message.contains("was stopped"))
                #expect(try await Executable.run(["run", "-n", "x", "--", "true"], redis: redis.urls).exitCode == 0)
            }
        }

        /// The control of all tests here: a command of the same user is stopped, and told to be.
        @Test
        func aCommandOfTheSameUserIsStopped() async throws {
            try await withOtherUser { user, redis in
                let running = try user.redlock(["run", "--json", "--max-hold", "1s", "x", "--", "sleep", "60"], redis)
                let result = try await running.result()
                #expect(result.exitCode == 75 && result.event("unstoppable") == nil, "\(result)")
                #expect((result.event("error")?["message"] as? String)?.contains("was stopped") == true)
            }
        }

        @Test
        func aSignalThatDidNotArriveIsNotToldAsHandedOn() async throws {
            try await withOtherUser { user, redis in
                let running = try user.redlock(["run", "--json", "x", "--"] + user.asRoot("echo up; sleep 2"), redis)
                try await running.waitFor("up")
                running.send(SIGTERM)
                let result = try await running.result()
                #expect(result.event("signal") == nil && result.exitCode == 0, "\(result)")
                let warning = try #require(result.event("warning")?["message"] as? String)
                #expect(warning.contains("TERM was not handed on"))
            }
        }

        @Test(arguments: ["run", "elect"])
        func aLostLockIsToldToHaveEndedUnderTheCommand(_ subcommand: String) async throws {
            try await withOtherUser { user, redis in
                let running = try user.redlock(
                    [subcommand, "--json", "--ttl", "3s", "x", "--"] + user.asRoot("echo up; sleep 6; echo down"),
                    redis
                )
                try await running.waitFor("up")
                try await redis[0].pause()
                try await redis[1].pause()
                try await running.waitFor("overrun")
                try await redis[0].resume()
                try await redis[1].resume()
                #expect(!running.output.contains("down"))
                if subcommand == "elect" {
                    // Once more, and not before the first command has ended.
                    try await running.waitFor("campaigning again")
                    try await eventually("the next term") { running.output.contains("down\nup") }
                    running.send(SIGKILL)
                } else {
                    let result = try await running.result()
                    #expect(result.exitCode == 75)
                    let message = try #require(result.event("error")?["message"] as? String)
                    #expect(message.contains("went on without the lock"))
                }
                let events = try await running.result().events
                let unstoppable = try #require(events.first { $0["event"] as? String == "unstoppable" })
                #expect(unstoppable["keepsLock"] as? Bool == false)
            }
        }

        @Test
        func whatTheCommandStartedAsAnotherUserIsWaitedFor() async throws {
            try await withOtherUser { user, redis in
                let inner = user.asRoot("echo up; sleep 8").map { "'\($0)'" }.joined(separator: " ")
                let running = try user.redlock(
                    ["run", "--json", "--ttl", "3s", "--max-hold", "1s", "x", "-c", "\(inner); true"],
                    redis
                )
                try await running.waitFor("unstoppable")
                // The shell has ended, and what it started has not.
                try await running.waitFor("exited")
                try await Task.sleep(for: .milliseconds(500))
                let second = try await Executable.run(["run", "-n", "x", "--", "true"], redis: redis.urls)
                #expect(second.exitCode == 1, "what the command started still runs: \(second)")
                let result = try await running.result()
                #expect(result.exitCode == 75)
                let message = try #require(result.event("error")?["message"] as? String)
                #expect(message.contains("the lock was kept until it had ended"))
            }
        }
    }

    /// A user who may not signal what runs as root, and a program by which that user starts it.
    struct OtherUser {
        private static let identifier = "65534"
        private static let setpriv = "/usr/bin/setpriv"
        private let folder: String

        static var isAvailable: Bool {
            geteuid() == 0 && FileManager.default.isExecutableFile(atPath: setpriv)
        }

        init(in folder: String) throws {
            self.folder = folder
            // The user may not be able to reach what was built, nor take the rights of a file elsewhere.
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
            for (source, name, mode) in [(Executable.path, "redlock", 0o755), (Self.setpriv, "as-root", 0o4755)] {
                try FileManager.default.copyItem(atPath: source, toPath: "\(folder)/\(name)")
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(folder)/\(name)")
            }
        }

        func redlock(_ arguments: [String], _ redis: LocalRedisSet) throws -> Executable.Running {
            let identity = ["--reuid", Self.identifier, "--regid", Self.identifier, "--clear-groups"]
            return try Executable.Running(
                program: Self.setpriv,
                identity + ["\(folder)/redlock"] + arguments,
                environment: Executable.environment(redis.urls)
            )
        }

        /// A command for a shell line that runs as root whoever starts it.
        func asRoot(_ line: String) -> [String] { ["\(folder)/as-root", "--ruid", "0", "sh", "-c", line] }
    }

    private func withOtherUser(_ body: (OtherUser, LocalRedisSet) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/other-user-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let user = try OtherUser(in: folder)
        try await withEnrolledRedis(nodes: 3) { redis in try await body(user, redis) }
    }
#endif

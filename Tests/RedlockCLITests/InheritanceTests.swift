// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Redlock
import TestSupport
import Testing

@testable import RedlockCLI

/// The command finds what it would find without `redlock` in between.
@Suite(.timeLimit(.minutes(2)))
struct InheritanceTests {
    /// What the command prints behind `redlock run`, and what it prints by itself.
    private func bothOutputs(
        _ command: String,
        before: String = "",
        after: String = ""
    ) async throws -> (through: String, direct: String) {
        try await withEnrolledRedis(nodes: 1) { redis in
            let through = try await Executable.shell(
                "\(before) $REDLOCK run a -- \(command) \(after)",
                redis: redis.urls
            )
            let direct = try await Executable.shell("\(before) \(command) \(after)", redis: redis.urls)
            #expect(through.exitCode == direct.exitCode, "\(through.errors)")
            return (through.output, direct.output)
        }
    }

    #if os(Linux)
        @Test(arguments: ["", "trap '' INT USR1;", "trap '' HUP TERM CHLD PIPE;"])
        func ignoredSignalsStayIgnored(_ trap: String) async throws {
            // Signals from 32 on belong to the C library, and no program can set them.
            let command =
                "bash -c 'while read -r name set; do test $name = SigIgn: && echo $((0x$set & 0x7FFFFFFF)); done </proc/$$/status'"
            let (through, direct) = try await bothOutputs(command, before: trap)
            #expect(through == direct && Int(through.dropLast()) != nil, "\(through)\(direct)")
        }

        @Test
        func blockedSignalsAreNotInherited() async throws {
            // Whatever the process of the tests blocks.
            let command = "env --block-signal=USR2,TERM"
            let (through, direct) = try await bothOutputs("grep SigBlk /proc/self/status", before: command)
            #expect(through == "SigBlk:\t0000000000000000\n" && direct != through)
        }

        @Test
        func openDescriptorsAreInheritedAndNoOthers() async throws {
            let command = "bash -c 'for d in /proc/$$/fd/*; do echo ${d##*/}; done'"
            for redirection in ["", "3</dev/null 7</dev/null 200</dev/null", "<&-", "9</dev/null 10</dev/null 2>&-"] {
                let (through, direct) = try await bothOutputs(command, after: redirection)
                #expect(through == direct, "with \(redirection)")
            }
        }

        @Test
        func theLimitOfOpenFilesIsThatOfTheUser() async throws {
            // Below what `redlock` raises it to for itself.
            let (through, direct) = try await bothOutputs("bash -c 'ulimit -Sn; ulimit -Hn'", before: "ulimit -Sn 100;")
            #expect(through == direct && through.hasPrefix("100\n"))
        }

        @Test(.enabled(if: isAllowedToUnshare, "needs the right to make namespaces"))
        func theFirstProcessOfAContainerWaitsForOrphans() async throws {
            try await withEnrolledRedis(nodes: 1) { redis in
                let orphans = "for i in 1 2 3 4 5; do setsid sh -c '(sleep 0.1 &)' & done; wait; sleep 1"
                let count = "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"
                let line = "unshare -pf --mount-proc $REDLOCK run a -c \"\(orphans); \(count)\""
                let result = try await Executable.shell(line, redis: redis.urls)
                #expect(result.output == "0\n", "\(result)")
                // The control: a first process that waits for none has five.
                let control =
                    "unshare -pf --mount-proc python3 -c 'import subprocess, sys; subprocess.run([\"sh\", \"-c\", sys.argv[1]])'"
                let careless = try await Executable.shell("\(control) \"\(orphans); \(count)\"")
                #expect(careless.output == "5\n", "\(careless)")
            }
        }
    #endif

    @Test
    func aDescriptorOfTheShellCanBeReadAndWritten() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let read = try await Executable.shell("$REDLOCK run a -- cat <(echo substituted)", redis: redis.urls)
            #expect(read.output == "substituted\n")
            let written = try await Executable.shell("$REDLOCK run a -- sh -c 'echo three >&3' 3>&1", redis: redis.urls)
            #expect(written.output == "three\n")
        }
    }

    /// It may hold a password.
    @Test
    func aDescriptorWithTheConfigurationIsNotInherited() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let command = "sh -c 'cat <&3 2>/dev/null || echo closed' 3< <(echo '{}')"
            let taken = try await Executable.shell("$REDLOCK run --config /dev/fd/3 a -- \(command)", redis: redis.urls)
            #expect(taken.output == "closed\n" && taken.exitCode == 0, "\(taken)")
            // The control: one with something else is inherited.
            let left = try await Executable.shell("$REDLOCK run a -- \(command)", redis: redis.urls)
            #expect(left.output == "{}\n")
        }
    }

    @Test
    func socketsOfAServiceAreTheCommands() async throws {
        let command = #"sh -c 'test "$LISTEN_PID" = $$ && echo mine || echo not mine'"#
        try await withEnrolledRedis(nodes: 1) { redis in
            // Meant for the process that runs `redlock`, and for another one.
            for (listener, expected) in [("$$", "mine\n"), ("1", "not mine\n")] {
                let line = "exec env LISTEN_PID=\(listener) $REDLOCK run a -- \(command)"
                let result = try await Executable.shell(line, redis: redis.urls)
                #expect(result.output == expected)
            }
        }
    }

    /// Every command that owes a result.
    @Test(arguments: [">&-", ">/dev/full", "<&- >&-"])
    func aResultThatCannotBeWrittenIsAnError(_ redirection: String) async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            for command in [
                "acquire -n a", "acquire -n a --json", "acquire -n -s a", "status a", "list --json", "history a",
                "doctor",
                "fence a --at-least 5", "elect --history a", "bench --duration 100ms", "--help", "run --help",
                "--version", "--generate-completion-script bash",
            ] {
                let result = try await Executable.shell("$REDLOCK \(command) \(redirection)", redis: redis.urls)
                #expect(result.exitCode == 71, "\(command) \(redirection): \(result)")
            }
            let free = try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls)
            #expect(free.exitCode == 0, "the lock was given back: \(free.errors)")
            let errors = try await Executable.shell("$REDLOCK run -v a -- echo ran <&- 2>&-", redis: redis.urls)
            #expect(errors.output == "ran\n" && errors.exitCode == 0)
        }
    }

    @Test
    func closedStandardInputHasNoToken() async throws {
        for command in ["release", "extend"] {
            let result = try await Executable.shell("$REDLOCK \(command) a <&-", redis: ["redis://127.0.0.1:1"])
            #expect(result.exitCode == 71 && result.errors.contains("standard input cannot be read"), "\(result)")
        }
    }

    /// Counted over all processes of the user, so that other tests do not matter.
    @Test(.enabled(if: geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv")))
    func withoutThreadsNothingHangs() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/threads-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // The user may not be able to reach what was built.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
        try FileManager.default.copyItem(atPath: Executable.path, toPath: "\(folder)/redlock")
        try await withEnrolledRedis(nodes: 1) { redis in
            let user = "setpriv --reuid 65533 --regid 65533 --clear-groups"
            for command in ["run -n a -- true", "status a", "elect a -- true", "local status"] {
                for count in 1...7 {
                    let line = "timeout 20 \(user) prlimit --nproc=\(count) \(folder)/redlock \(command)"
                    let result = try await Executable.shell(line, redis: redis.urls)
                    #expect(result.exitCode == 71, "\(command) with \(count): \(result)")
                    #expect(result.errorLines.count == 1 && result.errors.contains("ulimit -u"))
                }
            }
            // The control: with as many as it needs, it works.
            let line = "\(user) prlimit --nproc=100 \(folder)/redlock run -n a -- true"
            #expect(try await Executable.shell(line, redis: redis.urls).exitCode == 0)
        }
    }
}

private let isAllowedToUnshare: Bool = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = ["-pf", "--mount-proc", "true"]
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
}()

/// What is told of a command that could not be started.
@Suite(.timeLimit(.minutes(1)))
struct StartFailureTests {
    @Test(arguments: [
        ("#!/nonexistent/interpreter\n", "its interpreter \"/nonexistent/interpreter\" is missing"),
        ("#!/bin/sh\r\necho\r\n", "CR LF"), ("#! /nonexistent/env python3\n", "\"/nonexistent/env\" is missing"),
    ])
    func aMissingInterpreterIsToldAsThat(_ text: String, _ expected: String) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/script-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/broken-script"))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(folder)/broken-script")
        try await withEnrolledRedis(nodes: 1) { redis in
            for subcommand in ["run", "elect"] {
                for (program, path) in [("\(folder)/broken-script", "/bin"), ("broken-script", "/bin:\(folder)")] {
                    let result = try await Executable.run(
                        [subcommand, "a", "--", program],
                        redis: redis.urls,
                        environment: ["PATH": path]
                    )
                    #expect(result.exitCode == 126 && result.errors.contains(expected), "\(result)")
                }
            }
            let absent = try await Executable.run(["run", "a", "--", "\(folder)/absent"], redis: redis.urls)
            #expect(absent.exitCode == 127 && absent.errors.contains("command not found"))
        }
    }
}

/// A lock that is held until the process that asks for it has ended.
@Suite(.timeLimit(.minutes(2)))
struct OuterLockTests {
    @Test(arguments: [
        "run a b -- $REDLOCK run a -- true", "run a -- $REDLOCK run b -- $REDLOCK run a -- true",
        "run a -- $REDLOCK run -n a -- true", "run a -- $REDLOCK run b a -- true", "run a -- $REDLOCK acquire a",
        "run a -- $REDLOCK elect a -- true", "elect a -- $REDLOCK run a -- true", "elect a -- $REDLOCK elect a -- true",
        "run -s a -- $REDLOCK run a -- true", "run a -- $REDLOCK run -s a -- true",
        "run --slots 2 a -- $REDLOCK run --slots 2 a -- $REDLOCK run --slots 2 a -- true",
        "run a -- $REDLOCK run -q a -- true",
        // As sudo does it.
        "run a -- env -u REDLOCK_HELD -u REDLOCK_NAME $REDLOCK run a -- true",
    ])
    func aCommandDoesNotWaitForItself(_ line: String) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let result = try await Executable.shell("$REDLOCK \(line)", redis: redis.urls)
            #expect(result.exitCode == 64, "\(result)")
            #expect(result.errors.contains("wait for itself"))
        }
    }

    @Test(arguments: [
        "run a -- $REDLOCK run b -- echo ran", "run -s a -- $REDLOCK run -s a -- echo ran",
        "run --slots 2 a -- $REDLOCK run --slots 2 a -- echo ran",
        "run a -- $REDLOCK run --prefix other: a -- echo ran", "run a -- $REDLOCK run --slots 1 a -- echo ran",
    ])
    func whatIsNotHeldOutsideIsAcquired(_ line: String) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let other = try await Executable.run(["init", "--prefix", "other:"], redis: redis.urls)
            #expect(other.exitCode == 0)
            let result = try await Executable.shell("$REDLOCK \(line)", redis: redis.urls)
            #expect(result.exitCode == 0 && result.output == "ran\n", "\(result)")
        }
    }

    /// A holder that is no process above is waited for, as ever.
    @Test
    func anotherHolderIsWaitedFor() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let line =
                "$REDLOCK run a -c 'echo first; sleep 1; echo over' & sleep 0.5; REDLOCK_HELD=a $REDLOCK run a -- echo second; wait"
            let result = try await Executable.shell(line, redis: redis.urls)
            #expect(result.output == "first\nover\nsecond\n", "\(result)")
        }
    }
}

/// The owner token that `release` and `extend` read.
@Suite(.timeLimit(.minutes(1)))
struct OwnerTokenInputTests {
    @Test(arguments: ["release", "extend"])
    func anOpenPipeIsReadUpToTheEndOfTheLine(_ command: String) async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let token = try await Executable.run(["acquire", "a"], redis: redis.urls).output
            let line =
                "{ echo; sleep 1; printf '%s' \"$TOKEN\"; sleep 30; } | { $REDLOCK \(command) a; echo code $?; kill 0; }"
            let running = try Executable.Running(
                program: "/usr/bin/setsid",
                ["-w", "bash", "-c", line],
                environment: Executable.environment(redis.urls, ["REDLOCK": Executable.path, "TOKEN": token])
            )
            let result = try await running.result()
            #expect(result.output == "code 0\n", "\(result)")
            #expect(result.errors.contains("waiting for the owner token on standard input"))
            // Nothing is said where the token is there at once.
            let quick = try await Executable.run([command, "a"], redis: redis.urls, input: token)
            #expect(!quick.errors.contains("waiting"))
        }
    }

    @Test
    func nothingIsNoToken() async throws {
        for input in ["", "\n", " \n\n"] {
            let result = try await Executable.run(["release", "a"], redis: ["redis://127.0.0.1:1"], input: input)
            #expect(result.exitCode == 64 && result.errors.contains("no owner token"), "\(result)")
        }
    }
}

@Suite
struct UserNameTests {
    @Test
    func theFileOfLocalUsersIsRead() {
        let text = "root:x:0:0:root:/root:/bin/bash\nbroken\n:x:7:7::/:\nana:x:1000:1000:,,,:/home/ana:/bin/sh\n"
        #expect(LockOptions.userName(of: 1_000, inPasswords: text) == "ana")
        #expect(LockOptions.userName(of: 7, inPasswords: text) == nil)
        #expect(LockOptions.userName(of: 1, inPasswords: text) == nil)
    }

    @Test
    func theLabelNamesTheUserWithoutAnEnvironment() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let line = "env -u USER -u LOGNAME $REDLOCK run a -- sh -c 'echo ${REDLOCK_OWNER%@*}; id -un'"
            let words = try await Executable.shell(line, redis: redis.urls).output.split(separator: "\n")
            #expect(words.count == 2 && words[0] == words[1], "\(words)")
        }
    }
}

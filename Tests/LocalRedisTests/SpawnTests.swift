// SPDX-License-Identifier: Apache-2.0
import CSpawn
import Foundation
import Testing

@Suite struct SpawnTests {
    // MARK: Finding the program

    @Test func absentProgramIsNotFound() {
        #expect(Program(program: "/nonexistent/program").run().error == ENOENT)
        #expect(Program(program: "no-program-of-this-name").run().error == ENOENT)
        #expect(Program(program: "").run().error == ENOENT)
        #expect(Program(program: "sh", environment: ["PATH="]).run().error == ENOENT)
    }

    @Test func fileThatMayNotBeExecutedIsADifferentError() async throws {
        try await withTemporaryDirectory { directory in
            try writeFile("\(directory)/tool", "#!/bin/sh\n", mode: 0o644)
            #expect(Program(program: "\(directory)/tool").run().error == EACCES)
            #expect(Program(program: "tool", environment: ["PATH=\(directory):/usr/bin"]).run().error == EACCES)
            #expect(Program(program: directory).run().error == EACCES)
        }
    }

    @Test func lookupUsesThePathOfTheChildAndGoesOnBehindWhatMayNotBeExecuted() async throws {
        try await withTemporaryDirectory { first in
            try await withTemporaryDirectory { second in
                try writeFile("\(first)/tool", "#!/bin/sh\necho first\n", mode: 0o644)
                try writeFile("\(second)/tool", "#!/bin/sh\necho second\n")
                let path = "PATH=/nonexistent:\(first)/tool:\(first):\(second)"
                #expect(Program(program: "tool", environment: [path]).run().output == "second\n")
            }
        }
    }

    @Test func relativeProgramAndEmptyPathEntryBelongToTheWorkingDirectory() async throws {
        try await withTemporaryDirectory { directory in
            try writeFile("\(directory)/tool", "#!/bin/sh\npwd\n")
            let relative = Program(program: "./tool", workingDirectory: directory).run()
            #expect(relative.output.hasSuffix(directory + "\n"))
            let empty = Program(program: "tool", environment: ["PATH=/nonexistent:"], workingDirectory: directory).run()
            #expect(empty.output.hasSuffix(directory + "\n"))
        }
        #expect(Program(program: "/bin/sh", workingDirectory: "/nonexistent").run().error == ENOENT)
    }

    @Test func scriptWithoutInterpreterLineRunsInTheShell() async throws {
        try await withTemporaryDirectory { directory in
            try writeFile("\(directory)/tool", "echo \"$# $1 $2\"\n")
            let outcome = Program(program: "\(directory)/tool", arguments: ["a b", "c"]).run()
            #expect(outcome.output == "2 a b c\n")
        }
    }

    @Test func argumentsEnvironmentAndExitCodePass() {
        let outcome = Program(
            arguments: ["-c", "echo \"$0 $1 $NAME\"; exit 7", "zero", "one"],
            environment: ["NAME=value"]
        ).run()
        #expect(outcome.output == "zero one value\n")
        #expect(cspawn_exited(outcome.status) && cspawn_exit_code(outcome.status) == 7)
    }

    // MARK: What the child starts with

    @Test func groupAndSession() throws {
        for (kind, leadsGroup, leadsSession) in [
            (CSPAWN_GROUP_INHERITED, false, false), (CSPAWN_GROUP_OWN, true, false), (CSPAWN_SESSION_OWN, true, true),
        ] {
            var program = Program(program: "/bin/sleep", arguments: ["60"])
            program.processGroup = kind
            let (error, process) = program.spawn()
            try #require(error == 0)
            // Set before the program starts, so right as soon as the call is back.
            #expect(getpgid(process) == (leadsGroup ? process : getpgrp()))
            #expect(getsid(process) == (leadsSession ? process : getsid(0)))
            kill(process, SIGKILL)
            let status = waitForEnd(of: process)
            #expect(cspawn_signaled(status) && cspawn_termination_signal(status) == SIGKILL)
        }
    }

    @Test func terminalNeedsAGroupOfItsOwn() {
        var program = Program.shell("exit 0")
        program.terminal = 0
        #expect(program.run().error == EINVAL)
    }

    @Test func noDescriptorIsInherited() throws {
        // Without close-on-exec, as a careless library would leave it.
        let source = open("/dev/null", O_RDONLY)
        defer { close(source) }
        let low = dup(source)
        defer { close(low) }
        let high = fcntl(source, F_DUPFD, 200)
        defer { close(high) }
        try #require(low > 2 && high >= 200)
        let outcome = Program.shell(
            "for d in \(low) \(high); do if [ -e /dev/fd/$d ]; then echo open; else echo closed; fi; done"
        ).run()
        #expect(outcome.output == "closed\nclosed\n")
    }

    @Test(arguments: [SIGTERM, SIGUSR1])
    func signalMaskAndDispositionsAreReset(number: Int32) {
        // The shell signals itself: a blocked or ignored signal would let it reach its exit code.
        var blocked = sigset_t()
        var previous = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &blocked, &previous)
        let disposition = signal(SIGUSR1, SIG_IGN)
        let outcome = Program.shell("kill -\(number) $$; exit 3").run()
        signal(SIGUSR1, disposition)
        pthread_sigmask(SIG_SETMASK, &previous, nil)
        #expect(cspawn_signaled(outcome.status) && cspawn_termination_signal(outcome.status) == number)
    }

    @Test func manyThreadsSpawnAtOnce() async {
        let failures = await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    (0..<20).filter { _ in Program.shell("exit 0").run().status != 0 }.count
                        + (0..<20).filter { _ in Program(program: "/nonexistent").run().error != ENOENT }.count
                }
            }
            return await group.reduce(0, +)
        }
        #expect(failures == 0)
    }

    #if os(Linux)
        @Test func childDiesWithTheThreadThatStartedIt() async throws {
            for deathSignal in [SIGKILL, 0] {
                var program = Program(program: "/bin/sleep", arguments: ["60"])
                program.parentDeathSignal = deathSignal
                let process: Int32 = await withCheckedContinuation { continuation in
                    Thread { [program] in continuation.resume(returning: program.spawn().process) }.start()
                }
                try #require(process > 0)
                var status: Int32 = 0
                if deathSignal == 0 {
                    // The control: without the signal the child outlives the thread.
                    try await Task.sleep(for: .milliseconds(300))
                    #expect(waitpid(process, &status, WNOHANG) == 0)
                    kill(process, SIGTERM)
                    status = waitForEnd(of: process)
                    #expect(cspawn_termination_signal(status) == SIGTERM)
                } else {
                    #expect(try await eventuallyTrue { waitpid(process, &status, WNOHANG) == process })
                    #expect(cspawn_signaled(status) && cspawn_termination_signal(status) == SIGKILL)
                }
            }
        }
    #endif
}

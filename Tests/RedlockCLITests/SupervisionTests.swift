// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// What becomes of the command when something happens to `redlock` or to the lock.
@Suite(.timeLimit(.minutes(2)))
struct SupervisionTests {
    /// A shell that tells its id and that of a process it started, and then waits.
    private static let family = "sleep 300 & echo $$ $! ready; wait; wait"

    private static func processIDs(in output: String) -> [pid_t] {
        output.split(whereSeparator: \.isWhitespace).compactMap { pid_t($0) }
    }

    @Test(arguments: [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])
    func signalsReachTheWholeGroup(_ signal: Int32) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            // The inner shell shows that not only the command itself gets the signal.
            let number = String(signal)
            let running = try Executable.Running(
                [
                    "run", "--json", "a", "-c",
                    """
                    trap 'echo outer' \(number)
                    sh -c 'trap "echo inner; exit 0" \(number); echo ready; while :; do sleep 0.05; done'
                    exit 7
                    """,
                ],
                environment: Executable.environment(redis.urls)
            )
            try await running.waitFor("ready")
            running.send(signal)
            let result = try await running.result()
            // A signal that is ignored where the tests run stays ignored.
            #expect(result.output.contains("outer") && result.output.contains("inner"), "\(result)")
            #expect(result.exitCode == 7)
            #expect(result.event("signal") != nil)
        }
    }

    @Test(arguments: [SIGHUP, SIGTERM])
    func aSignalEndsTheWaitingAndLeavesNothing(_ signal: Int32) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let token = try await Executable.run(["acquire", "--ttl", "20s", "a"], redis: redis.urls).output
            for command in [["run", "-v", "a", "--", "echo", "ran"], ["acquire", "a"]] {
                let waiting = try Executable.Running(command, environment: environment)
                if command[0] == "run" { try await waiting.waitFor("waiting") }
                try await Task.sleep(for: .milliseconds(300))
                waiting.send(signal)
                let began = ContinuousClock.now
                let result = try await waiting.result()
                #expect(result.exitCode == 128 + signal)
                #expect(ContinuousClock.now - began < .seconds(5))
                #expect(!result.output.contains("ran"))
            }
            let release = try await Executable.run(["release", "a"], redis: redis.urls, input: token)
            #expect(release.exitCode == 0)
            #expect(try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test
    func nothingOutlivesAKilledRedlock() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let running = try Executable.Running(
                ["run", "a", "-c", Self.family],
                environment: Executable.environment(redis.urls)
            )
            try await running.waitFor("ready")
            let family = Self.processIDs(in: running.output)
            #expect(family.count == 2 && family.allSatisfy(isRunning))
            running.send(SIGKILL)
            _ = try await running.result()
            try await eventually("the end of the command and what it started") { !family.contains(where: isRunning) }
        }
    }

    @Test
    func whatTheCommandLeavesBehindWhenItEndsGoesOn() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            // It inherits the descriptor by which the process of the tests hears of the end.
            let line = #"eval exec $(seq -f "%g>&-" 3 255); sleep 300 > /dev/null 2>&1 & echo $!"#
            let result = try await Executable.run(["run", "a", "--", "bash", "-c", line], redis: redis.urls)
            let left = try #require(Self.processIDs(in: result.output).first)
            #expect(result.exitCode == 0)
            try await Task.sleep(for: .milliseconds(300))
            #expect(isRunning(left))
            kill(left, SIGKILL)
        }
    }

    @Test
    func aLostLockStopsTheCommandInTime() async throws {
        let trace = FileManager.default.temporaryDirectory.appending(path: "redlock-trace-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: trace) }
        try await withEnrolledRedis(nodes: 3) { redis in
            // Part of the command ignores TERM and leaves a trace as long as it runs.
            let stubborn = "trap '' TERM; while :; do : >'\(trace.path)'; sleep 0.02; done"
            let running = try Executable.Running(
                [
                    "run", "--json", "--ttl", "3s", "-k", "300ms", "a", "-c",
                    "(\(stubborn)) & trap 'echo told' TERM; echo $$ $! ready; wait; wait",
                ],
                environment: Executable.environment(redis.urls)
            )
            try await running.waitFor("ready")
            let family = Self.processIDs(in: running.output)
            try await redis[0].pause()
            try await redis[1].pause()
            // Until here two of three renewed.
            let paused = Date()
            let result = try await running.result()
            try await eventually("the end of the command and what it started") { !family.contains(where: isRunning) }
            try await redis[0].resume()
            try await redis[1].resume()
            #expect(result.exitCode == 75)
            #expect(result.output.contains("told"))
            // The keys live for 3 s from the last renewal that reached a quorum, which was before the pause.
            let lastTrace = try #require(
                trace.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate
            )
            #expect(lastTrace.timeIntervalSince(paused) < 3)
            #expect(lastTrace.timeIntervalSince(paused) > 0, "it ran on until it was killed")
            #expect(result.event("lost")?["reason"] as? String == "lost")
            #expect(result.event("exited")?["signal"] as? String == "KILL")
            #expect(result.event("error")?["exitCode"] as? Int == 75)
        }
    }

    @Test
    func aCommandThatEndsWhenToldIsNotKilled() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let running = try Executable.Running(
                [
                    "run", "--json", "--ttl", "3s", "--signal", "USR1", "a", "-c",
                    "trap 'echo told; exit 5' USR1; \(Self.family)",
                ],
                environment: Executable.environment(redis.urls)
            )
            try await running.waitFor("ready")
            let family = Self.processIDs(in: running.output)
            _ = try await redis[0].send("FLUSHALL")
            let result = try await running.result()
            #expect(result.exitCode == 75)
            #expect(result.output.contains("told"))
            #expect(result.event("exited")?["exitCode"] as? Int == 5)
            try await eventually("the end of what the command started") { !family.contains(where: isRunning) }
        }
    }

    @Test
    func theMaximumHoldEndsTheCommand() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let began = ContinuousClock.now
            let result = try await Executable.run(
                ["run", "--json", "--max-hold", "1s", "a", "-c", "trap '' TERM; sleep 300"],
                redis: redis.urls
            )
            #expect(result.exitCode == 75)
            #expect(result.event("lost")?["reason"] as? String == "maximumHold", "\(result.errors)")
            #expect((.milliseconds(500)...(.seconds(30))).contains(ContinuousClock.now - began))
        }
    }

    @Test
    func aStoppedRedlockFindsTheLockLostAndKillsAtOnce() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let running = try Executable.Running(
                ["run", "--ttl", "1s", "a", "-c", "trap 'echo told' TERM; \(Self.family)"],
                environment: Executable.environment(redis.urls)
            )
            try await running.waitFor("ready")
            running.send(SIGSTOP)
            try await Task.sleep(for: .milliseconds(1_500))
            running.send(SIGCONT)
            let result = try await running.result()
            #expect(result.exitCode == 75)
            #expect(!result.output.contains("told"))
        }
    }

    @Test
    func aStoppedRedlockCannotKeepTheCommandAliveBeyondTheLock() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let running = try Executable.Running(
                [
                    "run", "--json", "--ttl", "2s", "a", "-c",
                    "echo $$ ready; while :; do echo; sleep 0.02; done & echo $!; wait",
                ],
                environment: Executable.environment(redis.urls)
            )
            try await running.waitFor("ready")
            // Renewals meanwhile: the deadline must have moved on with them.
            try await Task.sleep(for: .milliseconds(2_500))
            let family = Self.processIDs(in: running.output)
            #expect(family.count == 2 && family.allSatisfy(isRunning))
            running.send(SIGSTOP)
            try await eventually("the end of the key") { try await redis[0].send("EXISTS", "redlock:lock:a") == "0" }
            #expect(!family.contains(where: isRunning))
            running.send(SIGCONT)
            let result = try await running.result()
            #expect(result.exitCode == 75, "\(result.errors)")
            #expect(result.event("lost")?["reason"] as? String == "lost")
        }
    }

    @Test
    func aReaderThatStopsReadingDoesNotKeepTheCommandAlive() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            // Standard error is a full pipe that nobody reads.
            let line = """
                \(Executable.path) run --json --max-hold 1s a -c 'head -c 70000 /dev/zero >&2 & sleep 300'
                echo code $? >&3
                """
            let running = try Executable.Running(
                ["run", "outer", "--", "bash", "-c", "exec 3>&1; { \(line)\n } 2> >(sleep 25)"],
                environment: Executable.environment(redis.urls)
            )
            let began = ContinuousClock.now
            try await running.waitFor("code 75")
            #expect(ContinuousClock.now - began < .seconds(20))
            _ = try await running.result()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import RedlockBenchmarks

struct ChildProcessTests {
    private func shell(_ script: String, limit: Duration = .seconds(30)) -> ChildProcess {
        ChildProcess(executable: URL(fileURLWithPath: "/bin/sh"), arguments: ["-c", script], limit: limit)
    }

    @Test
    func tellsWhatWasPrinted() async throws {
        let result = try await shell("echo one; echo two >&2").run()
        #expect(result.output == "one\n")
        #expect(result.errors == "two\n")
    }

    @Test
    func aFailureSaysWhatTheProgramSaid() async throws {
        let error = try await #require(throws: BenchmarkError.self) {
            _ = try await shell("echo '{}'; echo 'no quorum' >&2; exit 3").run()
        }
        #expect(error.description.contains("exit code 3"))
        #expect(error.description.contains("no quorum"))
    }

    @Test
    func whatDoesNotEndIsEnded() async throws {
        let error = try await #require(throws: BenchmarkError.self) {
            _ = try await shell("exec sleep 60", limit: .milliseconds(100)).run()
        }
        #expect(error.description.contains("signal 9"))
    }

    @Test
    func endsWithTheTask() async throws {
        let task = Task { try await shell("exec sleep 60").run() }
        try await Task.sleep(for: .milliseconds(100))
        let cancelled = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(ContinuousClock.now - cancelled < .seconds(10))
    }

    #if os(Linux)
        @Test
        func keepsNoDescriptors() async throws {
            func count() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
            _ = try await shell("true").run()
            let before = try count()
            for _ in 0..<20 { _ = try await shell("true").run() }
            // Other tests run at the same time and have files and sockets of their own.
            #expect(try count() < before + 20)
        }
    #endif
}

struct ServerCountersTests {
    @Test
    func scriptsAreSentAndWhatTheyCallIsNot() {
        let before = ServerCounters(calls: ["evalsha": 10, "get": 10, "info": 3], reads: 100)
        let after = ServerCounters(calls: ["evalsha": 14, "get": 16, "time": 2, "info": 4], reads: 112)
        let traffic = ServerCounters.traffic(from: [before], to: [after], isCompatible: false)
        #expect(traffic == Traffic(commands: 6, calls: 12, reads: 10))
    }

    /// The compatible profile sets keys itself.
    @Test
    func whoSetsKeysIsCounted() {
        let before = ServerCounters(calls: [:], reads: 0)
        let after = ServerCounters(calls: ["evalsha": 1, "set": 1, "info": 1], reads: 4)
        #expect(ServerCounters.traffic(from: [before], to: [after], isCompatible: true).commands == 2)
        #expect(ServerCounters.traffic(from: [before], to: [after], isCompatible: false).commands == 1)
    }

    @Test
    func isTheMeanOfTheNodes() {
        let before = ServerCounters(calls: ["info": 0], reads: 0)
        let nodes = [2, 4].map { ServerCounters(calls: ["evalsha": $0, "info": 1], reads: 2 + $0) }
        let traffic = ServerCounters.traffic(from: [before, before], to: nodes, isCompatible: false)
        #expect(traffic == Traffic(commands: 3, calls: 3, reads: 3))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// `redlock local` where the directory or the servers are not as they should be.
@Suite(.timeLimit(.minutes(2)))
struct LocalCommandTests {
    @Test
    func aDirectoryThatCannotBeIsAnErrorInOneLine() async throws {
        for path in ["/dev/null", "/dev/null/below", "/proc/nothing"] {
            let result = try await Executable.run(["local", "up", "--nodes", "1", "--directory", path])
            #expect(result.exitCode == 69, "\(result.errors)")
            #expect(result.errorLines.count == 1 && result.errors.contains(path), "\(result.errors)")
        }
    }

    @Test
    func upSaysWhichServersAreDead() async throws {
        let path = NSTemporaryDirectory() + "redlock-local-\(UUID().uuidString)"
        func local(_ arguments: String...) async throws -> Executable.Result {
            try await Executable.run(["local"] + arguments + ["--directory", path])
        }
        let start = try await local("up", "--nodes", "3", "--base-port", "27301")
        #expect(start.exitCode == 0, "\(start.errors)")
        _ = try await local("kill", "1", "2")
        let again = try await local("up")
        #expect(again.exitCode == 0 && again.output == start.output)
        #expect(again.errors.contains("2 of 3 servers are dead: redlock local restart 1 2"), "\(again.errors)")
        #expect(try await local("down").exitCode == 0)
    }

    @Test(arguments: [[], ["--no-persistence"]])
    func locksWorkAtOnceAlsoAfterAStopOfAll(_ persistence: [String]) async throws {
        let path = NSTemporaryDirectory() + "redlock-local-\(UUID().uuidString)"
        func local(_ arguments: [String]) async throws -> Executable.Result {
            try await Executable.run(["local"] + arguments + ["--directory", path])
        }
        let start = try await local(["up", "--nodes", "3", "--base-port", "27311"] + persistence)
        #expect(start.exitCode == 0 && start.errorLines.count == 1, "\(start.errors)")
        let list = start.output.trimmingPrefix("export REDLOCK_REDIS=").trimmingCharacters(in: .newlines)
        func redlock(_ arguments: String...) async throws -> Int32 {
            try await Executable.run(arguments, redis: [list]).exitCode
        }
        #expect(try await redlock("run", "-n", "a", "--", "true") == 0)
        #expect(try await redlock("doctor") == 0)
        _ = try await local(["down", "--keep-data"])
        let again = try await local(["up"])
        #expect(again.exitCode == 0 && again.output == start.output, "\(again.errors)")
        #expect(again.errorLines.count == 1, "\(again.errors)")
        #expect(try await redlock("run", "-n", "a", "--", "true") == 0)
        // What was lost by one server alone is no new set.
        _ = try await local(["restart", "2", "--empty"])
        #expect(try await redlock("doctor") == 69)
        #expect(try await redlock("run", "-n", "a", "--", "true") == 0)
        #expect(try await local(["down"]).exitCode == 0)
    }
}

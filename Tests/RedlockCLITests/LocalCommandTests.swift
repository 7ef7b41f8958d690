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

    /// Servers of which the caller could not be told are stopped again; those that ran already stay.
    @Test
    func serversDoNotOutliveALineThatCannotBeWritten() async throws {
        let path = NSTemporaryDirectory() + "redlock-local-\(UUID().uuidString)"
        func local(_ arguments: String) async throws -> Executable.Result {
            try await Executable.shell("$REDLOCK local \(arguments) --directory \(path)", redis: [])
        }
        let lost = try await local("up --nodes 1 --base-port 27321 >/dev/full")
        #expect(lost.exitCode == 71, "\(lost)")
        #expect(lost.errorLines.count == 1, "\(lost)")
        let none = try await local("status")
        #expect(none.exitCode != 0 && none.output.isEmpty, "\(none)")
        // Again with data: only stopped.
        #expect(try await local("up --nodes 1 --base-port 27321").exitCode == 0)
        #expect(try await local("up >/dev/full").exitCode == 71)
        #expect(try await local("status").output.contains("running"))
        #expect(try await local("down --keep-data").exitCode == 0)
        #expect(try await local("up >/dev/full").exitCode == 71)
        let stopped = try await local("status")
        #expect(stopped.output.contains("dead"), "\(stopped)")
        #expect(try await local("down").exitCode == 0)
    }

    @Test
    func upStartsTheServerThatWasNamed() async throws {
        let path = NSTemporaryDirectory() + "redlock-local-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let program = "\(path)/another-server"
        try "#!/bin/sh\necho started >>\(path)/starts\nexec redis-server \"$@\"\n"
            .write(toFile: program, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        func local(_ arguments: String...) async throws -> Executable.Result {
            try await Executable.run(["local"] + arguments + ["--directory", "\(path)/set"])
        }
        func starts() throws -> Int {
            try String(contentsOfFile: "\(path)/starts", encoding: .utf8).split(separator: "\n").count
        }
        let start = try await local("up", "--nodes", "1", "--base-port", "27331", "--server", program)
        #expect(try start.exitCode == 0 && starts() == 1, "\(start.errors)")
        // The set knows its program, and a set of another one is not silently taken for it.
        _ = try await local("restart", "1")
        #expect(try starts() == 2)
        #expect(try await local("up", "--server", program).exitCode == 0)
        let other = try await local("up", "--server", "redis-server")
        #expect(other.exitCode == 1 && other.errors.contains(program), "\(other.errors)")
        #expect(try await local("down").exitCode == 0)
        let missing = try await local("up", "--nodes", "1", "--server", "\(path)/missing")
        #expect(missing.exitCode == 69 && missing.errors.contains("\(path)/missing was not found"), "\(missing.errors)")
    }
}

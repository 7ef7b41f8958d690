// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// The built command `redlock`, run as users run it.
struct Executable {
    struct Result {
        let exitCode: Int32
        let output: String
        let errors: String

        /// The lines on standard error.
        var errorLines: [Substring] { errors.split(separator: "\n") }

        /// The JSON events on standard error, by their kind.
        var events: [[String: Any]] {
            errorLines.compactMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
        }

        /// The JSON object on standard output.
        func object() throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
        }

        func event(_ kind: String) -> [String: Any]? {
            events.first { $0["event"] as? String == kind }
        }
    }

    static let path = BuiltProgram.path("redlock")

    /// An environment without anything of `redlock` in it.
    static func environment(_ redis: [String] = [], _ more: [String: String] = [:]) -> [String: String] {
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("REDLOCK") }
        environment["REDISCLI_AUTH"] = nil
        if !redis.isEmpty { environment["REDLOCK_REDIS"] = redis.joined(separator: ",") }
        return environment.merging(more) { $1 }
    }

    /// Runs it to its end.
    static func run(
        _ arguments: [String],
        redis: [String] = [],
        environment: [String: String] = [:],
        input: String = ""
    ) async throws -> Result {
        let running = try Running(arguments, environment: Self.environment(redis, environment), input: input)
        return try await running.result()
    }

    /// Runs a line of bash in which `$REDLOCK` is the command.
    static func shell(
        _ line: String,
        redis: [String] = [],
        environment: [String: String] = [:]
    ) async throws -> Result {
        let running = try Running(
            program: "/bin/bash",
            ["-c", line],
            environment: Self.environment(redis, environment.merging(["REDLOCK": path]) { $1 })
        )
        return try await running.result()
    }

    /// One run of it.
    ///
    /// Its output goes to files: what it leaves running must not keep a pipe open.
    final class Running {
        private let process = Process()
        private let folder: URL
        private let ended = AsyncStream.makeStream(of: Void.self)

        var processID: pid_t { process.processIdentifier }

        init(
            program: String = Executable.path,
            _ arguments: [String],
            environment: [String: String],
            input: String = ""
        ) throws {
            folder = FileManager.default.temporaryDirectory.appendingPathComponent("redlock-cli-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for name in ["output", "errors"] {
                _ = FileManager.default.createFile(atPath: folder.appendingPathComponent(name).path, contents: nil)
            }
            try Data(input.utf8).write(to: folder.appendingPathComponent("input"))
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            process.environment = environment
            let input = try FileHandle(forReadingFrom: folder.appendingPathComponent("input"))
            let output = try FileHandle(forWritingTo: folder.appendingPathComponent("output"))
            let errors = try FileHandle(forWritingTo: folder.appendingPathComponent("errors"))
            // `Process` never lets go of them, and crashes once there are more than 1,024 descriptors.
            defer { for handle in [input, output, errors] { try? handle.close() } }
            (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
            let continuation = ended.continuation
            process.terminationHandler = { _ in continuation.finish() }
            try process.run()
        }

        deinit {
            // A test that failed leaves nothing running; the command goes with redlock.
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            try? FileManager.default.removeItem(at: folder)
        }

        var output: String { text("output") }
        var errors: String { text("errors") }

        func send(_ signal: Int32) {
            kill(processID, signal)
        }

        /// What it told goes into the trace of the tests, which is searched for secrets; only `acquire` prints one, as its
        /// result.
        private func addToTrace() {
            guard let path = ProcessInfo.processInfo.environment["REDLOCK_TEST_TRACE"],
                let file = FileHandle(forWritingAtPath: path)
            else { return }
            defer { try? file.close() }
            let told = process.arguments?.first == "acquire" ? errors : output + errors
            _ = try? file.seekToEnd()
            try? file.write(contentsOf: Data(told.utf8))
        }

        /// Waits for the end; a run that takes longer than any should is killed, and its exit code is then 9.
        func result() async throws -> Result {
            let process = process
            let watchdog = Task {
                try await Task.sleep(for: .seconds(60))
                kill(process.processIdentifier, SIGKILL)
            }
            for await _ in ended.stream {}
            watchdog.cancel()
            // Of a task that is cancelled, the stream ends at once.
            guard !process.isRunning else { throw CancellationError() }
            addToTrace()
            return Result(exitCode: process.terminationStatus, output: output, errors: errors)
        }

        /// Waits until standard output or error holds the text.
        func waitFor(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            try await eventually("\"\(text)\" in the output", sourceLocation: sourceLocation) {
                output.contains(text) || errors.contains(text) || !process.isRunning
            }
            let seen = "\(output)\(errors)"
            #expect(seen.contains(text), sourceLocation: sourceLocation)
        }

        private func text(_ name: String) -> String {
            let data = (try? Data(contentsOf: folder.appendingPathComponent(name))) ?? Data()
            return String(decoding: data, as: UTF8.self)
        }
    }
}

/// Runs the body with private servers whose votes count.
func withEnrolledRedis<Value>(
    nodes count: Int,
    options: LocalRedisOptions = LocalRedisOptions(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (LocalRedisSet) async throws -> Value
) async throws -> Value {
    try await withLocalRedis(nodes: count, options: options) { redis in
        let enrolment = try await Executable.run(["init"], redis: redis.urls)
        #expect(enrolment.exitCode == 0, "\(enrolment.errors)")
        return try await body(redis)
    }
}

/// Whether a process of this id runs (one that has ended and was not waited for does not).
func isRunning(_ processID: pid_t) -> Bool {
    guard kill(processID, 0) == 0 else { return false }
    guard let status = try? String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8) else {
        return !FileManager.default.fileExists(atPath: "/proc/self/stat")
    }
    return status.split(separator: ")").last?.split(separator: " ").first != "Z"
}

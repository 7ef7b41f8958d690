// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A program that is run to its end.
struct ChildProcess {
    let executable: URL
    let arguments: [String]
    /// After which time it is ended, as it will not end by itself any more.
    var limit: Duration = .seconds(120)

    struct Result {
        let output: String
        let errors: String
    }

    /// The executable of the given name in the folder of this one.
    static func beside(_ name: String) throws -> URL {
        let own = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
        let executable = own.resolvingSymlinksInPath().deletingLastPathComponent().appendingPathComponent(name)
        guard FileManager.default.isExecutableFile(atPath: executable.path) else {
            throw BenchmarkError("there is no \(executable.path); build it with: make bench")
        }
        return executable
    }

    /// The executable of a name, as it is found in PATH; nil if there is none.
    static func inPath(_ name: String) -> URL? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { URL(fileURLWithPath: String($0)).appendingPathComponent(name) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    /// Runs the program; it is ended if the task is cancelled.
    ///
    /// - Throws: `BenchmarkError` with what it wrote to standard error, if it fails.
    func run() async throws -> Result {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let (output, errors) = (folder.url("output"), folder.url("errors"))
        let process = try start(output: output, errors: errors)
        let watchdog = Task {
            try await Task.sleep(for: limit)
            process.end()
        }
        await withTaskCancellationHandler {
            await process.waitUntilEnd()
        } onCancel: {
            process.end()
        }
        watchdog.cancel()
        try Task.checkCancellation()
        let result = Result(output: Self.text(output), errors: Self.text(errors))
        guard process.hasSucceeded else { throw failure(process, result) }
        return result
    }

    private func start(output: URL, errors: URL) throws -> RunningProcess {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        let outputHandle = try FileHandle(forWritingTo: output)
        let errorsHandle = try FileHandle(forWritingTo: errors)
        // `Process` never lets go of them.
        defer { for handle in [outputHandle, errorsHandle] { try? handle.close() } }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = outputHandle
        process.standardError = errorsHandle
        return try RunningProcess(starting: process)
    }

    private func failure(_ process: RunningProcess, _ result: Result) -> BenchmarkError {
        let command = ([executable.lastPathComponent] + arguments).joined(separator: " ")
        let errors = result.errors.trimmingCharacters(in: .whitespacesAndNewlines)
        return BenchmarkError("\(process.ending): \(command)\n\(errors.isEmpty ? "it said nothing" : errors)")
    }

    private static func text(_ file: URL) -> String {
        String(decoding: (try? Data(contentsOf: file)) ?? Data(), as: UTF8.self)
    }
}

/// A child that may still run.
///
/// `@unchecked Sendable`: `Process` may be asked and signalled from any thread once it was started.
private final class RunningProcess: @unchecked Sendable {
    private let process: Process
    private let ended = AsyncStream.makeStream(of: Void.self)

    init(starting process: Process) throws {
        self.process = process
        let continuation = ended.continuation
        process.terminationHandler = { _ in continuation.finish() }
        try process.run()
    }

    /// Ends it at once; does nothing if it has ended.
    func end() {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    func waitUntilEnd() async {
        for await _ in ended.stream {}
        // Of a task that is cancelled, the stream ends at once, and then the process has been killed.
        process.waitUntilExit()
    }

    var hasSucceeded: Bool { process.terminationReason == .exit && process.terminationStatus == 0 }

    /// How it ended, for people to read.
    var ending: String {
        switch process.terminationReason {
        case .uncaughtSignal: "ended by signal \(process.terminationStatus)"
        default: "failed with exit code \(process.terminationStatus)"
        }
    }
}

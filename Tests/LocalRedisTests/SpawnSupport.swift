// SPDX-License-Identifier: Apache-2.0
import CSpawn
import Foundation

/// A program for `cspawn`, with its output caught and its end waited for.
struct Program {
    var program = "/bin/sh"
    var arguments: [String] = []
    var environment = ["PATH=/usr/bin:/bin"]
    var workingDirectory: String?
    var processGroup: Int = CSPAWN_GROUP_INHERITED
    var parentDeathSignal: Int32 = 0
    var terminal: Int32 = -1

    struct Outcome {
        var error: Int32 = 0
        var status: Int32 = 0
        var output = ""
    }

    static func shell(_ script: String) -> Program {
        Program(arguments: ["-c", script])
    }

    /// The error number, and the process id if there is none.
    func spawn(standardOutput: Int32 = -1) -> (error: Int32, process: Int32) {
        let argumentStrings = ([program] + arguments).map { strdup($0) }
        let environmentStrings = environment.map { strdup($0) }
        let programString = strdup(program)
        let directoryString = workingDirectory.flatMap { strdup($0) }
        defer {
            (argumentStrings + environmentStrings + [programString, directoryString]).forEach { free($0) }
        }
        var process: Int32 = 0
        let error = (argumentStrings + [nil]).withUnsafeBufferPointer { arguments in
            (environmentStrings + [nil]).withUnsafeBufferPointer { environment in
                var request = cspawn_request()
                request.program = UnsafePointer(programString)
                request.arguments = arguments.baseAddress
                request.environment = environment.baseAddress
                request.working_directory = UnsafePointer(directoryString)
                request.standard_input = -1
                request.standard_output = standardOutput
                request.standard_error = -1
                request.process_group = Int32(processGroup)
                request.parent_death_signal = parentDeathSignal
                request.terminal = terminal
                return cspawn(&request, &process)
            }
        }
        return (error, process)
    }

    func run() -> Outcome {
        let pipe = Pipe()
        let (error, process) = spawn(standardOutput: pipe.fileHandleForWriting.fileDescriptor)
        try? pipe.fileHandleForWriting.close()
        guard error == 0 else { return Outcome(error: error) }
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        return Outcome(status: waitForEnd(of: process), output: String(decoding: output, as: UTF8.self))
    }
}

func waitForEnd(of process: Int32) -> Int32 {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    return status
}

/// Asks often until it is so, or ten seconds are over.
func eventuallyTrue(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<1_000 {
        if condition() { return true }
        try await Task.sleep(for: .milliseconds(10))
    }
    return false
}

/// A new directory, removed after the body.
func withTemporaryDirectory<Result>(
    isolation: isolated (any Actor)? = #isolation,
    _ body: (String) async throws -> Result
) async throws -> Result {
    let path = FileManager.default.temporaryDirectory.path + "/local-\(UInt32.random(in: .min ... .max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

func writeFile(_ path: String, _ text: String, mode: Int = 0o755) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
}

func mode(of path: String) throws -> Int? {
    (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
}

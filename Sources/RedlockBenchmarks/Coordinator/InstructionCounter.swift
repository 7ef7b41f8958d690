// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis

/// Counts the instructions of one cycle of one task: those of a long run less those of a short one, so that start, end
/// and warming up are in neither.
struct InstructionCounter {
    private enum Tool: String, CaseIterable {
        case perf
        case callgrind
    }

    private let tool: Tool
    private let folder: TemporaryFolder

    /// The instructions of every subject that is counted; none where nothing counts instructions.
    static func count(on servers: BenchmarkServers) async throws -> [BenchmarkReport.InstructionCount] {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        guard let counter = await available(folder) else { return [] }
        var counts: [BenchmarkReport.InstructionCount] = []
        for subject in [BenchmarkReport.Subject.limitPlain, .standard, .compatible] {
            counts.append(try await counter.count(subject, on: servers))
        }
        return counts
    }

    /// What counts here; virtual machines often have perf and nothing that it could count with.
    private static func available(_ folder: TemporaryFolder) async -> InstructionCounter? {
        for tool in Tool.allCases {
            let counter = InstructionCounter(tool: tool, folder: folder)
            let program = ChildProcess(executable: URL(fileURLWithPath: "/bin/true"), arguments: [])
            if (try? await counter.instructions(of: program)) != nil { return counter }
        }
        return nil
    }

    private func count(
        _ subject: BenchmarkReport.Subject,
        on servers: BenchmarkServers
    ) async throws -> BenchmarkReport.InstructionCount {
        // Callgrind takes fifty times as long as the program itself.
        let cycles = tool == .perf ? 5_000 : 300
        let short = try await instructions(of: program(subject, cycles: cycles, servers))
        let long = try await instructions(of: program(subject, cycles: 3 * cycles, servers))
        return BenchmarkReport.InstructionCount(
            subject: subject,
            nodeCount: servers.redis.servers.count,
            counter: tool.rawValue,
            instructionsPerCycle: Double(long - short) / Double(2 * cycles)
        )
    }

    private func program(
        _ subject: BenchmarkReport.Subject,
        cycles: Int,
        _ servers: BenchmarkServers
    ) async throws -> ChildProcess {
        if subject == .limitPlain { return try await servers.limit(subject, taskCount: 1, ["--cycles", "\(cycles)"]) }
        let nodeCount = servers.redis.servers.count
        let row = RowPlan(workload: .uncontended, subject: subject, nodeCount: nodeCount, taskCount: 1, seconds: 1)
        var order = servers.order(row)
        order.cycles = cycles
        return try servers.worker(order)
    }

    /// How many instructions the whole program takes in user space.
    private func instructions(of program: ChildProcess) async throws -> Int {
        let count =
            switch tool {
            case .perf: try await countedByPerf(program)
            case .callgrind: try await countedByCallgrind(program)
            }
        guard let count else { throw BenchmarkError("\(tool.rawValue) counted no instructions") }
        return count
    }

    private func countedByPerf(_ program: ChildProcess) async throws -> Int? {
        let arguments = ["stat", "-x", ",", "-e", "instructions:u", program.executable.path] + program.arguments
        let lines = try await run("perf", arguments).split(separator: "\n")
        return lines.first { $0.contains("instructions") }?.split(separator: ",").first.flatMap { Int($0) }
    }

    private func countedByCallgrind(_ program: ChildProcess) async throws -> Int? {
        let executable = try await withoutDebugInformation(program.executable)
        let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null", executable.path] + program.arguments
        let lines = try await run("valgrind", arguments).split(separator: "\n")
        return lines.first { $0.contains("Collected :") }?.split(separator: " ").last.flatMap { Int($0) }
    }

    /// A copy of the program: valgrind reads debugging information, and fails where the compiler is newer than itself.
    private func withoutDebugInformation(_ executable: URL) async throws -> URL {
        let copy = folder.url(executable.lastPathComponent)
        if !FileManager.default.fileExists(atPath: copy.path) {
            _ = try await run("strip", ["-g", "-o", copy.path, executable.path])
        }
        return copy
    }

    /// What a program that counts writes to standard error.
    private func run(_ name: String, _ arguments: [String]) async throws -> String {
        guard let executable = ChildProcess.inPath(name) else { throw BenchmarkError("there is no \(name)") }
        return try await ChildProcess(executable: executable, arguments: arguments).run().errors
    }
}

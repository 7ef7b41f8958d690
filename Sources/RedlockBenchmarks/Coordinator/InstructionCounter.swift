// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis

/// Counts the instructions of one cycle of one task: those of a long run less those of a short one, so that start, end
/// and warming up are in neither.
struct InstructionCounter {
    let servers: BenchmarkServers

    private enum Counter: String {
        case perf
        case callgrind
    }

    /// The instructions of every subject that is counted; none where nothing counts instructions.
    func count() async throws -> [BenchmarkReport.InstructionCount] {
        guard let counter = await Self.availableCounter() else { return [] }
        var counts: [BenchmarkReport.InstructionCount] = []
        for subject in [BenchmarkReport.Subject.limitPlain, .standard, .compatible] {
            let cycles = counter == .perf ? 5_000 : 300
            let short = try await instructions(of: subject, cycles: cycles, counter)
            let long = try await instructions(of: subject, cycles: 3 * cycles, counter)
            counts.append(
                BenchmarkReport.InstructionCount(
                    subject: subject,
                    nodeCount: servers.redis.servers.count,
                    counter: counter.rawValue,
                    instructionsPerCycle: Double(long - short) / Double(2 * cycles)
                )
            )
        }
        return counts
    }

    /// What counts here; virtual machines often have perf and nothing that it could count with.
    private static func availableCounter() async -> Counter? {
        for counter in [Counter.perf, .callgrind] {
            let program = ChildProcess(executable: URL(fileURLWithPath: "/bin/true"), arguments: [])
            if (try? await instructions(of: program, counter)) != nil { return counter }
        }
        return nil
    }

    private func instructions(of subject: BenchmarkReport.Subject, cycles: Int, _ counter: Counter) async throws -> Int
    {
        let program: ChildProcess
        if subject == .limitPlain {
            program = try await servers.limit(subject, taskCount: 1, ["--cycles", "\(cycles)"])
        } else {
            let row = RowPlan(
                workload: .uncontended,
                subject: subject,
                nodeCount: servers.redis.servers.count,
                taskCount: 1,
                seconds: 1
            )
            var order = servers.order(row)
            order.cycles = cycles
            program = try servers.worker(order)
        }
        return try await Self.instructions(of: program, counter)
    }

    /// How many instructions the whole program takes in user space.
    private static func instructions(of program: ChildProcess, _ counter: Counter) async throws -> Int {
        let arguments = [program.executable.path] + program.arguments
        switch counter {
        case .perf:
            let run = try tool("perf", ["stat", "-x", ",", "-e", "instructions:u"] + arguments)
            for line in try await run.run().errors.split(separator: "\n") where line.contains("instructions") {
                if let count = line.split(separator: ",").first.flatMap({ Int($0) }) { return count }
            }
        case .callgrind:
            let run = try tool("valgrind", ["--tool=callgrind", "--callgrind-out-file=/dev/null"] + arguments)
            for line in try await run.run().errors.split(separator: "\n") where line.contains("Collected :") {
                if let count = line.split(separator: " ").last.flatMap({ Int($0) }) { return count }
            }
        }
        throw BenchmarkError("\(counter.rawValue) counted no instructions")
    }

    private static func tool(_ name: String, _ arguments: [String]) throws -> ChildProcess {
        guard let executable = ChildProcess.inPath(name) else { throw BenchmarkError("there is no \(name)") }
        return ChildProcess(executable: executable, arguments: arguments)
    }
}

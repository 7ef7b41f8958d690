// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Redlock

/// Private servers that are enrolled, and the processes that measure on them.
struct BenchmarkServers {
    let redis: LocalRedisSet
    private let folder: TemporaryFolder

    /// Runs the body with new servers, and removes them afterwards.
    static func with(
        nodes count: Int,
        isDurable: Bool,
        _ body: (BenchmarkServers) async throws -> Void
    ) async throws {
        let options = LocalRedisOptions(persistence: isDurable ? .appendOnlyAlways : .none)
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try await withLocalRedis(nodes: count, options: options) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            try await body(BenchmarkServers(redis: redis, folder: folder))
        }
    }

    /// Measures one row once.
    func measure(_ row: RowPlan) async throws -> Measurement {
        switch row.subject {
        case .limitPlain, .limitStandard, .limitHiredis:
            return try await measurement(
                of: limit(row.subject, taskCount: row.taskCount, ["--seconds", "\(row.seconds)"])
            )
        case .standard, .compatible, .standardOnLoop, .compatibleOnLoop, .withLockStandard, .withLockCompatible:
            guard row.processCount == 1 else { return try await measureTogether(row) }
            var measurement = try await measurement(of: worker(order(row)))
            if row.workload == .waiting {
                measurement.bareMemoryBytes = try await measureBare(row).bareMemoryBytes
            }
            return measurement
        }
    }

    // MARK: Our client

    /// The process that carries an order out.
    func worker(_ order: WorkerOrder) throws -> ChildProcess {
        ChildProcess(
            executable: try ChildProcess.beside("RedlockBenchmarks"),
            arguments: ["worker"] + order.arguments,
            limit: .seconds(120 + order.seconds)
        )
    }

    func order(_ row: RowPlan) -> WorkerOrder {
        WorkerOrder(row, servers: redis.directory)
    }

    /// How long after their start processes begin that compete: by then, each has connected.
    private static let headStartNanoseconds: Int64 = 2_000_000_000

    private func measureTogether(_ row: RowPlan) async throws -> Measurement {
        var order = order(row)
        order.begin = MonotonicClock.now + Self.headStartNanoseconds
        let worker = try worker(order)
        return try await withThrowingTaskGroup { group in
            for _ in 0..<row.processCount { group.addTask { try await measurement(of: worker) } }
            let parts = try await group.reduce(into: []) { $0.append($1) }
            return Measurement(merging: parts)
        }
    }

    private func measureBare(_ row: RowPlan) async throws -> Measurement {
        var order = order(row)
        order.seconds = 1
        order.bare = true
        return try await measurement(of: worker(order))
    }

    // MARK: The limit

    /// The process that measures what the servers can do at most.
    func limit(_ subject: BenchmarkReport.Subject, taskCount: Int, _ amount: [String]) async throws -> ChildProcess {
        let ports = redis.servers.map { "\($0.port)" }.joined(separator: ",")
        var arguments = ["--ports", ports, "--tasks", "\(taskCount)"] + amount
        switch subject {
        case .limitStandard:
            let file = folder.url("commands-\(taskCount)")
            if !FileManager.default.fileExists(atPath: file.path) {
                try await CommandFile(servers: redis.servers, taskCount: taskCount).write(to: file)
            }
            arguments += ["--mode", "file", "--commands", file.path]
        case .limitHiredis: arguments += ["--mode", "hiredis"]
        default: arguments += ["--mode", "plain"]
        }
        return ChildProcess(executable: try ChildProcess.beside("ServerLimit"), arguments: arguments)
    }

    private func measurement(of process: ChildProcess) async throws -> Measurement {
        let result = try await process.run()
        do {
            return try JSONDecoder().decode(Measurement.self, from: Data(result.output.utf8))
        } catch {
            throw BenchmarkError("\(process.executable.lastPathComponent) printed no measurement: \(result.output)")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// What one process is to measure: the arguments of `worker`, for the coordinator that writes them and the process that
/// reads them.
struct WorkerOrder: ParsableArguments {
    @Option(help: "The directory of the servers.")
    var servers: String
    @Option(help: "W1 to W5.")
    var workload: BenchmarkReport.Workload
    @Option(help: "What is measured.")
    var subject: BenchmarkReport.Subject
    @Option(help: "How many tasks, leases or waiters.")
    var tasks: Int
    @Option(help: "For how long it measures.")
    var seconds: Double
    @Option(help: "How many cycles in all, in place of the time.")
    var cycles: Int?
    @Option(help: "How long each holder keeps the lock, in microseconds (W3).")
    var hold: Int = 0
    @Option(help: "The TTL of the leases, in seconds.")
    var ttl: Int = 10
    @Option(help: "When all processes begin that measure together, in nanoseconds of the monotonic clock.")
    var begin: Int64?
    @Flag(help: "Whether the tasks wait on a bare continuation, and not for a lock (W5).")
    var bare = false
}

extension WorkerOrder {
    /// What one process has to do for a row.
    ///
    /// Each property has to be set: only the parser knows of defaults.
    init(_ row: RowPlan, servers: String) {
        self.servers = servers
        workload = row.workload
        subject = row.subject
        tasks = row.taskCount / row.processCount
        seconds = row.seconds
        cycles = nil
        hold = row.holdMicroseconds ?? 0
        ttl = row.timeToLiveSeconds ?? 10
        begin = nil
        bare = false
    }

    /// Where the tasks are to run; nil for wherever tasks run.
    func executor(of client: some LockClient) -> (any TaskExecutor)? {
        subject.isOnLoop ? client.taskExecutor : nil
    }

    /// The order as arguments.
    var arguments: [String] {
        var arguments = [
            "--servers", servers, "--workload", workload.rawValue, "--subject", subject.rawValue,
            "--tasks", "\(tasks)", "--seconds", "\(seconds)", "--hold", "\(hold)", "--ttl", "\(ttl)",
        ]
        if let cycles { arguments += ["--cycles", "\(cycles)"] }
        if let begin { arguments += ["--begin", "\(begin)"] }
        if bare { arguments.append("--bare") }
        return arguments
    }
}

extension BenchmarkReport.Workload: ExpressibleByArgument {}
extension BenchmarkReport.Subject: ExpressibleByArgument {}

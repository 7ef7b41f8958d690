// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock

/// The servers that a workload runs on, and clients of them.
struct BenchmarkNodes {
    let servers: [LocalRedisServer]
    let configuration: RedlockConfiguration
    let subject: BenchmarkReport.Subject

    /// The name of the lock of one task; the limit locks the same names, as longer ones would be more bytes.
    static func lockName(ofTask task: Int) -> String { "benchmark/\(task)" }

    /// How clients are configured: as they are by default, but where nodes that are never idle answer late, which is no
    /// outage then.
    static func configuration(for workload: BenchmarkReport.Workload) -> RedlockConfiguration {
        var configuration = RedlockConfiguration()
        switch workload {
        case .uncontended, .concurrent: configuration.nodeTimeout = .seconds(1)
        case .contended, .renewing, .waiting: break
        }
        return configuration
    }

    /// Runs the body with a client for which every node votes.
    func withClient<Client: LockClient, Value>(
        _: Client.Type = Client.self,
        _ body: (Client) async throws -> Value
    ) async throws -> Value {
        let client = try Client(nodes: servers.map(\.url), configuration: configuration)
        let outcome: Result<Value, any Error>
        do {
            try await waitUntilAllNodesVote(client)
            outcome = .success(try await body(client))
        } catch {
            outcome = .failure(error)
        }
        await client.shutdown()
        return try outcome.get()
    }

    /// Otherwise a client would be measured that asks fewer nodes than it seems to.
    private func waitUntilAllNodesVote(_ client: some LockClient) async throws {
        let name = "benchmark/all-nodes/\(MonotonicClock.now)"
        for _ in 0..<500 {
            let lease = try await client.acquire(name)
            let status = try await client.inspect(name)
            await lease.release()
            let holderCount = status.nodes.count { node in
                if case .held = node.state { true } else { false }
            }
            if holderCount == servers.count { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw BenchmarkError("not all of the \(servers.count) nodes have granted a lock")
    }

    /// Measures while the body runs, which says how often a lock was acquired and released: time, processor time, peak
    /// memory, and what the nodes were asked.
    func measuring(_ body: () async throws -> Void) async throws -> Measurement {
        let countersBefore = try await ServerCounters.read(from: servers)
        let usageBefore = ProcessUsage.now
        let begin = MonotonicClock.now
        try await body()
        let end = MonotonicClock.now
        let usageAfter = ProcessUsage.now
        let countersAfter = try await ServerCounters.read(from: servers)

        var measurement = Measurement(seconds: Double(end - begin) / 1e9)
        measurement.processorSeconds = usageAfter.processorSeconds - usageBefore.processorSeconds
        measurement.peakMemoryBytes = usageAfter.peakMemoryBytes
        measurement.traffic = ServerCounters.traffic(
            from: countersBefore,
            to: countersAfter,
            isCompatible: subject.isCompatible
        )
        if let before = usageBefore.writeCalls, let after = usageAfter.writeCalls {
            measurement.writeCalls = after - before
        }
        return measurement
    }
}

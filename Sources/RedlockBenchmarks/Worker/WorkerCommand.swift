// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import LocalRedis
import Redlock

/// Measures one workload with one subject, in a process that does nothing else.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Measures once and prints a line of JSON; the coordinator starts it.",
        shouldDisplay: false
    )

    @OptionGroup var order: WorkerOrder

    func run() async throws {
        let servers = try LocalRedisSet.load(directory: order.servers).servers
        let measurement: Measurement
        switch order.subject {
        case .standard, .standardOnLoop, .withLockStandard:
            measurement = try await measure(RedlockClient.self, servers)
        case .compatible, .compatibleOnLoop, .withLockCompatible:
            measurement = try await measure(CompatibleRedlockClient.self, servers)
        case .limitPlain, .limitStandard, .limitHiredis:
            throw ValidationError("the limit is measured by ServerLimit")
        }
        print(String(decoding: try JSONEncoder().encode(measurement), as: UTF8.self))
    }

    private func measure<Client: LockClient>(
        _: Client.Type,
        _ servers: [LocalRedisServer]
    ) async throws -> Measurement {
        let configuration = BenchmarkNodes.configuration(for: order.workload)
        let nodes = BenchmarkNodes(servers: servers, configuration: configuration, subject: order.subject)
        switch order.workload {
        case .uncontended, .concurrent:
            return try await CycleWorkload<Client>(order: order, nodes: nodes).measure()
        case .contended: return try await ContendedWorkload<Client>(order: order, nodes: nodes).measure()
        case .renewing: return try await RenewingWorkload<Client>(order: order, nodes: nodes).measure()
        case .waiting: return try await WaitingWorkload<Client>(order: order, nodes: nodes).measure()
        }
    }
}

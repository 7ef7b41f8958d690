// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Redlock

/// Runs a plan: on private servers, one process at a time, unless several are to compete.
struct Coordinator {
    let plan: Plan
    let progress: ProgressLine

    /// Everything that was measured, in the order of the plan; without targets.
    func run(_ report: inout BenchmarkReport) async throws {
        var rows: [RowGroup: [BenchmarkReport.Row]] = [:]
        for servers in serverSets {
            try await BenchmarkServers.with(nodes: servers.nodeCount, isDurable: servers.isDurable) { running in
                for group in plan.groups where ServerSet(group) == servers {
                    rows[group] = try await measure(group, on: running)
                }
                if !servers.isDurable, plan.instructionNodeCounts.contains(servers.nodeCount) {
                    progress.show("counting instructions, \(servers.nodeCount) nodes")
                    report.instructions += try await InstructionCounter.count(on: running)
                }
            }
        }
        report.rows = plan.groups.flatMap { rows[$0] ?? [] }
        progress.end()
    }

    /// Servers that several groups can be measured on.
    private struct ServerSet: Hashable {
        let nodeCount: Int
        let isDurable: Bool

        init(_ group: RowGroup) {
            nodeCount = group.nodeCount
            isDurable = group.isDurable
        }
    }

    /// Each set once, so that no more servers run than are used.
    private var serverSets: [ServerSet] {
        var sets: [ServerSet] = []
        for group in plan.groups where !sets.contains(ServerSet(group)) { sets.append(ServerSet(group)) }
        return sets.sorted { $0.nodeCount < $1.nodeCount }
    }

    private func measure(_ group: RowGroup, on servers: BenchmarkServers) async throws -> [BenchmarkReport.Row] {
        var rows = group.rows.map(\.emptyRow)
        let rounds = group.rounds ?? plan.rounds
        for round in 1...rounds {
            for (place, row) in group.rows.enumerated() {
                progress.show("round \(round) of \(rounds): \(row.title)")
                rows[place].add(try await servers.measure(row))
            }
        }
        return rows
    }
}

extension BenchmarkReport.Row {
    /// Adds what was measured in one more round.
    mutating func add(_ measurement: Measurement) {
        rounds.append(measurement)
        guard let traffic = measurement.traffic else { return }
        commandsPerNodeAndSecond.append(traffic.commands / measurement.seconds)
        if measurement.cycles > 0 {
            commandsPerNodeAndAcquisition.append(traffic.commands / Double(measurement.cycles))
        }
    }
}

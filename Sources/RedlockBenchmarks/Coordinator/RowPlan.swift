// SPDX-License-Identifier: Apache-2.0

/// One row that is to be measured, in every round.
struct RowPlan: Hashable, Sendable {
    var workload: BenchmarkReport.Workload
    var subject: BenchmarkReport.Subject
    var nodeCount: Int
    var taskCount: Int
    var processCount = 1
    var isDurable = false
    var holdMicroseconds: Int?
    var timeToLiveSeconds: Int?
    var seconds: Double

    /// What it is, for whoever waits for it.
    var title: String {
        "\(workload.rawValue) \(subject.rawValue), \(nodeCount) nodes, \(taskCount) \(taskCount == 1 ? "task" : "tasks")"
    }

    /// The row without anything measured.
    var emptyRow: BenchmarkReport.Row {
        BenchmarkReport.Row(
            workload: workload,
            subject: subject,
            nodeCount: nodeCount,
            taskCount: taskCount,
            processCount: processCount,
            isDurable: isDurable,
            holdMicroseconds: holdMicroseconds,
            timeToLiveSeconds: timeToLiveSeconds,
            rounds: [],
            commandsPerNodeAndSecond: [],
            commandsPerNodeAndAcquisition: []
        )
    }
}

/// Rows that are compared with each other, and so measured in turn: the first round of all, then the second of all.
///
/// They run on the same servers.
struct RowGroup: Hashable, Sendable {
    var rows: [RowPlan]
    /// How often they are measured; nil for as often as all others.
    var rounds: Int?

    var nodeCount: Int { rows[0].nodeCount }
    var isDurable: Bool { rows[0].isDurable }
    var workload: BenchmarkReport.Workload { rows[0].workload }
}

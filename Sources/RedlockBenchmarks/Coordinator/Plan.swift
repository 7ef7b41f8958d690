// SPDX-License-Identifier: Apache-2.0

/// Everything that one run measures.
struct Plan: Sendable {
    let groups: [RowGroup]
    /// The numbers of nodes for which instructions are counted.
    let instructionNodeCounts: [Int]
    let rounds: Int

    private typealias Subject = BenchmarkReport.Subject

    /// Everything, in about a quarter of an hour.
    static func full(rounds: Int, seconds: Double, workloads: Set<BenchmarkReport.Workload>) -> Plan {
        let sizes = [1, 3, 5]
        var groups: [RowGroup] = []
        for nodeCount in sizes {
            groups.append(cycles(.uncontended, nodeCount, 1, allSubjects + subjectsOnLoop, seconds))
        }
        for nodeCount in 1...7 {
            let isCompared = sizes.contains(nodeCount)
            var subjects = isCompared ? allSubjects : scalingSubjects
            if nodeCount == 5 { subjects += subjectsOnLoop + [.withLockStandard, .withLockCompatible] }
            groups.append(cycles(.concurrent, nodeCount, 64, subjects, seconds))
            if isCompared { groups.append(cycles(.concurrent, nodeCount, 1_024, allSubjects, seconds)) }
        }
        for taskCount in [1, 4, 16, 256, 4_096] {
            groups.append(cycles(.concurrent, 5, taskCount, scalingSubjects, seconds))
        }
        groups.append(cycles(.concurrent, 5, 64, scalingSubjects, seconds, isDurable: true))
        for nodeCount in [3, 5] {
            groups.append(contended(nodeCount, seconds))
            groups.append(contendedByProcesses(nodeCount, seconds))
        }
        groups += [
            renewing(3, leases: 10_000),
            renewing(5, leases: 1_000),
            renewing(5, leases: 10_000),
            waiting(seconds: 10),
        ]
        let counts = workloads.contains(.uncontended) ? sizes : []
        return Plan(groups.filter { workloads.contains($0.workload) }, instructionNodeCounts: counts, rounds: rounds)
    }

    /// What notices within a minute that the client has become much slower.
    static func short(rounds: Int, seconds: Double, workloads: Set<BenchmarkReport.Workload>) -> Plan {
        var waiting = waiting(seconds: 4)
        waiting.rounds = 1
        let groups = [
            cycles(.uncontended, 5, 1, scalingSubjects + subjectsOnLoop, seconds),
            cycles(.concurrent, 1, 64, scalingSubjects, seconds),
            cycles(.concurrent, 5, 64, allSubjects + [.withLockStandard, .withLockCompatible], seconds),
            contended(3, seconds),
            waiting,
        ]
        return Plan(groups.filter { workloads.contains($0.workload) }, instructionNodeCounts: [], rounds: rounds)
    }

    private init(_ groups: [RowGroup], instructionNodeCounts: [Int], rounds: Int) {
        self.groups = groups
        self.instructionNodeCounts = instructionNodeCounts
        self.rounds = rounds
    }

    /// What is compared in full.
    private static let allSubjects: [Subject] = [.limitPlain, .standard, .compatible, .limitStandard, .limitHiredis]
    /// The forms without a change of threads.
    private static let subjectsOnLoop: [Subject] = [.standardOnLoop, .compatibleOnLoop]
    /// What is compared over many sizes.
    private static let scalingSubjects: [Subject] = [.limitPlain, .standard, .compatible]

    private static func cycles(
        _ workload: BenchmarkReport.Workload,
        _ nodeCount: Int,
        _ taskCount: Int,
        _ subjects: [Subject],
        _ seconds: Double,
        isDurable: Bool = false
    ) -> RowGroup {
        RowGroup(
            rows: subjects.map { subject in
                RowPlan(
                    workload: workload,
                    subject: subject,
                    nodeCount: nodeCount,
                    taskCount: taskCount,
                    isDurable: isDurable,
                    seconds: seconds
                )
            }
        )
    }

    /// One name and 16 tasks of one process: held for 1 ms, and not at all.
    private static func contended(_ nodeCount: Int, _ seconds: Double) -> RowGroup {
        let kinds: [(Subject, holdMicroseconds: Int)] = [
            (.standard, 1_000), (.standard, 0), (.standardOnLoop, 0), (.withLockStandard, 0),
        ]
        return RowGroup(
            rows: kinds.map { subject, holdMicroseconds in
                RowPlan(
                    workload: .contended,
                    subject: subject,
                    nodeCount: nodeCount,
                    taskCount: 16,
                    holdMicroseconds: holdMicroseconds,
                    seconds: seconds
                )
            }
        )
    }

    /// The same name and 4 tasks in each of 4 processes, which cannot hand it over to each other.
    private static func contendedByProcesses(_ nodeCount: Int, _ seconds: Double) -> RowGroup {
        RowGroup(rows: [
            RowPlan(
                workload: .contended,
                subject: .standard,
                nodeCount: nodeCount,
                taskCount: 16,
                processCount: 4,
                holdMicroseconds: 1_000,
                seconds: 2 * seconds
            )
        ])
    }

    /// Leases of 10 s, each of which is renewed nine times.
    private static func renewing(_ nodeCount: Int, leases: Int) -> RowGroup {
        let row = RowPlan(
            workload: .renewing,
            subject: .standard,
            nodeCount: nodeCount,
            taskCount: leases,
            timeToLiveSeconds: 10,
            seconds: 30
        )
        return RowGroup(rows: [row], rounds: 1)
    }

    private static func waiting(seconds: Double) -> RowGroup {
        RowGroup(rows: [
            RowPlan(workload: .waiting, subject: .standard, nodeCount: 3, taskCount: 1_000, seconds: seconds)
        ])
    }
}

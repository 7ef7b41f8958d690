// SPDX-License-Identifier: Apache-2.0

/// Something that is asked of the client.
struct Target {
    var title: String
    var limit: Double
    var isFloor: Bool
    var unit = ""
    /// What the client reaches on a small virtual machine, where that is not what is asked for.
    var usual: Double?
    /// Whether the limit stays what it is where a short run allows twice as much or asks for half.
    var isExact = false
    /// What was measured; nil if a round did not say.
    var value: (Findings) -> Double?
    /// Whether the run was to measure it.
    var isMeasured: (Findings) -> Bool

    /// What became of all targets that the run was to measure.
    ///
    /// - Parameter isShort: a short run asks for half of what is usual: it notices whoever became twice as slow, and takes no
    ///   notice of noise.
    static func judge(_ findings: Findings, isShort: Bool) -> [BenchmarkReport.TargetResult] {
        all.filter { $0.isMeasured(findings) }.map { $0.judge(findings, isShort: isShort) }
    }

    func judge(_ findings: Findings, isShort: Bool) -> BenchmarkReport.TargetResult {
        let shortLimit = isExact ? limit : (usual ?? limit) * (isFloor ? 0.5 : 2)
        return BenchmarkReport.TargetResult(
            title: title,
            measured: value(findings),
            limit: isShort ? shortLimit : limit,
            isFloor: isFloor,
            isExact: isExact,
            unit: unit
        )
    }
}

extension Target {
    private typealias Subject = BenchmarkReport.Subject

    /// All of them, in the order of the workloads.
    static var all: [Target] {
        acquireLatency + throughput + processorTime + withLock + contended + renewing + waiting
    }

    private static let uncontended = Findings.Place(workload: .uncontended, nodeCount: 5, taskCount: 1)
    private static let fiveNodes = Findings.Place(workload: .concurrent, nodeCount: 5, taskCount: 64)
    private static let oneNode = Findings.Place(workload: .concurrent, nodeCount: 1, taskCount: 64)

    private static var acquireLatency: [Target] {
        [
            acquireMedian("compatible", .compatible, atMost: 1.15, usual: 2.7),
            acquireMedian("standard", .standard, atMost: 1.3, usual: 3),
            acquireMedian("compatible, on the loop", .compatibleOnLoop, atMost: 1.15, usual: 2),
            acquireMedian("standard, on the loop", .standardOnLoop, atMost: 1.3, usual: 2.5),
        ]
    }

    private static func acquireMedian(
        _ name: String,
        _ subject: Subject,
        atMost ceiling: Double,
        usual: Double
    ) -> Target {
        ratio(name, subject, to: .limitPlain, at: uncontended, atMost: ceiling, usual: usual) { $0.acquire?.median }
    }

    private static var throughput: [Target] {
        [
            cycles("compatible", .compatible, to: .limitPlain, at: fiveNodes, atLeast: 0.8, usual: 0.45),
            cycles("standard", .standard, to: .limitPlain, at: fiveNodes, atLeast: 0.55, usual: 0.27),
            cycles("standard", .standard, to: .limitStandard, at: fiveNodes, atLeast: 0.9, usual: 0.7),
            cycles(
                "compatible, the same bytes",
                .compatible,
                to: .limitPlain,
                at: fiveNodes,
                atLeast: 0.9,
                usual: 0.45
            ),
            cycles("compatible", .compatible, to: .limitPlain, at: oneNode, atLeast: 0.7, usual: 0.45),
            cycles("standard", .standard, to: .limitPlain, at: oneNode, atLeast: 0.5, usual: 0.3),
        ]
    }

    private static var processorTime: [Target] {
        [
            ratio(
                "compatible",
                .compatible,
                to: .limitHiredis,
                at: fiveNodes,
                atMost: 1.5,
                usual: 2.6,
                \.processorMicrosecondsPerCycle
            ),
            ratio(
                "standard",
                .standard,
                to: .limitHiredis,
                at: fiveNodes,
                atMost: 2,
                usual: 3.1,
                \.processorMicrosecondsPerCycle
            ),
        ]
    }

    private static var withLock: [Target] {
        [
            cycles("withLock", .withLockStandard, to: .standard, at: fiveNodes, atLeast: 0.85),
            cycles("withLock", .withLockCompatible, to: .compatible, at: fiveNodes, atLeast: 0.85),
        ]
    }

    private static var contended: [Target] {
        [3, 5].flatMap { nodeCount in
            let empty = Findings.Place(workload: .contended, nodeCount: nodeCount, taskCount: 16, holdMicroseconds: 0)
            var held = empty
            held.holdMicroseconds = 1_000
            var processes = held
            processes.processCount = 4
            // One holder after the other, without a gap.
            let mostHolds = 1_000.0
            let share: Findings.Value = { $0.cyclesPerSecond.map { $0 / mostHolds } }
            return [
                value(
                    "acquisitions with an empty hold",
                    at: empty,
                    atLeast: 100_000,
                    usual: 60_000,
                    unit: "/s",
                    \.cyclesPerSecond
                ),
                value("part of what 1 ms holds allow", at: held, atLeast: 0.95, share),
                value("part of what 1 ms holds allow", at: processes, atLeast: 0.7, share),
                value("commands for each acquisition and node", at: processes, atMost: 12) { measurement in
                    measurement.traffic.map { $0.commands / Double(measurement.cycles) }
                },
                value("overlapping holds", at: processes, atMost: 0, isExact: true) { Double($0.overlaps) },
                value("overlapping holds", at: empty, atMost: 0, isExact: true) { Double($0.overlaps) },
            ]
        }
    }

    private static var renewing: [Target] {
        [3, 5].flatMap { nodeCount in
            let place = Findings.Place(
                workload: .renewing,
                nodeCount: nodeCount,
                taskCount: 10_000,
                timeToLiveSeconds: 10
            )
            return [
                value("leases lost", at: place, atMost: 0, isExact: true) { Double($0.lostLeases) },
                value("processor time", at: place, atMost: 8, unit: "% of a core") {
                    $0.processorShare.map { 100 * $0 }
                },
                value("writes to each node for each 100 ms", at: place, atMost: 1) { measurement in
                    measurement.writesPerNodeAndTick(nodeCount: nodeCount)
                },
            ]
        }
    }

    private static var waiting: [Target] {
        let place = Findings.Place(workload: .waiting, nodeCount: 3, taskCount: 1_000)
        return [
            value("commands to each node", at: place, atMost: 2, unit: "/s") { measurement in
                measurement.traffic.map { $0.commands / measurement.seconds }
            },
            value("memory of one who waits, beyond a bare task", at: place, atMost: 1_024, unit: "bytes") {
                $0.memoryBytesPerWaiter(count: place.taskCount)
            },
        ]
    }

    // MARK: Kinds of targets

    private static func cycles(
        _ name: String,
        _ subject: BenchmarkReport.Subject,
        to reference: BenchmarkReport.Subject,
        at place: Findings.Place,
        atLeast floor: Double,
        usual: Double? = nil
    ) -> Target {
        ratio(name, subject, to: reference, at: place, atLeast: floor, usual: usual, \.cyclesPerSecond)
    }

    /// A ratio within each round.
    private static func ratio(
        _ name: String,
        _ subject: BenchmarkReport.Subject,
        to reference: BenchmarkReport.Subject,
        at place: Findings.Place,
        atLeast floor: Double? = nil,
        atMost ceiling: Double? = nil,
        usual: Double? = nil,
        _ value: @escaping Findings.Value
    ) -> Target {
        let measure =
            place.workload == .uncontended ? "acquire p50" : floor == nil ? "processor time of a cycle" : "cycles/s"
        return Target(
            title: "\(place.title): \(measure), \(name) to \(reference.rawValue)",
            limit: floor ?? ceiling ?? 0,
            isFloor: floor != nil,
            usual: usual,
            value: { findings in
                guard let row = findings.row(subject, at: place), let other = findings.row(reference, at: place) else {
                    return nil
                }
                return Findings.ratio(of: row, to: other, value)
            },
            isMeasured: { $0.row(subject, at: place) != nil && $0.row(reference, at: place) != nil }
        )
    }

    /// The median of a value of the standard profile.
    private static func value(
        _ name: String,
        at place: Findings.Place,
        atLeast floor: Double? = nil,
        atMost ceiling: Double? = nil,
        usual: Double? = nil,
        unit: String = "",
        isExact: Bool = false,
        _ value: @escaping Findings.Value
    ) -> Target {
        Target(
            title: "\(place.title): \(name)",
            limit: floor ?? ceiling ?? 0,
            isFloor: floor != nil,
            unit: unit,
            usual: usual,
            isExact: isExact,
            value: { findings in
                guard let row = findings.row(.standard, at: place) else { return nil }
                // What must never be is not to be hidden by other rounds.
                return isExact ? row.rounds.compactMap(value).max() : row.median(value)
            },
            isMeasured: { $0.row(.standard, at: place) != nil }
        )
    }
}

extension Findings.Place {
    /// The workload and its size, for people to read.
    var title: String {
        var parts = [workload.rawValue, nodeCount == 1 ? "1 node" : "\(nodeCount) nodes"]
        switch workload {
        case .uncontended, .concurrent: parts.append(taskCount == 1 ? "1 task" : "\(taskCount) tasks")
        case .contended:
            parts.append(processCount == 1 ? "\(taskCount) tasks" : "\(processCount) processes")
        case .renewing: parts.append("\(taskCount) leases, TTL \(timeToLiveSeconds ?? 0) s")
        case .waiting: parts.append("\(taskCount) waiters")
        }
        return parts.joined(separator: ", ")
    }
}

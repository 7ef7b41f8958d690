// SPDX-License-Identifier: Apache-2.0

/// The rows of a run, to be asked for values and ratios.
struct Findings {
    let rows: [BenchmarkReport.Row]

    /// Which row is meant; the subject comes with the question.
    struct Place: Sendable {
        var workload: BenchmarkReport.Workload
        var nodeCount: Int
        var taskCount: Int
        var processCount = 1
        var holdMicroseconds: Int?
        var timeToLiveSeconds: Int?
    }

    typealias Value = (Measurement) -> Double?

    /// The row of a subject; nil if it was not measured.
    ///
    /// What a place does not say, the hold or the TTL, a row of its workload does not have.
    func row(_ subject: BenchmarkReport.Subject, at place: Place) -> BenchmarkReport.Row? {
        rows.first { row in
            row.subject == subject && row.workload == place.workload && row.nodeCount == place.nodeCount
                && row.taskCount == place.taskCount && row.processCount == place.processCount && !row.isDurable
                && row.holdMicroseconds == place.holdMicroseconds && row.timeToLiveSeconds == place.timeToLiveSeconds
        }
    }

    /// By how much a subject differs from another one: the median of the ratios of each round.
    static func ratio(of row: BenchmarkReport.Row, to reference: BenchmarkReport.Row, _ value: Value) -> Double? {
        zip(row.rounds, reference.rounds).compactMap { measured, limit -> Double? in
            guard let measured = value(measured), let limit = value(limit), limit > 0 else { return nil }
            return measured / limit
        }.median
    }

    /// The limit that a row is compared with, which may be itself; nil if there is none of its size.
    func limit(of row: BenchmarkReport.Row) -> BenchmarkReport.Row? {
        rows.first { $0.subject == .limitPlain && $0.hasSameSize(as: row) }
    }
}

extension BenchmarkReport.Row {
    /// Whether the rows measured the same with different subjects.
    func hasSameSize(as other: Self) -> Bool {
        workload == other.workload && nodeCount == other.nodeCount && taskCount == other.taskCount
            && processCount == other.processCount && isDurable == other.isDurable
            && holdMicroseconds == other.holdMicroseconds && timeToLiveSeconds == other.timeToLiveSeconds
    }
}

extension Measurement {
    /// How often a lock was acquired; nil where the workload does not count that.
    var acquisitionCount: Int? {
        guard acquisitionsOfEach.isEmpty else { return acquisitionsOfEach.reduce(0, +) }
        return cycles > 0 ? cycles : nil
    }

    var cyclesPerSecond: Double? {
        guard let acquisitionCount, seconds > 0 else { return nil }
        return Double(acquisitionCount) / seconds
    }

    /// Processor time of one cycle, in microseconds.
    var processorMicrosecondsPerCycle: Double? {
        cycles > 0 ? processorSeconds * 1e6 / Double(cycles) : nil
    }

    /// Which part of one core the process used.
    var processorShare: Double? { seconds > 0 ? processorSeconds / seconds : nil }

    /// How often the one who had the lock most often had it for each time of the one who had it least often.
    var unfairness: Double? {
        guard let most = acquisitionsOfEach.max(), let least = acquisitionsOfEach.min(), least > 0 else { return nil }
        return Double(most) / Double(least)
    }

    /// How often the client wrote to each node in each of the 100 ms after which it looks at its leases at the latest.
    ///
    /// Writes to anything else than a node are counted as well.
    func writesPerNodeAndTick(nodeCount: Int) -> Double? {
        writeCalls.map { Double($0) / Double(nodeCount) / (seconds / 0.1) }
    }

    /// How much more memory each of those takes who wait for a lock than a task on a bare continuation.
    func memoryBytesPerWaiter(count: Int) -> Double? {
        guard let waitingMemoryBytes, let bareMemoryBytes else { return nil }
        return Double(waitingMemoryBytes - bareMemoryBytes) / Double(count)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Redlock
import Synchronization

/// Measures what locks cost with a client and its nodes, one measurement after the other.
///
/// The names are few and used again and again, because each leaves a counter on the nodes.
struct Benchmark<Client: LockClient>: Sendable {
    /// How many tasks want one lock, and how long each of them has it.
    static var handOverTaskCount: Int { 16 }
    static var hold: Duration { .milliseconds(1) }

    let client: Client
    let options: LockOptions
    /// How long each measurement goes on.
    let duration: Duration
    /// One for each task that works side by side with the others.
    let names: [String]

    init(client: Client, options: LockOptions, duration: Duration, concurrency: Int) {
        self.client = client
        self.options = options
        self.duration = duration
        let run = String(UInt64.random(in: .min ... .max), radix: 16)
        names = (0..<concurrency).map { "redlock-bench/\(run)/\($0)" }
    }

    /// Has every lock once, so that what the first time costs (connections, counters) is not measured.
    ///
    /// - Throws: as `acquire` of the client.
    func prepare() async throws {
        try await withThrowingTaskGroup { group in
            for name in names {
                group.addTask {
                    let lease = try await client.acquire(name, options: options)
                    await lease.release()
                    try requireConfirmation(of: lease)
                }
            }
            try await group.waitForAll()
        }
    }

    /// What was released and stays locked is no cycle, and the next task would wait for the end of its TTL.
    ///
    /// - Throws: `CommandFailure` if no quorum confirmed the release.
    private func requireConfirmation(of lease: Lease<Client.Fencing>) throws {
        if case .unconfirmed(let release) = lease.releaseOutcome { throw CommandFailure(release) }
    }

    /// One task, and locks that nobody else wants.
    func measureUncontended() async throws -> CycleResult {
        try await measureCycles(of: names.prefix(1))
    }

    /// All tasks side by side, each with a lock of its own.
    func measureThroughput() async throws -> CycleResult {
        try await measureCycles(of: names[...])
    }

    private func measureCycles(of names: ArraySlice<String>) async throws -> CycleResult {
        let result = Tally(CycleResult(taskCount: names.count))
        let start = ContinuousClock.now
        try await withThrowingTaskGroup { group in
            for name in names {
                group.addTask {
                    repeat {
                        let asked = ContinuousClock.now
                        let lease = try await client.acquire(name, options: options)
                        let acquired = ContinuousClock.now
                        await lease.release()
                        let released = ContinuousClock.now
                        try requireConfirmation(of: lease)
                        result.update {
                            $0.acquire.record(acquired - asked)
                            $0.release.record(released - acquired)
                        }
                    } while ContinuousClock.now - start < duration
                }
            }
            try await group.waitForAll()
        }
        return result.update {
            $0.elapsed = .now - start
            return $0
        }
    }

    /// Many tasks and one lock, which goes from one to the next.
    func measureHandOver() async throws -> HandOverResult {
        let result = Tally(HandOverResult(taskCount: Self.handOverTaskCount))
        let start = ContinuousClock.now
        try await withThrowingTaskGroup { group in
            for _ in 0..<Self.handOverTaskCount {
                group.addTask {
                    repeat {
                        let lease = try await client.withLock(names[0], options: options) { lease in
                            result.update { $0.begin(at: .now) }
                            defer { result.update { $0.end(at: .now) } }
                            try await Task.sleep(for: Self.hold)
                            return lease
                        }
                        try requireConfirmation(of: lease)
                    } while ContinuousClock.now - start < duration
                }
            }
            try await group.waitForAll()
        }
        return result.update {
            $0.elapsed = .now - start
            return $0
        }
    }
}

/// A result that several tasks add to.
private final class Tally<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) {
        self.value = Mutex(value)
    }

    func update<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        value.withLock { body(&$0) }
    }
}

/// How long it took to acquire locks that were free, and to release them.
struct CycleResult: Sendable {
    let taskCount: Int
    var acquire = LatencyHistogram()
    var release = LatencyHistogram()
    var elapsed: Duration = .zero

    init(taskCount: Int) {
        self.taskCount = taskCount
    }

    /// How often a lock was acquired and released again in a second.
    var cyclesPerSecond: Double { Double(release.count) / (elapsed / .seconds(1)) }
}

/// How long it took from the end of one body to the beginning of the next, under one lock.
struct HandOverResult: Sendable {
    let taskCount: Int
    private(set) var gap = LatencyHistogram()
    private(set) var acquisitionCount = 0
    /// How many bodies began while another one ran: never, unless the lock does not exclude.
    private(set) var overlapCount = 0
    var elapsed: Duration = .zero

    private var runningCount = 0
    private var lastEnd: ContinuousClock.Instant?

    init(taskCount: Int) {
        self.taskCount = taskCount
    }

    var acquisitionsPerSecond: Double { Double(acquisitionCount) / (elapsed / .seconds(1)) }

    /// A body begins.
    mutating func begin(at time: ContinuousClock.Instant) {
        acquisitionCount += 1
        if runningCount > 0 {
            overlapCount += 1
        } else if let lastEnd {
            gap.record(time - lastEnd)
        }
        runningCount += 1
    }

    /// A body ends.
    mutating func end(at time: ContinuousClock.Instant) {
        runningCount -= 1
        lastEnd = time
    }
}

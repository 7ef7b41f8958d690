// SPDX-License-Identifier: Apache-2.0

import Redlock

/// W3: many tasks want one lock, each again and again, and have it for a given time.
struct ContendedWorkload<Client: LockClient> {
    let order: WorkerOrder
    let nodes: BenchmarkNodes

    private let name = BenchmarkNodes.lockName(ofTask: 0)

    func measure() async throws -> Measurement {
        try await nodes.withClient { (client: Client) in
            try await client.acquire(name, options: options).release()
            try await waitForOthers()
            var holdsOfEach: [[Hold]] = []
            var measurement = try await nodes.measuring { holdsOfEach = try await compete(client) }
            let holds = holdsOfEach.flatMap(\.self)
            measurement.cycles = holds.count
            measurement.acquisitionsOfEach = holdsOfEach.map(\.count)
            // One process has seen everything; of several, the coordinator finds out what was between their holds.
            if order.begin == nil {
                measurement.add(HoldTimeline(holds))
            } else {
                measurement.holds = holds
            }
            return measurement
        }
    }

    private var options: LockOptions { LockOptions(ttl: .seconds(order.ttl)) }

    /// Waits for the moment at which all processes begin.
    private func waitForOthers() async throws {
        guard let begin = order.begin else { return }
        let rest = begin - MonotonicClock.now
        guard rest > 0 else {
            throw BenchmarkError("the process was \(-rest / 1_000_000) ms late to begin with others")
        }
        try await Task.sleep(for: .nanoseconds(rest))
    }

    /// What each task had.
    private func compete(_ client: Client) async throws -> [[Hold]] {
        let end = MonotonicClock.now + Int64(order.seconds * 1e9)
        return try await withThrowingTaskGroup { group in
            for _ in 0..<order.tasks {
                group.addTask(executorPreference: order.executor(of: client)) {
                    var holds: [Hold] = []
                    repeat { holds.append(try await holdOnce(client)) } while MonotonicClock.now < end
                    return holds
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func holdOnce(_ client: Client) async throws -> Hold {
        switch order.subject {
        case .withLockStandard, .withLockCompatible:
            return try await client.withLock(name, options: options) { _ in await keep() }
        case .standard, .compatible, .standardOnLoop, .compatibleOnLoop, .limitPlain, .limitStandard, .limitHiredis:
            let lease = try await client.acquire(name, options: options)
            let hold = await keep()
            await lease.release()
            return hold
        }
    }

    /// Keeps the lock for the time of the order.
    private func keep() async -> Hold {
        let begin = MonotonicClock.now
        if order.hold > 0 { await MonotonicClock.hold(until: begin + Int64(order.hold) * 1_000) }
        return Hold(begin: begin, end: MonotonicClock.now)
    }
}

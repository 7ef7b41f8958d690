// SPDX-License-Identifier: Apache-2.0

import Redlock
import Synchronization

/// W1 and W2: each task acquires and releases a lock of its own, again and again.
struct CycleWorkload<Client: LockClient> {
    let order: WorkerOrder
    let nodes: BenchmarkNodes

    /// What the first cycles cost, connections and counters and memory, is not measured.
    private static var warmUpNanoseconds: Int64 { 200_000_000 }
    private static var warmUpCycles: Int { 50 }

    func measure() async throws -> Measurement {
        try await nodes.withClient { (client: Client) in
            let tally = CycleTally()
            // What is counted in instructions must be the same work whenever it is run.
            try await run(
                client,
                order.cycles == nil ? .time(nanoseconds: Self.warmUpNanoseconds) : .cycles(Self.warmUpCycles),
                CycleTally()
            )
            let end = order.cycles.map(End.cycles) ?? .time(nanoseconds: Int64(order.seconds * 1e9))
            var measurement = try await nodes.measuring { try await run(client, end, tally) }
            (measurement.cycles, measurement.acquire) = tally.result
            return measurement
        }
    }

    /// When the tasks stop.
    private enum End {
        case time(nanoseconds: Int64)
        /// So many cycles of all tasks together.
        case cycles(Int)
    }

    private func run(_ client: Client, _ end: End, _ tally: CycleTally) async throws {
        let begin = MonotonicClock.now
        let cycle = cycle(client, tally)
        try await withThrowingTaskGroup { group in
            for task in 0..<order.tasks {
                let name = BenchmarkNodes.lockName(ofTask: task)
                group.addTask(executorPreference: order.executor(of: client)) {
                    switch end {
                    case .time(let nanoseconds):
                        repeat { try await cycle(name) } while MonotonicClock.now - begin < nanoseconds
                    case .cycles(let count):
                        for _ in 0..<count / order.tasks { try await cycle(name) }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func cycle(_ client: Client, _ tally: CycleTally) -> @Sendable (String) async throws -> Void {
        let options = LockOptions(ttl: .seconds(order.ttl))
        switch order.subject {
        case .withLockStandard, .withLockCompatible:
            return { name in
                try await client.withLock(name, options: options) { _ in }
                tally.count(acquireNanoseconds: nil)
            }
        case .standard, .compatible, .standardOnLoop, .compatibleOnLoop, .limitPlain, .limitStandard, .limitHiredis:
            return { name in
                let asked = MonotonicClock.now
                let lease = try await client.acquire(name, options: options)
                let acquired = MonotonicClock.now
                await lease.release()
                tally.count(acquireNanoseconds: acquired - asked)
            }
        }
    }
}

/// How many cycles there were, and how long acquiring took in them.
private final class CycleTally: Sendable {
    private struct State {
        var count = 0
        var acquire = LatencyRecord()
    }

    private let state = Mutex(State())

    func count(acquireNanoseconds: Int64?) {
        state.withLock { state in
            state.count += 1
            if let acquireNanoseconds { state.acquire.record(nanoseconds: acquireNanoseconds) }
        }
    }

    var result: (cycles: Int, acquire: Latency?) { state.withLock { ($0.count, $0.acquire.latency) } }
}

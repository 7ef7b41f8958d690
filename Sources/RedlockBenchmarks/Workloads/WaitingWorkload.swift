// SPDX-License-Identifier: Apache-2.0

import Redlock
import Synchronization

/// W5: many tasks wait for one lock that somebody else holds all the time; or, to compare the memory, on nothing.
struct WaitingWorkload<Client: LockClient> {
    let order: WorkerOrder
    let nodes: BenchmarkNodes

    /// Another one in each process: the holder is gone, and its key stays for the TTL.
    private let name = "benchmark/waiting/\(MonotonicClock.now)"

    /// How long it takes until everybody has come to wait, with time to spare.
    private static var settlingTime: Duration { .seconds(1) }

    func measure() async throws -> Measurement {
        try await holdForever()
        return try await nodes.withClient { (client: Client) in
            // The first who waits has the client subscribe, which no other one has to pay for.
            let first = Task { [name] in try await Self.wait(for: name, client) }
            defer { first.cancel() }
            try await Task.sleep(for: Self.settlingTime)
            return try await order.bare ? measureBare() : measureWaiting(client)
        }
    }

    /// Takes the lock for longer than anybody will wait, and is gone: a holder that lives would be measured as well.
    private func holdForever() async throws {
        try await nodes.withClient { (client: Client) in
            let options = LockOptions(ttl: nodes.configuration.maximumTTL)
            try await client.acquire(name, options: options).detach()
        }
    }

    /// Not of the workload: each task would keep a copy of that, and it would be measured as well.
    private static func wait(for name: String, _ client: Client) async throws {
        do {
            let lease = try await client.acquire(name)
            await lease.release()
        } catch is CancellationError {
            return
        }
        throw BenchmarkError("somebody obtained the lock that everybody was to wait for")
    }

    private func measureWaiting(_ client: Client) async throws -> Measurement {
        let memoryBefore = ProcessUsage.anonymousMemoryBytes
        return try await withThrowingTaskGroup { group in
            for _ in 0..<order.tasks { group.addTask { [name] in try await Self.wait(for: name, client) } }
            try await Task.sleep(for: Self.settlingTime)
            var measurement = try await nodes.measuring { try await Task.sleep(for: .seconds(order.seconds)) }
            measurement.waitingMemoryBytes = difference(memoryBefore, ProcessUsage.anonymousMemoryBytes)
            group.cancelAll()
            try await group.waitForAll()
            return measurement
        }
    }

    /// The same tasks, parked on a continuation each.
    private func measureBare() async throws -> Measurement {
        let parkingLot = ParkingLot()
        let memoryBefore = ProcessUsage.anonymousMemoryBytes
        return try await withThrowingTaskGroup { group in
            for _ in 0..<order.tasks { group.addTask { await parkingLot.park() } }
            try await Task.sleep(for: Self.settlingTime)
            var measurement = try await nodes.measuring { try await Task.sleep(for: .seconds(order.seconds)) }
            measurement.bareMemoryBytes = difference(memoryBefore, ProcessUsage.anonymousMemoryBytes)
            parkingLot.open()
            try await group.waitForAll()
            return measurement
        }
    }

    private func difference(_ before: Int?, _ after: Int?) -> Int? {
        guard let before, let after else { return nil }
        return after - before
    }
}

/// Where tasks wait for nothing in particular.
private final class ParkingLot: Sendable {
    private let continuations = Mutex<[UnsafeContinuation<Void, Never>]>([])

    func park() async {
        await withUnsafeContinuation { continuation in
            continuations.withLock { $0.append(continuation) }
        }
    }

    func open() {
        for continuation in continuations.withLock(\.self) { continuation.resume() }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Redlock
import Synchronization

/// W4: many leases are held and renewed.
struct RenewingWorkload<Client: LockClient> {
    let order: WorkerOrder
    let nodes: BenchmarkNodes

    /// How many are acquired at a time.
    private static var acquirerCount: Int { 64 }

    func measure() async throws -> Measurement {
        try await nodes.withClient { (client: Client) in
            let losses = Mutex(0)
            // Subscribed before there is a lease that could be lost.
            var events = client.events.makeAsyncIterator()
            let leases = try await acquireAll(client)
            var measurement = try await nodes.measuring { try await Task.sleep(for: .seconds(order.seconds)) }
            let invalidCount = leases.count { !$0.isValid }
            await releaseAll(leases)
            await client.shutdown()
            while let event = await events.next() {
                if case .lost = event { losses.withLock { $0 += 1 } }
            }
            measurement.lostLeases = max(invalidCount, losses.withLock(\.self))
            return measurement
        }
    }

    private func acquireAll(_ client: Client) async throws -> [Lease<Client.Fencing>] {
        let options = LockOptions(ttl: .seconds(order.ttl))
        return try await withThrowingTaskGroup { group in
            for acquirer in 0..<Self.acquirerCount {
                group.addTask {
                    var leases: [Lease<Client.Fencing>] = []
                    for task in stride(from: acquirer, to: order.tasks, by: Self.acquirerCount) {
                        let name = BenchmarkNodes.lockName(ofTask: task)
                        leases.append(try await client.acquire(name, options: options, renewal: .automatic))
                    }
                    return leases
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    private func releaseAll(_ leases: [Lease<Client.Fencing>]) async {
        await withTaskGroup { group in
            for lease in leases { group.addTask { await lease.release() } }
        }
    }
}

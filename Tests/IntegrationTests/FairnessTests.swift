// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import RedlockTesting
import TestSupport
import Testing

@testable import Redlock

/// Locks that are had in turn.
@Suite(.serialized)
struct FairnessTests {
    private static let fair = LockOptions(fair: true)

    private func waitUntilQueued(_ count: Int, _ redis: LocalRedisSet) async throws {
        // At a quorum, which decides: a node that missed the holder has nobody to wait for.
        try await eventually {
            let counts = try await redis.servers.asyncMap { try await $0.send("ZCARD", "redlock:queue:report") ?? "" }
            return counts.count { $0 == "\(count)" } > redis.servers.count / 2
        }
    }

    /// How often one who comes again and again gets the lock before one who has waited for longer.
    private func overtakings(_ options: LockOptions, _ redis: LocalRedisSet, _ holder: RedlockClient) async throws
        -> Int
    {
        let clients = try await RedlockClient.connected(2, to: redis)
        var overtakings = 0
        for _ in 0..<15 {
            let lease = try await holder.acquire("report")
            let waiting = Task {
                let lease = try await clients[0].acquire("report", options: options)
                let entered = ContinuousClock.now
                await lease.release()
                return entered
            }
            try await waitUntilQueued(1, redis)
            let newcomer = Task {
                // More and more often, so that it meets the moment at which the lock is free.
                while true {
                    if let lease = try await clients[1].tryAcquire("report", options: options) {
                        let entered = ContinuousClock.now
                        await lease.release()
                        return entered
                    }
                }
            }
            try await Task.sleep(for: .milliseconds(5))
            await lease.release()
            if try await newcomer.value < waiting.value { overtakings += 1 }
        }
        for client in clients { await client.shutdown() }
        return overtakings
    }

    @Test
    func nobodyIsOvertaken() async throws {
        try await Layout.three.withClient { holder, redis in
            let count = try await overtakings(Self.fair, redis, holder)
            #expect(count == 0)
        }
    }

    /// The control: without turns, the newcomer is in time now and then.
    @Test
    func othersAreOvertaken() async throws {
        try await Layout.three.withClient { holder, redis in
            let count = try await overtakings(LockOptions(), redis, holder)
            #expect(count > 0)
        }
    }

    /// The order is that of the calls, whichever client they come from.
    @Test
    func orderIsThatOfTheCalls() async throws {
        try await Layout.three.withClient { holder, redis in
            let clients = try await RedlockClient.connected(2, to: redis)
            let lease = try await holder.acquire("report", options: Self.fair)
            let (order, continuation) = AsyncStream.makeStream(of: Int.self)
            // Of the first client, those wait that come first, third and fifth, and so on.
            let places = [0, 0, 1, 0, 1, 1, 0]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (place, client) in places.enumerated() {
                    group.addTask {
                        try await clients[client].withLock("report", options: Self.fair) { _ in
                            continuation.yield(place)
                            try await Task.sleep(for: .milliseconds(10))
                        }
                    }
                    try await Task.sleep(for: .milliseconds(60))
                }
                await lease.release()
                try await group.waitForAll()
            }
            continuation.finish()
            var served: [Int] = []
            for await place in order { served.append(place) }
            #expect(served == Array(places.indices))
            for client in clients { await client.shutdown() }
        }
    }

    /// Four clients with four tasks each get the lock about as often.
    @Test
    func everyClientGetsItsShare() async throws {
        try await Layout.five.withClient { first, redis in
            let clients = [first] + (try await RedlockClient.connected(3, to: redis))
            let counters = clients.map { _ in Counter() }
            let inside = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                let end = ContinuousClock.now + .seconds(4)
                for (client, counter) in zip(clients, counters) {
                    for _ in 0..<4 {
                        group.addTask {
                            while ContinuousClock.now < end {
                                try await client.withLock("report", options: Self.fair) { _ in
                                    await counter.enter()
                                    await inside.enter()
                                    try await Task.sleep(for: .milliseconds(1))
                                    await inside.leave()
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(await inside.most == 1)
            let counts = await counters.asyncMap { await $0.entered }
            #expect(counts.min() ?? 0 > 20, "\(counts)")
            #expect(Double(counts.max() ?? 0) <= 1.5 * Double(counts.min() ?? 0), "\(counts)")
            for client in clients.dropFirst() { await client.shutdown() }
        }
    }

    /// One that is gone, or hears that it is its turn and does nothing, costs those behind it its turn and no more.
    @Test(arguments: [true, false])
    func whoeverDoesNotComeLosesTheTurn(isListening: Bool) async throws {
        try await Layout.three.withClient { holder, redis in
            let lease = try await holder.acquire("report")
            let clients = try await RedlockClient.connected(2, to: redis)
            let ghosts = ["0123456789abcdef", "fedcba9876543210"]
            for server in redis.servers {
                for (place, ghost) in ghosts.enumerated() {
                    _ = try await server.send("ZADD", "redlock:queue:report", "\(place + 1)", ghost + "x")
                    _ = try await server.send("ZADD", "redlock:queue-expiry:report", "99999999999999", ghost + "x")
                }
            }
            if isListening {
                let channel = "redlock:wake:" + ghosts[0]
                await clients[1].engine.onLoop { $0.surroundings.listen(on: channel) }
                for server in redis.servers {
                    try await eventually { try await server.send("PUBLISH", channel, "") != "0" }
                }
            }
            let waiting = Task { try await clients[0].acquire("report", options: Self.fair) }
            try await waitUntilQueued(3, redis)
            let released = ContinuousClock.now
            await lease.release()
            let next = try await waiting.value
            // A turn takes 50 ms.
            #expect(ContinuousClock.now - released < .milliseconds(600))
            await next.release()
            for client in clients { await client.shutdown() }
        }
    }

    /// Where nobody waits, it is as any other lock, also right behind somebody who had it.
    @Test
    func costsNothingWhereNobodyWaits() async throws {
        try await Layout.three.withClient { client, _ in
            let began = ContinuousClock.now
            for _ in 0..<50 { try await client.withLock("report", options: Self.fair) { _ in } }
            #expect(ContinuousClock.now - began < .seconds(2))
        }
    }

    @Test
    func refusesWhatHasNoTurns() async throws {
        try await Layout.one.withClient { client, redis in
            for call in [
                { _ = try await client.acquire(["a", "b"], options: Self.fair) },
                { _ = try await client.acquire("a", mode: .shared, options: Self.fair) },
                {
                    let compatible = try CompatibleRedlockClient(nodes: redis.urls, configuration: .patient)
                    _ = try await compatible.acquire("a", options: Self.fair)
                },
            ] as [@Sendable () async throws -> Void] {
                let error = await #expect(throws: RedlockError.self) { try await call() }
                #expect(error?.code == .invalidArgument)
            }
        }
    }
}

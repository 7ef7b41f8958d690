// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import RedlockTesting
import TestSupport
import Testing

/// Defects that lock libraries for Redis are known for, one test each.
@Suite(.serialized)
struct KnownDefectsTests {
    /// Defect: a lock is returned although its time is over, or counted from when the answers came.
    @Test
    func validityIsCountedFromBeforeTheFirstByte() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await withFaultProxy(target: .init(port: redis[0].port)) { proxy in
                var configuration = RedlockConfiguration.patient
                configuration.nodeTimeout = .milliseconds(900)
                let nodes = ["redis://127.0.0.1:\(proxy.port)"]
                let client = try await RedlockClient.enrolled(nodes, configuration: configuration)
                await (try await client.acquire("warm")).release()
                await proxy.set(.delay(.milliseconds(600)), direction: .toClient)
                let began = ContinuousClock.now
                let lease = try await client.acquire("slow", options: LockOptions(ttl: .seconds(10)))
                #expect(ContinuousClock.now - began > .milliseconds(550), "the answer was held up")
                #expect(lease.validUntil <= began + .seconds(10) - .milliseconds(100))
                await proxy.set(.pass)
                await lease.release()
                await client.shutdown()
            }
        }
    }

    /// Defect: one value for all attempts, so that the late release of an earlier one deletes a live lock.
    @Test
    func everyAttemptHasAnOwnerTokenOfItsOwn() async throws {
        let node = FakeRedisNode.lockNode()
        node.withKeyspace { $0.set("a", to: "somebody", timeToLive: .milliseconds(500)) }
        try await withScriptedServer(.lockNode(node)) { server in
            let client = try CompatibleRedlockClient(nodes: ["redis://127.0.0.1:\(server.port)"], logger: .tracing)
            let lease = try await client.acquire("a", options: LockOptions(wait: .atMost(.seconds(5))))
            let values = server.log.commands.filter { $0.first == "SET" }.map { $0[2] }
            #expect(values.count > 2)
            #expect(Set(values).count == values.count)
            #expect(values.last == lease.ownerToken.secretText)
            await lease.release()
            await client.shutdown()
        }
    }

    /// Defect: extending sets a key that is gone, and the time in between, in which somebody else may have had it, is
    /// never seen.
    @Test
    func expiredLeaseIsNotExtended() async throws {
        try await Layout.three.withClient { client, redis in
            let lease = try await client.acquire("expired", options: LockOptions(ttl: .seconds(1)))
            try await Task.sleep(for: .milliseconds(1100))
            let error = await #expect(throws: RedlockError.self) { try await lease.extend() }
            #expect(error?.code == .lost)
            for server in redis.servers { #expect(try await server.send("EXISTS", "expired".lockKey) == "0") }
            await lease.release()
        }
    }

    /// Defect: what a cancelled caller had asked for is released with the cancelled context, which is not at all.
    @Test
    func cancelledCallerReleasesWhatItAskedFor() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await withFaultProxy(target: .init(port: redis[0].port)) { proxy in
                let client = try await RedlockClient.enrolled(["redis://127.0.0.1:\(proxy.port)"])
                await (try await client.acquire("warm")).release()
                await proxy.set(.delay(.milliseconds(50)), direction: .toClient)
                for _ in 0..<10 {
                    let attempt = Task { try await client.acquire("cancelled") }
                    try await Task.sleep(for: .milliseconds(20))
                    attempt.cancel()
                    await #expect(throws: CancellationError.self) { try await attempt.value }
                }
                try await eventually { try await redis[0].send("EXISTS", "cancelled".lockKey) == "0" }
                await client.shutdown()
            }
        }
    }

    /// Defect: the keys that an attempt set on a minority stand in the way of the next attempt until they expire.
    @Test
    func ownMinorityDoesNotBlockTheNextAttempt() async throws {
        try await Layout.three.withClient { client, redis in
            for server in redis.servers.prefix(2) {
                _ = try await server.send("SET", "minority".lockKey, "somebody", "PX", "60000")
            }
            #expect(try await client.tryAcquire("minority") == nil)
            for server in redis.servers.prefix(2) { _ = try await server.send("DEL", "minority".lockKey) }
            let lease = try await client.acquire("minority", options: LockOptions(wait: .atMost(.seconds(1))))
            await lease.release()
        }
    }

    /// Defect: with an even number of nodes two clients get half of them each, again and again.
    @Test
    func tieOfAnEvenNumberOfNodesEnds() async throws {
        try await withLocalRedis(nodes: 4) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            let clients = try (0..<4).map { _ in
                try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            }
            let inside = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in clients {
                    group.addTask {
                        for _ in 0..<10 {
                            let options = LockOptions(wait: .atMost(.seconds(20)))
                            try await client.withLock("tie", options: options) { _ in
                                await inside.enter()
                                await inside.leave()
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(await inside.entered == 40)
            #expect(await inside.most == 1)
            for client in clients { await client.shutdown() }
        }
    }

    /// Defect: the holder learns of the loss when its next renewal fails, long after the lock could be had by others.
    @Test
    func lossIsNoticedBeforeAnybodyElseCanHaveTheLock() async throws {
        try await Layout.three.withClient { client, redis in
            let options = LockOptions(ttl: .seconds(1))
            let lease = try await client.acquire("late", options: options, renewal: .automatic)
            for server in redis.servers { try await server.pause() }
            #expect(await lease.ended())
            #expect(ContinuousClock.now < lease.validUntil)
            for server in redis.servers { try await server.resume() }
        }
    }

    /// Defect: the majority is taken of the nodes that are connected, so that two halves have one each.
    @Test
    func quorumIsTakenOfAllNodes() async throws {
        try await withLocalRedis(nodes: 5) { redis in
            let client = try await RedlockClient.enrolled(redis)
            for server in redis.servers.prefix(3) { await server.kill() }
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("half", options: .once) }
            #expect(error?.code == .quorumUnavailable)
            for server in redis.servers.suffix(2) {
                try await eventually { try await server.send("EXISTS", "half".lockKey) == "0" }
            }
            await client.shutdown()
        }
    }

    /// A higher quorum than the majority is kept as well.
    @Test
    func quorumMayBeHigherThanTheMajority() async throws {
        var configuration = RedlockConfiguration.patient
        configuration.quorum = 4
        try await Layout.five.withClient(configuration: configuration) { client, redis in
            await redis[0].kill()
            await (try await client.acquire("four", options: LockOptions(wait: .atMost(.seconds(2))))).release()
            #expect(try await client.diagnose().nodesThatMayForget == 2)
            await redis[1].kill()
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("four", options: .once) }
            #expect(error?.code == .quorumUnavailable)
        }
    }
}

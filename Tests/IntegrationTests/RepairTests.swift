// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import TestSupport
import Testing

/// Extending never creates a key; what a node lost is set again only after a quorum said that it still has it.
@Suite(.serialized)
struct RepairTests {
    @Test
    func keyThatAMinorityLostIsSetAgain() async throws {
        try await Layout.five.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("repaired")
            try await everyNodeHas("repaired", redis)
            let events = Task {
                for await event in client.events {
                    if case .repaired(let resource, _) = event { return resource }
                }
                return ""
            }
            for server in redis.servers.prefix(2) {
                _ = try await server.send("DEL", "repaired".lockKey, "repaired".fenceKey)
            }
            try await lease.extend()
            try await everyNodeHas("repaired", redis)
            for server in redis.servers {
                let counter = Int64(try await server.send("GET", "repaired".fenceKey) ?? "") ?? 0
                #expect(counter >= lease.fencingToken.rawValue)
            }
            #expect(await events.value == "repaired")
            // What was set again goes with the lease.
            await lease.release()
            try await eventually {
                try await redis.servers.asyncMap { try await $0.send("EXISTS", "repaired".lockKey) }
                    .allSatisfy { $0 == "0" }
            }
        }
    }

    @Test
    func lockOfSomebodyElseIsNotOverwritten() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("repaired")
            try await everyNodeHas("repaired", redis)
            _ = try await redis[0].send("SET", "repaired".lockKey, "somebody", "PX", "60000")
            try await lease.extend()
            try await Task.sleep(for: .milliseconds(100))
            #expect(try await redis[0].send("GET", "repaired".lockKey) == "somebody")
            await lease.release()
            #expect(try await redis[0].send("GET", "repaired".lockKey) == "somebody")
        }
    }

    /// A majority that lost it: nothing is created, and the lease is lost.
    @Test
    func extendingNeverCreates() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("gone")
            try await everyNodeHas("gone", redis)
            for server in redis.servers.prefix(2) { _ = try await server.send("DEL", "gone".lockKey) }
            let error = await #expect(throws: RedlockError.self) { try await lease.extend() }
            #expect(error?.code == .lost)
            try await Task.sleep(for: .milliseconds(50))
            for server in redis.servers.prefix(2) { #expect(try await server.send("EXISTS", "gone".lockKey) == "0") }
            await lease.release()
        }
    }

    @Test
    func extendingNeverShortens() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("long", options: LockOptions(ttl: .seconds(20)))
            try await lease.extend(ttl: .seconds(2))
            #expect(lease.remaining > .seconds(15))
            for server in redis.servers {
                #expect(try #require(Int(try await server.send("PTTL", "long".lockKey) ?? "")) > 15_000)
            }
            await lease.release()
        }
    }

    /// A node that was slow once, when the lock was acquired, is one of the nodes of the lease again.
    @Test
    func nodeWhoseVoteCameTooLateIsRepaired() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            _ = try await redis[2].send("CLIENT", "PAUSE", "400", "WRITE")
            let options = LockOptions(ttl: .seconds(2))
            let lease = try await client.acquire("late", options: options, renewal: .automatic)
            try await Task.sleep(for: .milliseconds(600))
            try await everyNodeHas("late", redis)
            await redis[0].kill()
            try await Task.sleep(for: .seconds(3))
            #expect(lease.isValid)
            await lease.release()
            for server in redis.servers.dropFirst() {
                try await eventually { try await server.send("EXISTS", "late".lockKey) == "0" }
            }
        }
    }

    /// Somebody gives the key a life of centuries: the client goes on, and takes the clock for wrong.
    @Test
    func lifeBeyondAllBoundsIsNoTrap() async throws {
        try await Layout.three.withClient { client, redis in
            let lease = try await client.acquire("eternal")
            for server in redis.servers.prefix(1) {
                _ = try await server.send("PEXPIRE", "eternal".lockKey, "9007199254740991")
            }
            try await lease.extend()
            #expect(lease.isValid)
            await lease.release()
            for server in redis.servers { _ = try await server.send("SET", "squatted".lockKey, "for-ever") }
            #expect(try await client.tryAcquire("squatted") == nil)
        }
    }

    private func everyNodeHas(_ name: String, _ redis: LocalRedisSet) async throws {
        try await eventually {
            try await redis.servers.asyncMap { try await $0.send("EXISTS", name.lockKey) }.allSatisfy { $0 == "1" }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import TestSupport
import Testing

/// Data that others wrote in place of a lock.
@Suite(.serialized)
struct ForeignDataTests {
    /// What was seen is compared with what is deleted: a lock that was taken after the look stays.
    @Test(arguments: [false, true])
    func forcedReleaseLeavesALockThatWasTakenMeanwhile(isShared: Bool) async throws {
        try await Layout.three.withClient { client, redis in
            let key = isShared ? "redlock:readers:odd" : "odd".lockKey
            for server in redis.servers { _ = try await server.send("LPUSH", key, "x") }
            let seen = try await client.inspect("odd")
            #expect(seen.isNotALock && seen.notALockCount == 3 && seen.isQuorumReachable)
            for server in redis.servers { _ = try await server.send("DEL", key) }
            if isShared {
                try await client.withLock("odd", mode: .shared) { lease in
                    _ = try await client.releaseByForce(seen)
                    try await lease.extend()
                }
            } else {
                try await client.withLock("odd") { lease in
                    _ = try await client.releaseByForce(seen)
                    try await lease.extend()
                }
            }
            // The control: what is no lock is deleted.
            // Of a lock that was released, a minority of the nodes may still have the key.
            for server in redis.servers {
                _ = try await server.send("DEL", key)
                _ = try await server.send("LPUSH", key, "x")
            }
            #expect(try await client.releaseByForce(try await client.inspect("odd")))
            for server in redis.servers { #expect(try await server.send("EXISTS", key) == "0") }
        }
    }

    /// A minority that has something else in place of the lock costs its votes and nothing more.
    @Test
    func aMinorityWithForeignDataKeepsNobodyFromLocking() async throws {
        try await Layout.three.withClient { client, redis in
            _ = try await redis[0].send("LPUSH", "odd".lockKey, "x")
            #expect(try await client.locks().map(\.resource) == ["odd"])
            try await client.withLock("odd") { _ in
                let status = try await client.inspect("odd")
                #expect(status.isHeld && !status.isNotALock && status.notALockCount == 1)
            }
            _ = try await redis[1].send("LPUSH", "odd".lockKey, "x")
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("odd", options: .once) }
            #expect(error?.code == .notALock && error?.nodes.count == 3, "\(String(describing: error))")
        }
    }

    /// What never ends is no lock: a job that only tries would be left out for ever without a word.
    @Test(arguments: ["redlock:lock:odd", "redlock:readers:odd"])
    func tryingTellsForeignDataFromALock(key: String) async throws {
        try await Layout.three.withClient { client, redis in
            for server in redis.servers { _ = try await server.send("LPUSH", key, "x") }
            for attempt in [
                { try await client.tryAcquire("odd") != nil },
                { try await client.tryAcquire("odd", mode: .shared) != nil },
                { try await client.tryAcquire(["even", "odd"]) != nil },
            ] as [@Sendable () async throws -> Bool] {
                let error = await #expect(throws: RedlockError.self) { try await attempt() }
                #expect(error?.code == .notALock, "\(String(describing: error))")
            }
            // The control: what is held is refused without an error.
            try await client.withLock("held") { _ in
                let other = try await RedlockClient.connected(to: redis)
                #expect(try await other.tryAcquire("held") == nil)
                await other.shutdown()
            }
        }
    }
}

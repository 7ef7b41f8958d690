// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import Testing

/// Other clients of the published algorithm and this one exclude each other.
@Suite(.serialized)
struct InteroperationTests {
    @Test
    func lockOfAnotherClientBlocksOurs() async throws {
        try await CompatibleRedlockClient.withThreeNodes { client, redis in
            for server in redis.servers {
                #expect(try await server.send("SET", "shared", "their-token", "NX", "PX", "600") == "OK")
            }
            #expect(try await client.tryAcquire("shared") == nil)
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("shared", options: .once) }
            #expect(error?.code == .timedOut)
            #expect(error?.message.contains("a client of another kind") == true)
            let status = try await client.inspect("shared")
            #expect(status.isHeld)
            #expect(status.holder?.label == nil)
            // It is ours as soon as theirs is over, and not before.
            let lease = try await client.acquire("shared", options: LockOptions(wait: .atMost(.seconds(5))))
            await lease.release()
        }
    }

    @Test
    func ourLockBlocksOthers() async throws {
        try await CompatibleRedlockClient.withThreeNodes { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("shared")
            for server in redis.servers {
                #expect(try await server.send("SET", "shared", "their-token", "NX", "PX", "600") == nil)
                #expect(try await server.send("GET", "shared") == lease.ownerToken.secretText)
                let life = try #require(Int(try await server.send("PTTL", "shared") ?? ""))
                #expect((8000...10_000).contains(life))
            }
            await lease.release()
            for server in redis.servers {
                #expect(try await server.send("SET", "shared", "their-token", "NX", "PX", "600") == "OK")
            }
        }
    }

    @Test
    func foreignLockIsNeverTouched() async throws {
        try await CompatibleRedlockClient.withThreeNodes { client, redis in
            for server in redis.servers { _ = try await server.send("SET", "theirs", "their-token", "PX", "60000") }
            _ = try await client.tryAcquire("theirs")
            let stranger = try #require(OwnerToken(secretText: "not-their-token"))
            #expect(try await client.release("theirs", ownerToken: stranger) == false)
            await #expect(throws: RedlockError.self) {
                try await client.extend("theirs", ownerToken: stranger, ttl: .seconds(20))
            }
            for server in redis.servers {
                #expect(try await server.send("GET", "theirs") == "their-token")
                let life = try #require(Int(try await server.send("PTTL", "theirs") ?? ""))
                #expect(life > 50_000)
            }
        }
    }

    /// A key without an end is somebody's mistake; it is told, and never deleted.
    @Test
    func keyWithoutAnEndStays() async throws {
        try await CompatibleRedlockClient.withThreeNodes { client, redis in
            for server in redis.servers { _ = try await server.send("SET", "squatted", "for-ever") }
            #expect(try await client.tryAcquire("squatted") == nil)
            let status = try await client.inspect("squatted")
            #expect(status.isHeld)
            #expect(status.holder?.remaining == nil)
            for server in redis.servers { #expect(try await server.send("GET", "squatted") == "for-ever") }
        }
    }

    @Test
    func scriptsHaveTheirDigests() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let client = try CompatibleRedlockClient(nodes: redis.urls, logger: .tracing)
            try await client.waitUntilAllNodesAnswer()
            // The handshake loaded the scripts; a wrong digest would have been answered with NOSCRIPT and sent whole.
            _ = try await redis[0].send("CONFIG", "RESETSTAT")
            let lease = try await client.acquire("digest")
            try await lease.extend(ttl: .seconds(20))
            _ = try await client.inspect("digest")
            await lease.release()
            let statistics = try await redis[0].send("INFO", "commandstats") ?? ""
            #expect(statistics.contains("cmdstat_evalsha:calls=3"))
            #expect(!statistics.contains("cmdstat_eval:"))
            await client.shutdown()
        }
    }
}

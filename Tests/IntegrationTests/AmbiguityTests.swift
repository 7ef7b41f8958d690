// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import RedlockTesting
import TestSupport
import Testing

/// Errors of a server: none is taken for a vote or for a promise that nothing was set, each is told by its name, and a
/// minority of them stops nobody.
@Suite(.serialized)
struct AmbiguityTests {
    struct Trouble: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// What the error must say of the node.
        let reason: String
        var configuration: [String] = []
        let cause: @Sendable (LocalRedisServer) async throws -> Void
        let cure: @Sendable (LocalRedisServer) async throws -> Void
    }

    static let troubles = [
        Trouble(
            testDescription: "no memory",
            reason: "OOM",
            configuration: ["maxmemory-policy noeviction"],
            cause: { _ = try await $0.send("CONFIG", "SET", "maxmemory", "1") },
            cure: { _ = try await $0.send("CONFIG", "SET", "maxmemory", "0") }
        ),
        Trouble(
            testDescription: "disk refuses",
            reason: "MISCONF",
            configuration: ["enable-protected-configs local", "save 3600 1000000"],
            cause: { server in
                // Nothing can be written there; the failure of one snapshot makes the server refuse writes.
                _ = try await server.send("CONFIG", "SET", "dir", "/proc")
                _ = try await server.send("BGSAVE")
                try await eventually {
                    try await server.send("INFO", "persistence")?.contains("rdb_last_bgsave_status:err") == true
                }
            },
            cure: { _ = try await $0.send("CONFIG", "SET", "stop-writes-on-bgsave-error", "no") }
        ),
        Trouble(
            testDescription: "endless script",
            reason: "BUSY",
            configuration: ["lua-time-limit 50"],
            cause: { server in
                // Nobody waits for its answer: it ends when the script is killed.
                Task { try? await server.send("EVAL", "while true do end", "0", timeout: .seconds(60)) }
                try await Task.sleep(for: .milliseconds(300))
            },
            cure: { _ = try await $0.send("SCRIPT", "KILL") }
        ),
        Trouble(
            testDescription: "replica",
            reason: "replica",
            cause: { _ = try await $0.send("REPLICAOF", "127.0.0.1", "1") },
            cure: { _ = try await $0.send("REPLICAOF", "NO", "ONE") }
        ),
        Trouble(
            testDescription: "replica without its master",
            reason: "replica",
            configuration: ["replica-serve-stale-data no"],
            cause: { _ = try await $0.send("REPLICAOF", "127.0.0.1", "1") },
            cure: { _ = try await $0.send("REPLICAOF", "NO", "ONE") }
        ),
        Trouble(
            testDescription: "no permission",
            reason: "can't run this command",
            cause: { _ = try await $0.send("ACL", "SETUSER", "default", "-incrby") },
            cure: { _ = try await $0.send("ACL", "SETUSER", "default", "+incrby") }
        ),
    ]

    @Test(arguments: troubles)
    func minorityStopsNobody(_ trouble: Trouble) async throws {
        try await withTroubled(trouble, servers: 0..<1) { client, _ in
            for _ in 0..<5 {
                let options = LockOptions(wait: .atMost(.seconds(5)))
                await (try await client.acquire("troubled", options: options)).release()
            }
        }
    }

    @Test(arguments: troubles)
    func majorityIsToldByItsName(_ trouble: Trouble) async throws {
        try await withTroubled(trouble, servers: 0..<2) { client, redis in
            try await eventually {
                let error = await #expect(throws: RedlockError.self) {
                    try await client.acquire("troubled", options: .once)
                }
                #expect(error?.code == .quorumUnavailable)
                return error?.nodes.filter { $0.outcome.contains(trouble.reason) }.count == 2
            }
            // The third node granted, and was told to give it back.
            try await eventually { try await redis[2].send("EXISTS", "troubled".lockKey) == "0" }
        }
    }

    /// Runs the body with three servers, some of which get into trouble once a client has used them.
    private func withTroubled(
        _ trouble: Trouble,
        servers: Range<Int>,
        _ body: (RedlockClient, LocalRedisSet) async throws -> Void
    ) async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = trouble.configuration
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let client = try await RedlockClient.enrolled(redis)
            await (try await client.acquire("warm")).release()
            for server in servers { try await trouble.cause(redis[server]) }
            try await body(client, redis)
            await client.shutdown()
            for server in servers { try await trouble.cure(redis[server]) }
        }
    }

    /// Without memory nobody is granted anything; who has a lock keeps it and can give it back.
    @Test
    func leaseIsExtendedAndReleasedWithoutMemory() async throws {
        try await Layout.three.withClient { client, redis in
            let lease = try await client.acquire("held", options: LockOptions(ttl: .seconds(5)))
            for server in redis.servers { _ = try await server.send("CONFIG", "SET", "maxmemory", "1") }
            try await lease.extend(ttl: .seconds(20))
            #expect(lease.remaining > .seconds(15))
            await lease.release()
            try await expectGone("held".lockKey, from: redis)
        }
    }

    @Test(arguments: ["LOADING Redis is loading the dataset in memory", "ERR max number of clients reached"])
    func serverThatCannotServeYetIsTriedAgain(_ text: String) async throws {
        try await withScriptedServer(.always(.error(text))) { server in
            let client = try RedlockClient(nodes: ["redis://127.0.0.1:\(server.port)"], logger: .tracing)
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("a", options: .once) }
            #expect(error?.code == .quorumUnavailable)
            try await eventually { server.log.acceptedConnections >= 3 }
            await client.shutdown()
        }
    }

    /// Scripts that were flushed are sent whole, within the same call, and the node is looked at again.
    @Test
    func flushedScriptsCostNothingButARoundTrip() async throws {
        try await Layout.three.withClient { client, redis in
            await (try await client.acquire("warm")).release()
            for server in redis.servers { _ = try await server.send("SCRIPT", "FLUSH") }
            let lease = try await client.acquire("flushed", options: .once)
            for server in redis.servers { _ = try await server.send("SCRIPT", "FLUSH") }
            try await lease.extend()
            for server in redis.servers { _ = try await server.send("SCRIPT", "FLUSH") }
            await lease.release()
            for server in redis.servers {
                try await eventually { try await server.send("EXISTS", "flushed".lockKey) == "0" }
            }
        }
    }

    /// A node that knows the release and not the acquire: what is sent again must not come behind the release.
    @Test
    func scriptIsNotSentAgainBehindTheRelease() async throws {
        try await Layout.three.withClient { client, redis in
            let warm = try await client.acquire("warm")
            for server in redis.servers.prefix(2) {
                _ = try await server.send("SET", "ghost".lockKey, "somebody", "PX", "60000")
            }
            for _ in 0..<20 {
                _ = try await redis[2].send("SCRIPT", "FLUSH")
                #expect(try await client.tryAcquire("ghost") == nil)
                try await Task.sleep(for: .milliseconds(20))
                #expect(try await redis[2].send("EXISTS", "ghost".lockKey) == "0")
            }
            await warm.release()
        }
    }
}

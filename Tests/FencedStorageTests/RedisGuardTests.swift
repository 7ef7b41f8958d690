// SPDX-License-Identifier: Apache-2.0

import FencedStorage
import Hiredis
import LocalRedis
import Redlock
import RedlockTesting
import TestSupport
import Testing

/// Data in a Redis server that nobody changes who came too late.
struct RedisGuardTests {
    @Test
    func keepsWhatStoresPromise() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let store = try RedisGuard(redis.urls[0])
            try await FencedStoreConformance(
                store,
                appending: { .command("RPUSH", "log", $0.text) },
                reading: {
                    let reply = try await redis[0].send("LRANGE", "log", "0", "-1") ?? ""
                    return reply.split(separator: "\n").compactMap { FencedStoreEntry(String($0)) }
                },
                failing: .command("INCR", "log")
            )
            .check(writeCount: 10_000)
            store.shutdown()
        }
    }

    @Test
    func scriptsSeeTheirOwnKeysAndArguments() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let store = try RedisGuard(redis.urls[0])
            let grant = ReceivedGrant("stock", FencingToken(rawValue: 3))
            let script = "return {KEYS[1], #KEYS, ARGV[1], #ARGV, redis.call('INCRBY', KEYS[1], ARGV[1])}"
            let reply = try await store.write(grant, .script(script, keys: ["left"], arguments: ["7"]))
            let expected: [String?] = ["left", nil, "7", nil, nil]
            #expect(reply.array?.map(\.string) == expected)
            #expect(reply.array?.map(\.integer) == [nil, 1, nil, 1, 7])
            await #expect(throws: StaleGrantError.self) {
                try await store.write(
                    ReceivedGrant("stock", FencingToken(rawValue: 2)),
                    .script(script, keys: ["left"], arguments: ["7"])
                )
            }
            #expect(try await redis[0].send("GET", "left") == "7")
        }
    }

    @Test
    func errorsSayWhatIsKnown() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let store = try RedisGuard(redis.urls[0])
            let grant = ReceivedGrant("stock", FencingToken(rawValue: 3))
            let refused = await #expect(throws: RedisGuardError.self) {
                try await store.write(grant, .command("NOSUCHCOMMAND"))
            }
            #expect(refused?.kind == .refused)
            #expect(try await store.highestToken(of: "stock") == FencingToken(rawValue: 3))
            _ = try await redis[0].send("SET", "fencing-token:taken", "something else")
            await #expect(throws: RedisGuardError.self) {
                try await store.write(ReceivedGrant("taken", FencingToken(rawValue: 3)), .command("SET", "a", "b"))
            }
            #expect(try await redis[0].send("EXISTS", "a") == "0")
            await redis[0].kill()
            let lost = await #expect(throws: RedisGuardError.self) {
                try await store.write(grant, .command("SET", "a", "b"))
            }
            #expect(lost?.kind == .unreachable || lost?.kind == .outcomeUnknown)
        }
    }

    @Test
    func whatCannotBeSentKeepsNoToken() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let store = try RedisGuard(redis.urls[0])
            let grant = ReceivedGrant("stock", FencingToken(rawValue: 3))
            for words in [[], ["DEL"] + (0..<9_000).map { "key\($0)" }] {
                let error = await #expect(throws: RedisGuardError.self) {
                    try await store.write(grant, .command(words))
                }
                #expect(error?.kind == .refused)
            }
            let cancelled = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                try await store.write(grant, .command("SET", "a", "b"))
            }
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(try await store.highestToken(of: "stock") == nil)
            #expect(try await redis[0].send("DBSIZE") == "0")
        }
    }

    @Test("A task that waits for a server which does not answer yet leaves when it is cancelled")
    func waitingEnds() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await redis[0].pause()
            let store = try RedisGuard(redis.urls[0])
            let waiting = Task {
                try await store.write(ReceivedGrant("stock", FencingToken(rawValue: 3)), .command("SET", "a", "b"))
            }
            try await Task.sleep(for: .milliseconds(50))
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            try await redis[0].resume()
        }
    }

    @Test
    func goesOnAfterARestart() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let store = try RedisGuard(redis.urls[0])
            let grant = ReceivedGrant("stock", FencingToken(rawValue: 3))
            try await store.write(grant, .command("SET", "a", "1"))
            try await redis[0].restart()
            try await eventually { (try? await store.write(grant, .command("SET", "a", "2"))) != nil }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Redlock
import RedlockTesting
import Testing

/// Tokens grow with every grant, whatever becomes of the counters.
@Suite(.serialized)
struct FencingTests {
    @Test(arguments: Layout.allCases)
    func everyGrantHasAHigherToken(_ layout: Layout) async throws {
        try await layout.withClient { client, _ in
            var last: FencingToken?
            for _ in 0..<100 {
                try await client.withLock("counted") { lease in
                    if let last { #expect(lease.fencingToken > last) }
                    last = lease.fencingToken
                }
            }
            let reserved = try #require(try await client.inspect("counted").lastFencingToken?.rawValue)
            #expect(reserved == (last?.rawValue ?? 0) + 15)
        }
    }

    @Test
    func tokensOfConcurrentClientsAreUnique() async throws {
        try await withLocalRedis(nodes: 5) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            let tokens = TokenCollector()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<6 {
                    let client = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
                    group.addTask {
                        for _ in 0..<40 {
                            try await client.withLock("shared") { await tokens.add($0.fencingToken) }
                        }
                        await client.shutdown()
                    }
                }
                try await group.waitForAll()
            }
            // Those who came later in time have the higher tokens, as only one is inside at a time.
            let all = await tokens.all
            #expect(all.count == 240)
            #expect(zip(all, all.dropFirst()).allSatisfy { $0 < $1 })
        }
    }

    private actor TokenCollector {
        private(set) var all: [FencingToken] = []
        func add(_ token: FencingToken) { all.append(token) }
    }

    // MARK: Round trips

    /// Counted on the servers: the scripts that each node was sent for one grant.
    @Test
    func freeAndContendedLocksTakeOneRoundTrip() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            await (try await client.acquire("trips")).release()
            try await redis.resetStatistics()
            let lease = try await client.acquire("trips")
            for server in redis.servers {
                let calls = try await server.commandCalls()
                #expect(calls["evalsha"] == 1)
                // The free path: four calls, and the TIME behind the write. Heartbeats may add more of the latter.
                #expect(calls["get"] == 1)
                #expect(calls["exists"] == 1)
                #expect(calls["incrby"] == 1)
                #expect(calls["set"] == 1)
                #expect((1...3).contains(calls["time"] ?? 0))
            }
            try await redis.resetStatistics()
            // Not the client that holds it: that one knows without asking.
            let other = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            try await other.waitUntilAllNodesAnswer()
            try await redis.resetStatistics()
            #expect(try await other.tryAcquire("trips") == nil)
            // Decided by two refusals; the third node may be sent a release behind its question, which nobody waits for.
            for server in redis.servers {
                let calls = try await server.commandCalls()
                #expect(calls["exists"] == 1)
                #expect(calls["incrby"] == nil)
                #expect((calls["evalsha"] ?? 0) <= 2)
            }
            await other.shutdown()
            await lease.release()
        }
    }

    @Test
    func disagreeingCountersTakeTwoRoundTripsOnce() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let first = try await client.acquire("trips")
            await first.release()
            _ = try await redis[0].send("INCRBY", "trips".fenceKey, "5")
            _ = try await redis[1].send("INCRBY", "trips".fenceKey, "2")
            try await redis.resetStatistics()
            let second = try await client.acquire("trips")
            #expect(second.fencingToken > first.fencingToken)
            let trips = try await redis.servers.asyncMap { try await $0.commandCalls()["evalsha"] ?? 0 }
            #expect(trips.max() == 2)
            #expect(trips.reduce(0, +) <= 5, "the node with the highest counter is not asked again")
            await second.release()
            try await redis.resetStatistics()
            let third = try await client.acquire("trips")
            for server in redis.servers where try await server.send("GET", "trips".fenceKey) != nil {
                #expect((1...2).contains(try await server.commandCalls()["evalsha"] ?? 0))
            }
            #expect(third.fencingToken > second.fencingToken)
            await third.release()
        }
    }

    // MARK: Lost counters

    /// Counters are lost on one node, on a minority, on all, set back to an old value, or expire on one node before the
    /// others, while two clients take turns.
    @Test
    func tokensNeverGoBackOverManyGrants() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            let clients = [
                try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing),
                try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing),
            ]
            var random = SeededRandom(seed: 5)
            var last = FencingToken(rawValue: 1)
            var oldValue: String?
            for round in 0..<9_000 {
                if round % 30 == 0 {
                    let server = redis[Int.random(in: 0..<3, using: &random)]
                    switch Int.random(in: 0..<5, using: &random) {
                    case 0: _ = try await server.send("DEL", "worn".fenceKey)
                    case 1: for server in redis.servers { _ = try await server.send("DEL", "worn".fenceKey) }
                    case 2:
                        if let oldValue { _ = try await server.send("SET", "worn".fenceKey, oldValue) }
                    case 3: _ = try await server.send("PEXPIRE", "worn".fenceKey, "1")
                    default: oldValue = try await server.send("GET", "worn".fenceKey)
                    }
                    // Longer than a reading of a server's clock may be wrong by: nothing is promised before that.
                    try await Task.sleep(for: .milliseconds(20))
                }
                let lease = try await clients[round % 2].acquire("worn")
                guard lease.fencingToken > last else {
                    Issue.record("round \(round): \(lease.fencingToken) after \(last)")
                    break
                }
                last = lease.fencingToken
                await lease.release()
            }
            for client in clients { await client.shutdown() }
        }
    }

    /// The same with whole servers: they restart empty, so that records are lost as well, and all of them at once.
    @Test
    func tokensNeverGoBackOverRestarts() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let client = try await RedlockClient.enrolled(redis, configuration: .briefQuarantine)
            var last = FencingToken(rawValue: 1)
            for round in 0..<6 {
                // One, a minority no more, and all.
                for server in redis.servers.prefix(round % 3 + 1) {
                    await server.kill()
                    try await server.restart()
                }
                let options = LockOptions(ttl: .seconds(1), wait: .atMost(.seconds(20)))
                for _ in 0..<170 {
                    let lease = try await client.acquire("worn", options: options)
                    #expect(lease.fencingToken > last)
                    last = lease.fencingToken
                    await lease.release()
                }
            }
            await client.shutdown()
        }
    }

    /// An old snapshot is put back: its counters and its locks are those of long ago, and its record as well.
    @Test
    func tokensNeverGoBackWithAnOldSnapshot() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let client = try await RedlockClient.enrolled(redis, configuration: .briefQuarantine)
            let options = LockOptions(ttl: .seconds(1), wait: .atMost(.seconds(20)))
            var last = FencingToken(rawValue: 1)
            func grant(times: Int) async throws {
                for _ in 0..<times {
                    let lease = try await client.acquire("old", options: options)
                    #expect(lease.fencingToken > last)
                    last = lease.fencingToken
                    await lease.release()
                }
            }
            try await grant(times: 20)
            // A snapshot in which the lock is held.
            let held = try await client.acquire("old", options: options)
            last = held.fencingToken
            try await client.waitUntilAllNodesAnswer()
            for server in redis.servers { _ = try await server.send("SAVE") }
            await held.release()
            try await grant(times: 200)
            for server in redis.servers {
                await server.kill()
                try await server.restart()
                #expect(try await server.send("EXISTS", "old".fenceKey) == "1", "the snapshot was read")
            }
            try await grant(times: 200)
            await client.shutdown()
        }
    }

    /// The control: counters that begin at nothing, as they would without the floor, go back.
    @Test
    func plainCountersGoBackWhenTheyAreLost() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let first = Int(try await redis[0].send("INCRBY", "plain", "7") ?? "") ?? 0
            await redis[0].kill()
            try await redis[0].restart()
            let second = Int(try await redis[0].send("INCRBY", "plain", "1") ?? "") ?? 0
            #expect(second < first)
        }
    }

    @Test
    func fenceIsRaisedByHand() async throws {
        try await Layout.five.withClient { client, redis in
            let first = try await client.acquire("raised")
            await first.release()
            let wanted = FencingToken(rawValue: first.fencingToken.rawValue + 1_000_000_000)
            #expect(try await client.raiseFence(of: "raised", toAtLeast: wanted) == wanted)
            let second = try await client.acquire("raised")
            #expect(second.fencingToken > wanted)
            await second.release()
            // Never lowered.
            #expect(try await client.raiseFence(of: "raised", toAtLeast: first.fencingToken) >= second.fencingToken)
            // It lives until the time has passed it, and then 7 days.
            let life = Int(try await redis[0].send("PTTL", "raised".fenceKey) ?? "") ?? 0
            #expect(life > 7 * 86_400_000 + 900_000)
            await #expect(throws: RedlockError.self) {
                try await client.raiseFence(of: "raised", toAtLeast: FencingToken(rawValue: 1 << 53))
            }
        }
    }

    @Test
    func counterOfAnotherTypeLeavesNoGhostLock() async throws {
        try await Layout.three.withClient { client, redis in
            for server in redis.servers { _ = try await server.send("LPUSH", "odd".fenceKey, "x") }
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("odd", options: .once) }
            #expect(error?.code == .quorumUnavailable)
            #expect(error?.description.contains("WRONGTYPE") == true)
            for server in redis.servers { #expect(try await server.send("EXISTS", "odd".lockKey) == "0") }
        }
    }

    @Test
    func counterAtItsEndIsRefused() async throws {
        try await Layout.three.withClient { client, redis in
            for server in redis.servers { _ = try await server.send("SET", "full".fenceKey, "\(1 << 53)") }
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("full", options: .once) }
            #expect(error?.description.contains("used up") == true)
            for server in redis.servers { #expect(try await server.send("EXISTS", "full".lockKey) == "0") }
        }
    }

    @Test
    func tokensAreKeptAsTheyAre() throws {
        let token = FencingToken(rawValue: 1_767_225_600_000_001)
        #expect(FencingToken("\(token)") == token)
        #expect(FencingToken("0") == nil)
        #expect(FencingToken("-1") == nil)
        #expect(FencingToken("x") == nil)
        let data = try JSONEncoder().encode([token])
        #expect(String(decoding: data, as: UTF8.self) == "[1767225600000001]")
        #expect(try JSONDecoder().decode([FencingToken].self, from: data) == [token])
    }
}

extension String {
    /// The key that counts the grants of the lock of this name.
    var fenceKey: String { "redlock:fence:" + self }
}

extension Sequence {
    func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}

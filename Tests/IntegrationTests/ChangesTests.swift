// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import RedlockTesting
import Testing

/// What `changes(matching:every:)` sees on real servers.
@Suite(.timeLimit(.minutes(2)))
struct ChangesTests {
    @Test
    func tellsTheLifeOfALock() async throws {
        try await Layout.three.withClient { client, redis in
            let watcher = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            let before = try await client.acquire("jobs/before")
            var changes = try watcher.changes(matching: "jobs/*", every: .milliseconds(100)).makeAsyncIterator()
            guard case .held(let held) = await changes.next() else { throw Unexpected() }
            #expect(held.resource == "jobs/before")

            let other = try await client.acquire("other")
            let options = LockOptions(label: "me", note: "first")
            let lease = try await client.acquire("jobs/a", options: options)
            guard case .acquired(let status) = await changes.next() else { throw Unexpected() }
            #expect(status.resource == "jobs/a" && status.holder?.label == "me" && status.holder?.note == "first")
            #expect(status.lastFencingToken.map { $0 >= lease.fencingToken } == true)

            let waiting = Task { try await watcher.acquire("jobs/a") }
            guard case .waitersJoined(let waited, 1) = await changes.next() else { throw Unexpected() }
            #expect(waited.resource == "jobs/a" && waited.waitingClients == 1)
            waiting.cancel()
            guard case .waitersLeft(let left, 1) = await changes.next() else { throw Unexpected() }
            #expect(left.resource == "jobs/a" && left.waitingClients == 0)

            // By hand, so that no look finds it free in between.
            for server in redis.servers { _ = try await server.send("SET", "jobs/a".lockKey, "x", "PX", "30000") }
            guard case .changedHands(let changed, let former) = await changes.next() else { throw Unexpected() }
            #expect(changed.isHeld && changed.holder?.label == nil && former.label == "me")
            for server in redis.servers { _ = try await server.send("DEL", "jobs/a".lockKey) }
            guard case .released("jobs/a", let last) = await changes.next() else { throw Unexpected() }
            #expect(last.label == nil)
            await before.release()
            await other.release()
            guard case .released("jobs/before", _) = await changes.next() else { throw Unexpected() }
            await watcher.shutdown()
            #expect(await changes.next() == nil)
        }
    }

    @Test
    func tellsOutagesOnceAndGoesOn() async throws {
        try await withLocalRedis(nodes: 3, options: LocalRedisOptions(persistence: .appendOnlyAlways)) { redis in
            let client = try await RedlockClient.enrolled(redis)
            var changes = try client.changes(matching: "a", every: .milliseconds(100)).makeAsyncIterator()
            let lease = try await client.acquire("a", options: LockOptions(ttl: .seconds(30)))
            guard case .held = await changes.next() else { throw Unexpected() }
            await redis[0].kill()
            guard case .nodeUnreachable(let node, _) = await changes.next() else { throw Unexpected() }
            #expect(node == "127.0.0.1:\(redis[0].port)")
            await redis[1].kill()
            var isLost = false
            while !isLost {
                guard let change = await changes.next() else { throw Unexpected() }
                if case .quorumLost(let nodes) = change {
                    isLost = true
                    #expect(nodes.count == 3)
                }
            }
            try await Task.sleep(for: .milliseconds(500))
            try await redis[0].restart()
            try await redis[1].restart()
            var seen: [LockChange] = []
            func isComplete() -> Bool {
                let back = seen.count { if case .nodeRegainedVote = $0 { true } else { false } }
                return back >= 2 && seen.contains(.quorumRegained)
            }
            while !isComplete() {
                guard let change = await changes.next() else { throw Unexpected() }
                seen.append(change)
            }
            #expect(seen.count { $0 == .quorumRegained } == 1, "\(seen)")
            #expect(!seen.contains { if case .quorumLost = $0 { true } else { false } }, "\(seen)")
            await lease.release()
            guard case .released = await changes.next() else { throw Unexpected() }
            await client.shutdown()
        }
    }

    /// A name is looked at alone; a pattern is looked for step by step.
    @Test
    func doesNotBurdenTheServers() async throws {
        try await Layout.one.withClient { client, redis in
            let lease = try await client.acquire("a", options: LockOptions(ttl: .seconds(30)))
            for (pattern, scans) in [("a", false), ("a*", true)] {
                try await redis.resetStatistics()
                let watching = Task {
                    for await _ in try client.changes(matching: pattern, every: .milliseconds(200)) {}
                }
                try await Task.sleep(for: .seconds(1))
                watching.cancel()
                try await watching.value
                let calls = try await redis[0].commandCalls()
                #expect(calls["keys"] == nil && calls["monitor"] == nil)
                #expect((calls["scan"] != nil) == scans, "\(pattern): \(calls)")
                // One look every 200 ms: five or six in a second.
                #expect((2...7).contains((calls["evalsha"] ?? 0) + (calls["eval"] ?? 0)), "\(pattern): \(calls)")
            }
            await lease.release()
        }
    }

    @Test
    func endsWithItsTask() async throws {
        try await Layout.one.withClient { client, _ in
            let watching = Task {
                var count = 0
                for await _ in try client.changes(every: .seconds(3_600)) { count += 1 }
                return count
            }
            try await Task.sleep(for: .milliseconds(300))
            let began = ContinuousClock.now
            watching.cancel()
            #expect(try await watching.value == 0)
            #expect(ContinuousClock.now - began < .seconds(5))
        }
    }

    private struct Unexpected: Error {}
}

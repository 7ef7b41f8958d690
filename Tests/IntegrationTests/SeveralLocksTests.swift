// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import RedlockTesting
import Testing

@testable import Redlock

/// Several locks that are had together or not at all.
@Suite(.serialized)
struct SeveralLocksTests {
    @Test
    func allOrNone() async throws {
        try await Layout.five.withClient { client, redis in
            let other = try await RedlockClient.connected(to: redis)
            let held = try await other.acquire("b")
            #expect(try await client.tryAcquire(["a", "b", "c"]) == nil)
            // Nothing is left of the attempt.
            let free = try #require(try await other.tryAcquire(["c", "a"]))
            #expect(free.resources == ["a", "c"])
            #expect(free.resource == "a, c")
            await free.release()
            await held.release()
            let all = try #require(try await client.tryAcquire(["c", "b", "a", "b"]))
            #expect(all.resources == ["a", "b", "c"])
            for name in all.resources { #expect(try await other.tryAcquire(name) == nil) }
            await all.release()
            for name in all.resources { #expect(try await other.inspect(name).isHeld == false) }
            await other.shutdown()
        }
    }

    /// The token is higher than every one that was granted of each, and every later one of each is higher.
    @Test
    func tokenIsThatOfEach() async throws {
        try await Layout.three.withClient { client, _ in
            _ = try await client.raiseFence(of: "b", toAtLeast: FencingToken(rawValue: 1 << 52))
            var last = FencingToken(rawValue: 0)
            for _ in 0..<3 {
                let a = try await client.acquire("a")
                await a.release()
                let b = try await client.acquire("b")
                await b.release()
                let both = try await client.acquire(["a", "b"])
                #expect(both.fencingToken > a.fencingToken)
                #expect(both.fencingToken > b.fencingToken)
                #expect(a.fencingToken > last)
                await both.release()
                last = both.fencingToken
            }
            #expect(last > FencingToken(rawValue: 1 << 52))
        }
    }

    /// Those who want the same locks in opposite orders are all served.
    @Test
    func oppositeOrdersDoNotWaitForEachOther() async throws {
        try await Layout.three.withClient { first, redis in
            let clients = [
                first, try await RedlockClient.connected(to: redis), try await RedlockClient.connected(to: redis),
                try await RedlockClient.connected(to: redis),
            ]
            let counters = [Counter(), Counter(), Counter()]
            let began = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, client) in clients.enumerated() {
                    let (one, other) = (number % 3, (number + 1) % 3)
                    for _ in 0..<2 {
                        group.addTask {
                            for round in 0..<20 {
                                let names = round % 2 == 0 ? ["\(one)", "\(other)"] : ["\(other)", "\(one)"]
                                try await client.withLock(names) { _ in
                                    for counter in [counters[one], counters[other]] { await counter.enter() }
                                    await Task.yield()
                                    for counter in [counters[one], counters[other]] { await counter.leave() }
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for counter in counters { #expect(await counter.most == 1) }
            #expect(await counters.asyncMap { await $0.entered }.reduce(0, +) == 320)
            #expect(ContinuousClock.now - began < .seconds(60))
            for client in clients.dropFirst() { await client.shutdown() }
        }
    }

    /// One that waits for several is woken by whoever has the one that is missing, whichever that is by then.
    @Test
    func isWokenByWhoeverHasTheOneThatIsMissing() async throws {
        try await Layout.five.withClient { waiter, redis in
            let (one, other) = (
                try await RedlockClient.connected(to: redis), try await RedlockClient.connected(to: redis)
            )
            let a = try await one.acquire("a")
            let b = try await other.acquire("b")
            let waiting = Task {
                let lease = try await waiter.acquire(["a", "b"])
                return (lease, ContinuousClock.now)
            }
            try await Task.sleep(for: .milliseconds(500))
            await a.release()
            try await Task.sleep(for: .milliseconds(500))
            let released = ContinuousClock.now
            await b.release()
            let (lease, entered) = try await waiting.value
            #expect(entered > released)
            #expect(entered - released < .seconds(1))
            await lease.release()
            await one.shutdown()
            await other.shutdown()
        }
    }

    /// One that is woken for a lock, and cannot have it because another is missing, leaves it to whoever is next.
    @Test
    func whoeverCannotHaveAllLeavesTheTurnToOthers() async throws {
        try await Layout.five.withClient { waiter, redis in
            let (one, other) = (
                try await RedlockClient.connected(to: redis), try await RedlockClient.connected(to: redis)
            )
            let a = try await one.acquire("a")
            let b = try await other.acquire("b")
            let both = Task { try await waiter.acquire(["a", "b"]) }
            try await Task.sleep(for: .milliseconds(300))
            let alone = Task { try await other.acquire("a") }
            try await Task.sleep(for: .milliseconds(300))
            let released = ContinuousClock.now
            await a.release()
            let lease = try await alone.value
            #expect(ContinuousClock.now - released < .seconds(1))
            await lease.release()
            await b.release()
            await (try await both.value).release()
            await one.shutdown()
            await other.shutdown()
        }
    }

    /// They are renewed together, and lost together if one is.
    @Test
    func areKeptAndLostTogether() async throws {
        try await Layout.three.withClient { client, redis in
            let options = LockOptions(ttl: .seconds(2))
            let lease = try await client.acquire(["a", "b"], options: options, renewal: .automatic)
            _ = try await redis[0].send("DEL", "b".lockKey)
            try await Task.sleep(for: .seconds(4))
            #expect(lease.isValid)
            #expect(try await redis[0].send("EXISTS", "a".lockKey, "b".lockKey) == "2", "repaired")
            for server in redis.servers { _ = try await server.send("DEL", "b".lockKey) }
            #expect(await lease.ended())
            await lease.release()
        }
    }

    @Test(arguments: [[], [""], ["a", ""], ["a", "b\n"], (0...64).map { "n\($0)" }])
    func refusesWhatCannotBeLocked(names: [String]) async throws {
        try await Layout.one.withClient { client, _ in
            let error = await #expect(throws: RedlockError.self) { _ = try await client.acquire(names) }
            #expect(error?.code == .invalidArgument)
        }
    }

    /// A task that has one of them, or all, is told so.
    @Test
    func taskThatHasOneIsToldSo() async throws {
        try await Layout.three.withClient { client, _ in
            try await client.withLock(["a", "b"]) { outer in
                let error = await #expect(throws: RedlockError.self) { try await client.withLock(["b", "c"]) { _ in } }
                #expect(error?.code == .heldByTask)
                #expect(error?.resource == "b")
                try await client.withLock("b", options: LockOptions(reentrant: true)) { inner in
                    #expect(inner.fencingToken == outer.fencingToken)
                }
            }
        }
    }
}

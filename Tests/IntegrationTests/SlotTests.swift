// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import RedlockTesting
import TestSupport
import Testing

@testable import Redlock

/// Slots: several locks under one name, of which whoever asks gets one.
@Suite(.serialized)
struct SlotTests {
    private func key(_ slot: Int) -> String { "redlock:slot:00\(slot):gpu" }

    @Test
    func thereAreAsManyAsThereAre() async throws {
        try await Layout.five.withClient { client, redis in
            let other = try await RedlockClient.connected(to: redis)
            let first = try #require(try await client.tryAcquireSlot(of: "gpu", limit: 3))
            let second = try #require(try await other.tryAcquireSlot(of: "gpu", limit: 3))
            let third = try #require(try await client.tryAcquireSlot(of: "gpu", limit: 3))
            #expect([first, second, third].map(\.slot) == [0, 1, 2])
            #expect(try await other.tryAcquireSlot(of: "gpu", limit: 3) == nil)
            let waiting = Task { try await other.acquireSlot(of: "gpu", limit: 3) }
            try await Task.sleep(for: .milliseconds(500))
            let released = ContinuousClock.now
            await second.release()
            let next = try await waiting.value
            #expect(ContinuousClock.now - released < .seconds(1))
            #expect(next.slot == 1)
            #expect(next.fencingToken > second.fencingToken)
            #expect(try await client.locks(matching: "gpu").map(\.title) == ["gpu slot 0", "gpu slot 1", "gpu slot 2"])
            for lease in [first, third, next] { await lease.release() }
            await other.shutdown()
        }
    }

    /// The error names the holders of the slots; where a slot is free, there is no error.
    @Test
    func whoGivesUpIsToldWhoHasTheSlots() async throws {
        try await Layout.three.withClient { client, redis in
            func options(_ label: String) -> LockOptions { LockOptions(wait: .none, label: label) }
            let one = try await client.acquireSlot(of: "gpu", limit: 2, options: options("one"))
            let two = try await client.acquireSlot(of: "gpu", limit: 2, options: options("two"))
            let other = try await RedlockClient.connected(to: redis)
            let error = await #expect(throws: RedlockError.self) {
                try await other.acquireSlot(of: "gpu", limit: 2, options: options("three"))
            }
            #expect(error?.code == .timedOut)
            #expect(error?.holder?.label == "one" && error?.otherHolders.map(\.label) == ["two"])
            #expect(error?.message.hasPrefix("all 2 slots of \"gpu\" are held by one, two; gave up") == true)
            await two.release()
            let free = try await other.acquireSlot(of: "gpu", limit: 2, options: options("three"))
            #expect(free.slot == two.slot)
            for lease in [one, free] { await lease.release() }
            await other.shutdown()
        }
    }

    /// One attempt is enough where nobody else asks.
    @Test
    func takesOneRoundTripWhereNobodyElseAsks() async throws {
        try await Layout.three.withClient { client, redis in
            let held = try await client.acquireSlot(of: "gpu", limit: 4)
            try await redis.resetStatistics()
            let lease = try await client.acquireSlot(of: "gpu", limit: 4)
            let calls = try await redis[0].commandCalls()
            #expect((calls["evalsha"] ?? 0) + (calls["eval"] ?? 0) <= 2, "one, and once more whole at most: \(calls)")
            await lease.release()
            await held.release()
        }
    }

    /// A node that lost the key of a slot grants that again; the others decide.
    @Test
    func nodeThatForgotDoesNotKeepASlotFromOthers() async throws {
        try await Layout.three.withClient { client, redis in
            let held = try await client.acquireSlot(of: "gpu", limit: 2)
            for server in redis.servers {
                _ = try await server.send("DEL", key(0))
                let free = try await client.tryAcquireSlot(of: "gpu", limit: 2)
                #expect(free?.slot == 1)
                await free?.release()
                try await held.extend()
                try await Task.sleep(for: .milliseconds(100))
            }
            await held.release()
        }
    }

    /// Where each node has another slot free first, the next attempt asks all for the same.
    @Test
    func nodesThatDifferComeToAgree() async throws {
        try await Layout.five.withClient { client, redis in
            // Slot 0 is held on the first three, slot 1 on the last three, by nobody who has a quorum elsewhere.
            for place in 0..<5 {
                if place < 3 { _ = try await redis[place].send("SET", key(0), "x", "PX", "30000") }
                if place >= 2 { _ = try await redis[place].send("SET", key(1), "y", "PX", "30000") }
            }
            let options = LockOptions(wait: .atMost(.seconds(3)))
            let lease = try await client.acquireSlot(of: "gpu", limit: 3, options: options)
            #expect(lease.slot == 2)
            await lease.release()
        }
    }

    /// Another number is refused while one is held, and taken up when all are free.
    @Test
    func numberIsAgreedOn() async throws {
        try await Layout.three.withClient { client, redis in
            let other = try await RedlockClient.connected(to: redis)
            let lease = try await client.acquireSlot(of: "gpu", limit: 2)
            for call in [
                { _ = try await other.acquireSlot(of: "gpu", limit: 3) },
                { _ = try await other.tryAcquireSlot(of: "gpu", limit: 1) },
            ] as [@Sendable () async throws -> Void] {
                let error = await #expect(throws: RedlockError.self) { try await call() }
                #expect(error?.code == .slotCountRefused)
                #expect(error?.message.contains("2 slots") == true)
                #expect(error?.holder?.label != nil && error?.message.contains("held by") == true)
            }
            // One node that says otherwise decides nothing.
            _ = try await redis[0].send("SET", "redlock:slots:gpu", "7")
            let second = try #require(try await other.tryAcquireSlot(of: "gpu", limit: 2))
            await second.release()
            // A node that forgot the number, and is repaired, knows it again.
            _ = try await redis[1].send("DEL", key(0), "redlock:slots:gpu")
            try await lease.extend()
            try await eventually { try await redis[1].send("EXISTS", key(0)) == "1" }
            #expect(try await redis[1].send("GET", "redlock:slots:gpu") == "2")
            await lease.release()
            await (try await other.acquireSlot(of: "gpu", limit: 3)).release()
            await other.shutdown()
        }
    }

    /// Many tasks of many clients: never more inside than there are slots, each slot with one at a time.
    @Test
    func neverMoreInsideThanThereAreSlots() async throws {
        try await Layout.five.withClient { first, redis in
            let clients = [first] + (try await RedlockClient.connected(3, to: redis))
            let inside = Counter()
            let slots = [Counter(), Counter(), Counter()]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<24 {
                    group.addTask {
                        for _ in 0..<5 {
                            let options = LockOptions(fair: number % 2 == 0)
                            try await clients[number % 4].withSlot(of: "gpu", limit: 3, options: options) { lease in
                                await inside.enter()
                                await slots[lease.slot ?? 0].enter()
                                try await Task.sleep(for: .milliseconds(3))
                                await slots[lease.slot ?? 0].leave()
                                await inside.leave()
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(await inside.entered == 120)
            #expect(await inside.most <= 3)
            for slot in slots { #expect(await slot.most == 1) }
            for client in clients.dropFirst() { await client.shutdown() }
        }
    }
}

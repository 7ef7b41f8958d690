// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import RedlockTesting
import TestSupport
import Testing

@testable import Redlock

/// Clients that wait for a lock of another one: the nodes wake who is to have it next.
@Suite(.serialized)
struct WakeUpTests {
    /// How many clients wait on the node that knows of most.
    private func queued(_ name: String, _ redis: LocalRedisSet) async throws -> Int {
        try await redis.servers.asyncMap { Int(try await $0.send("ZCARD", "redlock:queue:" + name) ?? "") ?? 0 }.max()
            ?? 0
    }

    private func waitUntilQueued(_ count: Int, _ name: String, _ redis: LocalRedisSet) async throws {
        try await eventually { try await queued(name, redis) == count }
    }

    /// Scripts of one server, the busiest, within a time.
    private func scripts(_ redis: LocalRedisSet, within time: Duration) async throws -> Int {
        try await redis.resetStatistics()
        try await Task.sleep(for: time)
        return try await redis.servers.asyncMap { try await $0.commandCalls()["evalsha"] ?? 0 }.max() ?? 0
    }

    /// Releases a lease, and expects whoever waits behind it to have the lock at once: a fraction of the 4 s after which it
    /// would look for itself.
    private func expectAtOnce(
        _ waiting: Task<Lease<Fenced>, any Error>,
        behind lease: Lease<Fenced>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Lease<Fenced> {
        let released = ContinuousClock.now
        await lease.release()
        let next = try await waiting.value
        #expect(ContinuousClock.now - released < .seconds(1), sourceLocation: sourceLocation)
        return next
    }

    /// Whoever waits asks next to nothing, and has the lock at once when it is released.
    @Test
    func isWokenInsteadOfAsking() async throws {
        try await Layout.five.withClient { holder, redis in
            let waiter = try await RedlockClient.connected(to: redis)
            let lease = try await holder.acquire("report")
            let waiting = Task { try await waiter.acquire("report") }
            try await waitUntilQueued(1, "report", redis)
            // Until all nodes have their place.
            try await Task.sleep(for: .milliseconds(500))
            #expect(try await scripts(redis, within: .seconds(3)) <= 1)
            let next = try await expectAtOnce(waiting, behind: lease)
            #expect(next.fencingToken > lease.fencingToken)
            await next.release()
            #expect(try await queued("report", redis) == 0)
            await waiter.shutdown()
        }
    }

    /// The control: where nobody may subscribe, they ask all the time, and get the lock all the same.
    @Test
    func whoeverMayNotBeWokenAsks() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = [
            "user locker on >open-sesame resetkeys ~redlock:* resetchannels -@all "
                + "+set +get +del +exists +incrby +pexpire +pttl +time +eval +evalsha +script|load +info +config|get"
        ]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let holder = try await RedlockClient.enrolled(redis)
            let nodes = redis.servers.map { "redis://locker:open-sesame@127.0.0.1:\($0.port)" }
            let waiter = try RedlockClient(nodes: nodes, configuration: .patient, logger: .tracing)
            let lease = try await holder.acquire("report")
            let waiting = Task { try await waiter.acquire("report") }
            try await Task.sleep(for: .seconds(1))
            #expect(try await scripts(redis, within: .seconds(3)) > 10)
            await lease.release()
            await (try await waiting.value).release()
            await waiter.shutdown()
            await holder.shutdown()
        }
    }

    /// Those who wait get the lock in the order in which they came, though they are clients of their own; but for one who
    /// happens to ask just when the lock is released, as only `fair` keeps that one out.
    @Test
    func clientsAreServedInTheOrderOfTheirTickets() async throws {
        try await Layout.three.withClient { holder, redis in
            let clients = try await RedlockClient.connected(5, to: redis)
            var roundsInOrder = 0
            for round in 0..<4 {
                let order = try await orderOfService("report-\(round)", of: clients, after: holder, redis)
                #expect(order.sorted() == [0, 1, 2, 3, 4])
                if order == [0, 1, 2, 3, 4] { roundsInOrder += 1 }
            }
            // By chance, it would be one round of 120.
            #expect(roundsInOrder >= 2)
            for client in clients { await client.shutdown() }
        }
    }

    private func orderOfService(
        _ name: String,
        of clients: [RedlockClient],
        after holder: RedlockClient,
        _ redis: LocalRedisSet
    ) async throws -> [Int] {
        let lease = try await holder.acquire(name)
        let (places, continuation) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (place, client) in clients.enumerated() {
                group.addTask {
                    try await client.withLock(name) { _ in
                        continuation.yield(place)
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
                try await waitUntilQueued(place + 1, name, redis)
            }
            await lease.release()
            try await group.waitForAll()
        }
        continuation.finish()
        var order: [Int] = []
        for await place in places { order.append(place) }
        return order
    }

    /// A holder may say who is to be next; if that one does not wait, the first is, as always.
    @Test
    func heirIsWokenBeforeTheFirst() async throws {
        try await Layout.three.withClient { holder, redis in
            let clients = try await RedlockClient.connected(4, to: redis)
            let lease = try await holder.acquire("report")
            let (order, continuation) = AsyncStream.makeStream(of: Int.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (place, client) in clients.enumerated() {
                    group.addTask {
                        // In turn, as the order of arrival is a promise for fair waiters alone.
                        let lease = try await client.acquire("report", options: LockOptions(fair: true))
                        continuation.yield(place)
                        try await Task.sleep(for: .milliseconds(20))
                        // The one that is named has had it already.
                        await lease.release(to: clients[2].identifier)
                    }
                    try await waitUntilQueued(place + 1, "report", redis)
                }
                await lease.release(to: clients[2].identifier)
                try await group.waitForAll()
            }
            continuation.finish()
            var served: [Int] = []
            for await place in order { served.append(place) }
            #expect(served == [2, 0, 1, 3])
            for client in clients { await client.shutdown() }
        }
    }

    /// Whoever gives up leaves the queues at once, and does not keep those behind it waiting.
    @Test
    func whoeverGivesUpLeavesTheQueues() async throws {
        try await Layout.three.withClient { holder, redis in
            let (first, second) = (
                try await RedlockClient.connected(to: redis), try await RedlockClient.connected(to: redis)
            )
            let lease = try await holder.acquire("report")
            let cancelled = Task { try await first.acquire("report") }
            try await waitUntilQueued(1, "report", redis)
            let waiting = Task { try await second.acquire("report") }
            try await waitUntilQueued(2, "report", redis)
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            try await waitUntilQueued(1, "report", redis)
            await (try await expectAtOnce(waiting, behind: lease)).release()
            await first.shutdown()
            await second.shutdown()
        }
    }

    /// A client that is gone without a word, or hears and does nothing, costs those behind it next to nothing.
    @Test(arguments: [true, false])
    func clientsThatAreGoneKeepNobodyWaiting(isListening: Bool) async throws {
        try await Layout.three.withClient { holder, redis in
            let lease = try await holder.acquire("report")
            let waiter = try await RedlockClient.connected(to: redis)
            let subscriber = try await RedlockClient.connected(to: redis)
            let ghost = "0123456789abcdef"
            for server in redis.servers {
                _ = try await server.send("ZADD", "redlock:queue:report", "1", ghost + "x")
                _ = try await server.send("ZADD", "redlock:queue-expiry:report", "99999999999999", ghost + "x")
            }
            if isListening {
                await subscriber.engine.onLoop { $0.surroundings.listen(on: "redlock:wake:" + ghost) }
                try await eventually { try await redis[0].send("PUBLISH", "redlock:wake:" + ghost, "") != "0" }
                try await Task.sleep(for: .milliseconds(100))
            }
            let waiting = Task { try await waiter.acquire("report") }
            try await waitUntilQueued(2, "report", redis)
            await (try await expectAtOnce(waiting, behind: lease)).release()
            await subscriber.shutdown()
            await waiter.shutdown()
        }
    }

    /// A holder that is gone is not waited for any longer than its key lives, whoever does not say that it is free.
    @Test
    func whoeverWaitsKnowsWhenTheKeyOfAGoneHolderEnds() async throws {
        try await Layout.five.withClient { holder, redis in
            let waiters = try await RedlockClient.connected(3, to: redis)
            let lease = try await holder.acquire("report", options: LockOptions(ttl: .seconds(3)))
            let acquired = ContinuousClock.now
            await lease.detach()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for waiter in waiters { group.addTask { try await waiter.withLock("report") { _ in } } }
                try await group.waitForAll()
            }
            let waited = ContinuousClock.now - acquired
            #expect(waited > .milliseconds(2_900))
            #expect(waited < .milliseconds(4_000))
            for waiter in waiters { await waiter.shutdown() }
        }
    }

    /// Names are told apart by their bytes, as the nodes do it, whatever Swift takes for equal texts.
    @Test
    func namesThatLookAlikeAreDifferentLocks() async throws {
        try await Layout.three.withClient { client, redis in
            let (one, other) = ("caf\u{E9}", "cafe\u{301}")
            #expect(one == other)
            try await client.withLock(one) { first in
                let inner = LockOptions(wait: .atMost(.seconds(2)), reentrant: true)
                try await client.withLock(other, options: inner) { second in
                    let count = try await redis[0].send("EXISTS", one.lockKey, other.lockKey)
                    #expect(count == "2")
                    #expect(first.isValid && second.isValid)
                }
            }
        }
    }

    /// Also where the first character of the name merges with the one before it.
    @Test(arguments: ["\u{301}x", "\u{200D}", "two words", "a\u{FE0F}:b"])
    func whateverTheNameIsWoken(name: String) async throws {
        try await Layout.three.withClient { holder, redis in
            let waiter = try await RedlockClient.connected(to: redis)
            let lease = try await holder.acquire(name)
            let waiting = Task { try await waiter.acquire(name) }
            try await waitUntilQueued(1, name, redis)
            try await Task.sleep(for: .milliseconds(100))
            await (try await expectAtOnce(waiting, behind: lease)).release()
            await waiter.shutdown()
        }
    }

    /// One client that waits for two names which look alike is woken for each.
    @Test
    func namesThatLookAlikeAreWokenEach() async throws {
        try await Layout.three.withClient { holder, redis in
            let waiter = try await RedlockClient.connected(to: redis)
            for (one, other) in [("caf\u{E9}", "cafe\u{301}"), ("cafe\u{301}", "caf\u{E9}")] {
                let leases = [try await holder.acquire(one), try await holder.acquire(other)]
                let waiting = [one, other].map { name in Task { try await waiter.acquire(name) } }
                for name in [one, other] { try await waitUntilQueued(1, name, redis) }
                try await Task.sleep(for: .milliseconds(100))
                for (lease, task) in zip(leases, waiting) {
                    await (try await expectAtOnce(task, behind: lease)).release()
                }
            }
            await waiter.shutdown()
        }
    }

    /// One that takes the lock again and again lets others have it in between, though it waits for nothing.
    @Test
    func oneThatNeverStopsLeavesOthersTheirTurn() async throws {
        try await Layout.three.withClient { greedy, redis in
            let waiter = try await RedlockClient.connected(to: redis)
            let greed = Task {
                while !Task.isCancelled { try await greedy.withLock("report") { _ in } }
            }
            let began = ContinuousClock.now
            for _ in 0..<20 { try await waiter.withLock("report") { _ in } }
            #expect(ContinuousClock.now - began < .seconds(5))
            greed.cancel()
            _ = await greed.result
            await waiter.shutdown()
        }
    }

    /// What is held can be listed, and who waits is counted.
    @Test
    func locksAreListedWithThoseWhoWait() async throws {
        try await Layout.three.withClient { holder, redis in
            let waiter = try await RedlockClient.connected(to: redis)
            let names = ["reports/a", "reports/b*", "reports/caf\u{E9}", "other", "re[p]orts"]
            for name in names { _ = try await holder.acquire(name) }
            let waiting = Task { try await waiter.acquire("reports/a") }
            try await waitUntilQueued(1, "reports/a", redis)
            // On one node only, and so held by nobody.
            _ = try await redis[0].send("SET", "reports/minority".lockKey, "somebody")
            let all = try await waiter.locks()
            #expect(all.map(\.resource) == names.sorted())
            let reports = try await waiter.locks(matching: "reports/*")
            #expect(reports.map(\.resource) == ["reports/a", "reports/b*", "reports/caf\u{E9}"])
            #expect(reports.map(\.waitingClients) == [1, 0, 0])
            #expect(reports.allSatisfy { $0.lastFencingToken != nil && $0.holder?.label != nil })
            #expect(try await waiter.locks(matching: "reports/b\\*").map(\.resource) == ["reports/b*"])
            #expect(try await waiter.locks(matching: "nothing*").isEmpty)
            waiting.cancel()
            _ = await waiting.result
            await waiter.shutdown()
        }
    }

    /// Somebody who does not wait is not told what was known seconds ago.
    @Test
    func whoeverDoesNotWaitIsToldWhatIsTrueNow() async throws {
        try await Layout.three.withClient { holder, redis in
            let client = try await RedlockClient.connected(to: redis)
            let lease = try await holder.acquire("report")
            let waiting = Task { try await client.acquire("report") }
            try await waitUntilQueued(1, "report", redis)
            try await Task.sleep(for: .milliseconds(500))
            // Somebody deletes it, and wakes nobody.
            for server in redis.servers { _ = try await server.send("DEL", "report".lockKey) }
            let began = ContinuousClock.now
            let other = try await client.tryAcquire("report")
            #expect(other == nil, "those who came before get it")
            let next = try await waiting.value
            #expect(ContinuousClock.now - began < .seconds(1))
            await next.release()
            await lease.release()
            await client.shutdown()
        }
    }

    /// A place that a server refuses is asked for again, and the lock is obtained by asking meanwhile.
    @Test
    func serversThatRefusePlacesAreAsked() async throws {
        try await Layout.three.withClient { holder, redis in
            let waiter = try await RedlockClient.connected(to: redis)
            for server in redis.servers { _ = try await server.send("SET", "redlock:queue:report", "no queue") }
            let lease = try await holder.acquire("report")
            let waiting = Task { try await waiter.acquire("report") }
            try await Task.sleep(for: .milliseconds(500))
            await (try await expectAtOnce(waiting, behind: lease)).release()
            await waiter.shutdown()
        }
    }

    /// Many clients, each with many tasks, want one lock and are all served, one at a time.
    @Test
    func manyClientsAreAllServed() async throws {
        try await Layout.five.withClient { first, redis in
            let clients = [first] + (try await RedlockClient.connected(7, to: redis))
            let counter = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in clients {
                    for _ in 0..<20 {
                        group.addTask {
                            for _ in 0..<3 {
                                try await client.withLock("report") { _ in
                                    await counter.enter()
                                    await Task.yield()
                                    await counter.leave()
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(await counter.entered == 480)
            #expect(await counter.most == 1)
            for client in clients.dropFirst() { await client.shutdown() }
        }
    }

    /// There are subscriptions only while somebody waits, and a while longer.
    @Test
    func subscriptionsEndWhenNobodyWaits() async throws {
        func subscriptions(_ redis: LocalRedisSet) async throws -> Int {
            let text = try await redis[0].send("INFO", "clients") ?? ""
            let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("pubsub_clients:") }
            if let line { return Int(line.dropFirst("pubsub_clients:".count)) ?? -1 }
            let clients = try await redis[0].send("CLIENT", "LIST", "TYPE", "PUBSUB") ?? ""
            return clients.split(whereSeparator: \.isNewline).count { $0.contains("sub=1") }
        }
        try await Layout.three.withClient { holder, redis in
            let waiter = try await RedlockClient.connected(to: redis)
            let lease = try await holder.acquire("report")
            #expect(try await subscriptions(redis) == 0)
            let waiting = Task { try await waiter.acquire("report") }
            try await waitUntilQueued(1, "report", redis)
            #expect(try await subscriptions(redis) == 1)
            await lease.release()
            await (try await waiting.value).release()
            #expect(try await subscriptions(redis) == 1)
            try await eventually { try await subscriptions(redis) == 0 }
            await waiter.shutdown()
        }
    }
}

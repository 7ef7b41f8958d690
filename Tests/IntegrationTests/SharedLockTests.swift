// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import RedlockTesting
import Synchronization
import TestSupport
import Testing

@testable import Redlock

/// Many who share a lock, and those who want it alone.
@Suite(.serialized)
struct SharedLockTests {
    /// Who is inside, counted outside of the servers.
    private final class Room: Sendable {
        struct State {
            var readers = 0
            var writers = 0
            var mostReaders = 0
            var meetings = 0
        }

        private let state = Mutex(State())

        var mostReaders: Int { state.withLock { $0.mostReaders } }
        /// How often somebody was inside together with one who must be alone.
        var meetings: Int { state.withLock { $0.meetings } }

        func read(_ body: () async throws -> Void) async rethrows {
            state.withLock { state in
                state.readers += 1
                state.mostReaders = max(state.mostReaders, state.readers)
                if state.writers > 0 { state.meetings += 1 }
            }
            defer { state.withLock { $0.readers -= 1 } }
            try await body()
        }

        func write(_ body: () async throws -> Void) async rethrows {
            state.withLock { state in
                state.writers += 1
                if state.writers > 1 || state.readers > 0 { state.meetings += 1 }
            }
            defer { state.withLock { $0.writers -= 1 } }
            try await body()
        }
    }

    /// Has 20 readers and 5 writers go in and out, each in a client of its own or with others.
    private func crowd(_ clients: [RedlockClient], writersTake resource: String) async throws -> Room {
        let room = Room()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<25 {
                let client = clients[number % clients.count]
                group.addTask {
                    for _ in 0..<8 {
                        if number < 5 {
                            try await client.withLock(resource) { _ in
                                try await room.write { try await Task.sleep(for: .milliseconds(1)) }
                            }
                        } else {
                            try await client.withLock("data", mode: .shared) { _ in
                                try await room.read { try await Task.sleep(for: .milliseconds(2)) }
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        return room
    }

    @Test
    func readersAreTogetherAndWritersAlone() async throws {
        try await Layout.five.withClient { first, redis in
            let clients = [first] + (try await RedlockClient.connected(4, to: redis))
            let room = try await crowd(clients, writersTake: "data")
            #expect(room.meetings == 0)
            #expect(room.mostReaders > 1)
            #expect(try await first.inspect("data").isHeld == false)
            for client in clients.dropFirst() { await client.shutdown() }
        }
    }

    /// The control: where writers take another lock, they meet readers.
    @Test
    func writersWithAnotherLockMeetReaders() async throws {
        try await Layout.three.withClient { first, redis in
            let clients = [first] + (try await RedlockClient.connected(2, to: redis))
            let room = try await crowd(clients, writersTake: "something else")
            #expect(room.meetings > 0)
            for client in clients.dropFirst() { await client.shutdown() }
        }
    }

    /// Has readers overlap all the time while the body runs.
    private func underConstantReaders<Result: Sendable>(
        _ clients: [RedlockClient],
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (place, client) in clients.enumerated() {
                group.addTask {
                    try await Task.sleep(for: .milliseconds(place * 30))
                    while !Task.isCancelled {
                        do {
                            try await client.withLock("data", mode: .shared) { _ in
                                try await Task.sleep(for: .milliseconds(100))
                            }
                        } catch is CancellationError { return }
                    }
                }
            }
            try await Task.sleep(for: .milliseconds(300))
            let result = try await body()
            group.cancelAll()
            try await group.waitForAll()
            return result
        }
    }

    /// One who waits to have the lock alone gets it as soon as those are gone who had it before, whoever comes later.
    @Test
    func waitingWriterIsNotStarved() async throws {
        try await Layout.five.withClient { writer, redis in
            let readers = try await RedlockClient.connected(4, to: redis)
            let longest = try await underConstantReaders(readers) {
                var longest = Duration.zero
                for _ in 0..<10 {
                    let began = ContinuousClock.now
                    try await writer.withLock("data") { _ in longest = max(longest, ContinuousClock.now - began) }
                }
                return longest
            }
            // Readers hold for 100 ms.
            #expect(longest < .seconds(2))
            for client in readers { await client.shutdown() }
        }
    }

    /// The control: one who only tries now and then finds readers there every time.
    @Test
    func writerThatDoesNotWaitIsStarved() async throws {
        try await Layout.five.withClient { writer, redis in
            let readers = try await RedlockClient.connected(4, to: redis)
            let tries = try await underConstantReaders(readers) {
                let end = ContinuousClock.now + .seconds(3)
                var refusals = 0
                while ContinuousClock.now < end {
                    if let lease = try await writer.tryAcquire("data") { await lease.release() } else { refusals += 1 }
                    try await Task.sleep(for: .milliseconds(20))
                }
                return refusals
            }
            #expect(tries > 50)
            for client in readers { await client.shutdown() }
        }
    }

    private func waitUntilQueued(_ count: Int, _ redis: LocalRedisSet) async throws {
        for server in redis.servers {
            try await eventually("\(count) wait at \(server.url)") {
                try await server.send("ZCARD", "redlock:queue:data") == "\(count)"
            }
        }
    }

    /// Whoever waited to have it alone, and does so no more, lets in those whom it kept out.
    @Test(arguments: [true, false])
    func readersEnterWhenTheWriterGivesUp(isShutDown: Bool) async throws {
        try await Layout.three.withClient { reader, redis in
            let clients = try await RedlockClient.connected(2, to: redis)
            let first = try await reader.acquire("data", mode: .shared)
            // A node that the writer asked before would have no reader, and so nobody to wait for.
            for server in redis.servers {
                try await eventually { try await server.send("EXISTS", "redlock:readers:data") == "1" }
            }
            let writing = Task { try await clients[0].acquire("data") }
            // On every node: one that knows of no writer lets readers in.
            try await waitUntilQueued(1, redis)
            // Who came first is told by clocks that two clients read, each as well as it can on a busy machine.
            try await Task.sleep(for: .milliseconds(300))
            let waiting = Task {
                let lease = try await clients[1].acquire("data", mode: .shared)
                return (lease, ContinuousClock.now)
            }
            try await waitUntilQueued(2, redis)
            try await Task.sleep(for: .milliseconds(300))
            let ended = ContinuousClock.now
            if isShutDown { await clients[0].shutdown() } else { writing.cancel() }
            _ = await writing.result
            let (lease, entered) = try await waiting.value
            #expect(entered > ended)
            #expect(entered - ended < .seconds(1))
            await lease.release()
            await first.release()
            for client in clients { await client.shutdown() }
        }
    }

    /// The user that the documentation names may do all that locks of every kind take.
    @Test
    func documentedUserMayShareAndWaitInTurn() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = [
            "user locker on >open-sesame resetkeys ~redlock:* resetchannels &redlock:wake:* -@all "
                + "+set +get +del +exists +incrby +pexpire +pttl +time +eval +evalsha +script|load +info +config|get "
                + "+ping +subscribe +publish +zadd +zrem +zrange +zrangebyscore +zrank +zcard +zscore +zremrangebyscore "
                + "+pexpireat"
        ]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let holder = try await RedlockClient.enrolled(redis)
            let nodes = redis.servers.map { "redis://locker:open-sesame@127.0.0.1:\($0.port)" }
            let client = try RedlockClient(nodes: nodes, configuration: .patient, logger: .tracing)
            let lease = try await holder.acquire("data")
            let reading = Task { try await client.acquire("data", mode: .shared) }
            let fair = Task { try await client.acquire("data", options: LockOptions(fair: true)) }
            try await Task.sleep(for: .milliseconds(500))
            await lease.release()
            await (try await reading.value).release()
            await (try await fair.value).release()
            try await client.withSlot(of: "data", limit: 2) { #expect($0.slot == 0) }
            try await client.withLock(["a", "b"]) { _ in }
            // Nothing is left that would keep anybody out for ever.
            try await expectGone("redlock:readers:data", from: redis)
            await client.shutdown()
            await holder.shutdown()
        }
    }

    /// One who may not let the key end leaves nothing behind: an error, and no share.
    @Test
    func whoeverMayNotLetTheKeyEndHasNoShare() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["user locker on >open-sesame ~* &* +@all -pexpireat"]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let holder = try await RedlockClient.enrolled(redis)
            let nodes = redis.servers.map { "redis://locker:open-sesame@127.0.0.1:\($0.port)" }
            let client = try RedlockClient(nodes: nodes, configuration: .patient, logger: .tracing)
            let error = await #expect(throws: RedlockError.self) {
                try await client.acquire("data", mode: .shared, options: LockOptions(wait: .atMost(.seconds(1))))
            }
            #expect(error?.code == .quorumUnavailable)
            try await expectGone("redlock:readers:data", from: redis)
            await client.shutdown()
            await holder.shutdown()
        }
    }

    /// Shared and alone exclude each other, whoever has what.
    @Test
    func sharedAndAloneExcludeEachOther() async throws {
        try await Layout.three.withClient { client, redis in
            let other = try await RedlockClient.connected(to: redis)
            let alone = try await client.acquire("data", mode: .exclusive)
            #expect(try await other.tryAcquire("data", mode: .shared) == nil)
            #expect(try await client.tryAcquire("data", mode: .shared) == nil)
            await alone.release()
            let first = try #require(try await other.tryAcquire("data", mode: .shared))
            let second = try #require(try await client.tryAcquire("data", mode: .shared))
            #expect(try await other.tryAcquire("data") == nil)
            let status = try await client.inspect("data")
            #expect(status.holder == nil)
            #expect(status.sharers.count == 2)
            #expect(status.isHeld)
            #expect(try await client.locks().map(\.resource) == ["data"])
            await first.release()
            #expect(try await other.tryAcquire("data") == nil)
            await second.release()
            let last = try #require(try await other.tryAcquire("data"))
            await last.release()
            await other.shutdown()
        }
    }

    /// Whoever waits behind those who share has the lock as soon as the last of them has gone.
    @Test
    func lastReaderWakesTheWriter() async throws {
        try await Layout.five.withClient { writer, redis in
            let readers = try await RedlockClient.connected(2, to: redis)
            let first = try await readers[0].acquire("data", mode: .shared)
            let second = try await readers[1].acquire("data", mode: .shared)
            let waiting = Task {
                let lease = try await writer.acquire("data")
                return (lease, ContinuousClock.now)
            }
            try await Task.sleep(for: .milliseconds(500))
            await first.release()
            try await Task.sleep(for: .milliseconds(200))
            let released = ContinuousClock.now
            await second.release()
            let (lease, entered) = try await waiting.value
            #expect(entered > released)
            #expect(entered - released < .seconds(1))
            await lease.release()
            for client in readers { await client.shutdown() }
        }
    }

    /// A share is renewed and lost by itself; those of the others go on.
    @Test
    func sharesAreLostOneByOne() async throws {
        try await Layout.three.withClient { client, redis in
            let options = LockOptions(ttl: .seconds(2))
            let lost = try await client.acquire("data", mode: .shared, options: options, renewal: .automatic)
            let kept = try await client.acquire("data", mode: .shared, options: options, renewal: .automatic)
            let token = lost.ownerToken.secretText
            for server in redis.servers { _ = try await server.send("ZREM", "redlock:readers:data", token) }
            #expect(await lost.ended())
            try await Task.sleep(for: .seconds(3))
            #expect(kept.isValid)
            #expect(try await client.tryAcquire("data") == nil)
            await kept.release()
            // The key went with the last of them.
            try await expectGone("redlock:readers:data", from: redis)
        }
    }

    /// A node that lost a share gets it again from the renewal.
    @Test
    func shareIsRepaired() async throws {
        try await Layout.three.withClient { client, redis in
            let options = LockOptions(ttl: .seconds(2))
            let lease = try await client.acquire("data", mode: .shared, options: options, renewal: .automatic)
            _ = try await redis[0].send("DEL", "redlock:readers:data")
            try await eventually { try await redis[0].send("EXISTS", "redlock:readers:data") == "1" }
            await lease.release()
        }
    }

    /// A task that shares a lock is told that it cannot have it alone, instead of waiting for itself.
    @Test
    func upgradeIsRefused() async throws {
        try await Layout.three.withClient { client, _ in
            try await client.withLock("data", mode: .shared) { _ in
                let error = await #expect(throws: RedlockError.self) { try await client.withLock("data") { _ in } }
                #expect(error?.code == .heldByTask)
                #expect(error?.message.contains("shares") == true)
                await #expect(throws: RedlockError.self) { try await client.withLock(["a", "data"]) { _ in } }
                try await client.withLock("data", mode: .shared, options: LockOptions(reentrant: true)) { _ in }
            }
            try await client.withLock("data") { _ in
                let error = await #expect(throws: RedlockError.self) {
                    try await client.withLock("data", mode: .shared) { _ in }
                }
                #expect(error?.code == .heldByTask)
            }
        }
    }

    /// A share that belongs to a process which died ends with its TTL, and with it the key.
    @Test
    func deadReaderKeepsNobodyOutForLonger() async throws {
        try await Layout.three.withClient { client, redis in
            let dead = try await client.acquire("data", mode: .shared, options: LockOptions(ttl: .seconds(2)))
            let began = ContinuousClock.now
            await dead.detach()
            let brief = try await client.acquire("data", mode: .shared, options: LockOptions(ttl: .seconds(1)))
            await brief.release()
            let lease = try await client.acquire("data")
            let waited = ContinuousClock.now - began
            #expect(waited > .milliseconds(1_900) && waited < .milliseconds(3_000))
            await lease.release()
        }
    }
}

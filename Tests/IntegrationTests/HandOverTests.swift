// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import NIOCore
import NIOPosix
import RedlockTesting
import Synchronization
import TestSupport
import Testing

@testable import Redlock

/// Tasks of one client that wait for one lock: they stand in line, and hand the lock over to each other.
@Suite(.serialized)
struct HandOverTests {
    /// What the tasks saw that held the lock, in order.
    private final class Book: Sendable {
        struct Entry: Sendable {
            let task: Int
            let token: FencingToken
            let entered = ContinuousClock.now
        }

        private let state = Mutex((entries: [Entry](), inside: 0, most: 0))

        var entries: [Entry] { state.withLock { $0.entries } }
        var most: Int { state.withLock { $0.most } }

        func enter(_ task: Int, _ token: FencingToken) {
            state.withLock { state in
                state.entries.append(Entry(task: task, token: token))
                state.inside += 1
                state.most = max(state.most, state.inside)
            }
        }

        func leave() {
            state.withLock { $0.inside -= 1 }
        }
    }

    private func configuration(handOverTime: Duration) -> RedlockConfiguration {
        var configuration = RedlockConfiguration.patient
        configuration.handOverTime = handOverTime
        return configuration
    }

    /// Has tasks line up behind a lease of the same client, releases it, and waits until all of them were inside.
    private func lineUp(
        _ count: Int,
        behind lease: Lease<Fenced>,
        _ client: RedlockClient,
        _ book: Book,
        beforeRelease: () -> Void = {}
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<count {
                group.addTask {
                    try await client.withLock(lease.resource) { lease in
                        book.enter(task, lease.fencingToken)
                        await Task.yield()
                        book.leave()
                    }
                }
                // So that they come in a known order.
                try await eventually { await client.waiting(for: lease.resource) > task }
            }
            beforeRelease()
            await lease.release()
            try await group.waitForAll()
        }
    }

    /// The scripts that the busiest server was sent since its statistics were reset.
    private func scriptCalls(_ redis: LocalRedisSet) async throws -> Int {
        try await redis.servers.asyncMap { try await $0.commandCalls()["evalsha"] ?? 0 }.max() ?? 0
    }

    /// Ten tasks behind a holder are served in the order in which they came, under tokens that grow, with one acquisition
    /// and one release at the nodes.
    @Test
    func tasksOfOneClientAreServedInOrderWithoutARoundTrip() async throws {
        try await Layout.five.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            try await client.waitUntilAllNodesAnswer()
            await (try await client.acquire("line")).release()
            try await redis.resetStatistics()
            let book = Book()
            let lease = try await client.acquire("line")
            try await lineUp(10, behind: lease, client, book)
            #expect(book.most == 1)
            #expect(book.entries.map(\.task) == Array(0..<10))
            let tokens = [lease.fencingToken] + book.entries.map(\.token)
            #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
            #expect(try await scriptCalls(redis) == 2)
        }
    }

    /// The control: without handing over, each of them is an acquisition and a release of its own.
    @Test
    func withoutHandingOverEachAsksTheNodes() async throws {
        try await Layout.five.withClient(configuration: configuration(handOverTime: .zero)) { client, redis in
            try await client.waitUntilAllNodesAnswer()
            try await redis.resetStatistics()
            let book = Book()
            try await lineUp(10, behind: try await client.acquire("line"), client, book)
            #expect(book.most == 1)
            #expect(book.entries.map(\.task) == Array(0..<10))
            #expect(try await scriptCalls(redis) >= 22)
        }
    }

    @Test("A lock that is not handed over has one token for each grant, and the nodes show that of the holder")
    func oneTokenForEachGrant() async throws {
        try await Layout.five.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            var options = LockOptions()
            options.handsOver = false
            let first = try await client.acquire("line", options: options)
            async let second = client.acquire("line", options: options)
            try await eventually { await client.waiting(for: "line") > 0 }
            #expect(try await client.inspect("line").lastFencingToken == first.fencingToken)
            await first.release()
            let next = try await second
            #expect(next.fencingToken.rawValue == first.fencingToken.rawValue + 1)
            #expect(try await client.inspect("line").lastFencingToken == next.fencingToken)
            await next.release()
            // The control: otherwise others are reserved with it.
            let usual = try await client.acquire("line")
            #expect(try await client.inspect("line").lastFencingToken?.rawValue == usual.fencingToken.rawValue + 15)
            await usual.release()
        }
    }

    /// Runs the body with a client that hands over, and, as the control, with one that does not.
    ///
    /// - Parameter body: returns how long those waited, at most, who are next, since the loop was kept busy for half a second.
    private func expectServiceWithoutTheLoop(
        _ body: (RedlockClient, _ keepLoopBusy: @escaping @Sendable () -> Void) async throws -> Duration
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            for handOverTime in [Duration.seconds(30), .zero] {
                let client = try RedlockClient(
                    nodes: redis.urls,
                    configuration: configuration(handOverTime: handOverTime),
                    eventLoopGroup: group
                )
                let waited = try await body(client) {
                    group.next().execute { Thread.sleep(forTimeInterval: 0.5) }
                }
                if handOverTime == .zero {
                    #expect(waited >= .milliseconds(400))
                } else {
                    #expect(waited < .milliseconds(400))
                }
                await client.shutdown()
            }
        }
        try await group.shutdownGracefully()
    }

    /// The next is in at once, even while the loop of the client does other things; what comes from the nodes takes its turn
    /// on the loop.
    @Test
    func handingOverDoesNotWaitForTheLoop() async throws {
        try await expectServiceWithoutTheLoop { client, keepLoopBusy in
            let lease = try await client.acquire("line")
            async let entered = client.withLock("line") { _ in ContinuousClock.now }
            try await eventually { await client.waiting(for: "line") > 0 }
            keepLoopBusy()
            let released = ContinuousClock.now
            await lease.release()
            return try await entered - released
        }
    }

    /// Not only the next, but all who wait are in, one after the other, while the loop of the client does other things.
    @Test
    func wholeLineIsServedWithoutTheLoop() async throws {
        try await expectServiceWithoutTheLoop { client, keepLoopBusy in
            let book = Book()
            let lease = try await client.acquire("line")
            var released = ContinuousClock.now
            try await lineUp(12, behind: lease, client, book) {
                keepLoopBusy()
                released = .now
            }
            #expect(book.most == 1)
            #expect(book.entries.map(\.task) == Array(0..<12))
            let tokens = [lease.fencingToken] + book.entries.map(\.token)
            #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
            #expect(await client.engine.onLoop { ($0.keeper.count, $0.bodyCount) } == (0, 0))
            return try #require(book.entries.last).entered - released
        }
    }

    /// Tasks give up, are cancelled and run out of time at the very moment at which the lock comes to them: each is answered
    /// once, nobody is inside with somebody else, and nothing stays locked.
    @Test
    func whoeverLeavesAtTheMomentOfHandingOverLosesNothing() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let book = Book()
            var (entered, left) = (0, 0)
            var random = SeededRandom(seed: 7)
            for _ in 0..<40 {
                let pauses = (0..<24).map { _ in Int.random(in: 0..<3_000, using: &random) }
                await withTaskGroup(of: Bool.self) { group in
                    for (task, pause) in pauses.enumerated() {
                        group.addTask { await self.enterOrLeave(task, after: .microseconds(pause), client, book) }
                    }
                    for await isIn in group { if isIn { entered += 1 } else { left += 1 } }
                }
            }
            #expect(book.most == 1)
            #expect(entered + left == 40 * 24)
            // As many as those that stay at least.
            #expect(entered >= 40 * 8)
            #expect(book.entries.count >= entered)
            let tokens = book.entries.map(\.token)
            #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
            try await expectGone("line".lockKey, from: redis)
        }
    }

    /// Takes the lock for a moment; of three tasks, one runs out of time and one is cancelled unless it has had it by then.
    private func enterOrLeave(
        _ task: Int,
        after pause: Duration,
        _ client: RedlockClient,
        _ book: Book
    ) async -> Bool {
        var options = LockOptions()
        if task % 3 == 1 { options.wait = .atMost(pause) }
        let work = Task { [options] in
            try await client.withLock("line", options: options) { lease in
                book.enter(task, lease.fencingToken)
                await Task.yield()
                book.leave()
            }
        }
        if task % 3 == 2 {
            try? await Task.sleep(for: pause)
            work.cancel()
        }
        return (try? await work.value) != nil
    }

    /// Whether something has happened.
    private final class Flag: Sendable {
        private let state = Mutex(false)
        var isSet: Bool { state.withLock { $0 } }
        func set() { state.withLock { $0 = true } }
    }

    /// The owner token of a lock as somebody may know it who looks into a node, and not by asking the lease for it.
    private func ownerToken(of name: String, _ redis: LocalRedisSet) async throws -> OwnerToken {
        // The lease is there as soon as a quorum has granted it; this node may be a moment behind.
        try await eventually { try await redis[0].send("EXISTS", name.lockKey) == "1" }
        return try #require(OwnerToken(secretText: try await redis[0].send("GET", name.lockKey) ?? ""))
    }

    /// Of a lock that somebody else took, and that was then released by its owner token, the former holder hands nothing
    /// over.
    @Test
    func whatWasReleasedByItsTokenIsNotHandedOver() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let options = LockOptions(ttl: .seconds(3))
            let lease = try await client.acquire("line", options: options)
            let token = try await ownerToken(of: "line", redis)
            let inside = Flag()
            let waiter = Task { try await client.withLock("line", options: options) { _ in inside.set() } }
            try await eventually { await client.waiting(for: "line") > 0 }
            for server in redis.servers { _ = try await server.send("SET", "line".lockKey, "other", "PX", "60000") }
            #expect(try await client.release("line", ownerToken: token) == false)
            await lease.release()
            try await Task.sleep(for: .milliseconds(200))
            #expect(!inside.isSet)
            for server in redis.servers { _ = try await server.send("DEL", "line".lockKey) }
            try await waiter.value
        }
    }

    /// The same where the task that waits is in by its own attempt: the release of the former holder changes nothing for it.
    @Test
    func whatWasReleasedByItsTokenMakesNoLeaseOfNobody() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let options = LockOptions(ttl: .seconds(3))
            let lease = try await client.acquire("line", options: options)
            let token = try await ownerToken(of: "line", redis)
            let inside = Flag()
            let waiter = Task {
                try await client.withLock("line", options: options) { _ in
                    inside.set()
                    try await Task.sleep(for: .milliseconds(1_500))
                }
            }
            try await eventually { await client.waiting(for: "line") > 0 }
            #expect(try await client.release("line", ownerToken: token))
            try await eventually { inside.isSet }
            await lease.release()
            #expect(await client.engine.onLoop { ($0.keeper.count, $0.bodyCount) } == (1, 1))
            try await waiter.value
            #expect(await client.engine.onLoop { ($0.keeper.count, $0.bodyCount) } == (0, 0))
        }
    }

    /// A task that is cancelled at that moment is answered once.
    @Test
    func whoeverIsCancelledBehindAReleaseByTokenIsAnsweredOnce() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let lease = try await client.acquire("line")
            let token = try await ownerToken(of: "line", redis)
            let waiter = Task { await (try await client.acquire("line")).release() }
            try await eventually { await client.waiting(for: "line") > 0 }
            #expect(try await client.release("line", ownerToken: token))
            client.engine.submit { _ in Thread.sleep(forTimeInterval: 0.2) }
            try await Task.sleep(for: .milliseconds(2))
            waiter.cancel()
            await lease.release()
            _ = await waiter.result
            try await expectGone("line".lockKey, from: redis)
        }
    }

    /// The clock of this client is found to be wrong when a lock was handed over and the engine has not followed yet: the
    /// next holder loses it, and not the one who had released it in time.
    @Test
    func lossInBetweenIsThatOfTheNext() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, _ in
            let lease = try await client.acquire("line", renewal: .automatic)
            let waiter = Task {
                try await client.withLock("line") { _ in try await Task.sleep(for: .seconds(20)) }
            }
            try await eventually { await client.waiting(for: "line") > 0 }
            client.engine.submit { _ in Thread.sleep(forTimeInterval: 0.2) }
            try await Task.sleep(for: .milliseconds(20))
            client.engine.submit { $0.keeper.loseAll(.ownClock) }
            let began = ContinuousClock.now
            await lease.held.release()
            let error = await #expect(throws: RedlockError.self) { try await waiter.value }
            #expect(error?.code == .lost)
            #expect(ContinuousClock.now - began < .seconds(5))
            #expect(await lease.ended() == false)
        }
    }

    /// What was lost is not its holder's to give away: its key is still released.
    @Test
    func detachingWhatWasLostKeepsNothingLocked() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let options = LockOptions(ttl: .seconds(20), maximumHold: .milliseconds(300))
            let lease = try await client.acquire("line", options: options)
            #expect(await lease.ended())
            await lease.detach()
            await lease.release()
            try await expectGone("line".lockKey, from: redis)
        }
    }

    /// A fence that is raised while an attempt is under way: no token of its block comes afterwards.
    @Test
    func raisedFenceHoldsForAnAttemptUnderWay() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, _ in
            let before = try await client.acquire("line")
            await before.release()
            let fence = FencingToken(rawValue: before.fencingToken.rawValue + 100_000_000)
            async let lease = client.acquire("line")
            async let raised = client.raiseFence(of: "line", toAtLeast: fence)
            let first = try await lease
            _ = try await raised
            async let next = client.acquire("line")
            try await eventually { await client.waiting(for: "line") > 0 }
            await first.release()
            let second = try await next
            #expect(second.fencingToken > fence)
            await second.release()
        }
    }

    /// How many scripts the busiest node is sent while tasks of one client have a lock 1,200 times, and how much the tokens
    /// grow in each microsecond.
    private func compete(
        _ client: RedlockClient,
        _ redis: LocalRedisSet
    ) async throws -> (scripts: Int, tokensPerMicrosecond: Double) {
        try await redis.resetStatistics()
        let book = Book()
        let began = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<12 {
                group.addTask {
                    for _ in 0..<100 {
                        let lease = try await client.acquire("line")
                        book.enter(task, lease.fencingToken)
                        book.leave()
                        await lease.release()
                    }
                }
            }
            try await group.waitForAll()
        }
        let microseconds = (ContinuousClock.now - began) / .microseconds(1)
        let tokens = book.entries.map(\.token)
        #expect(book.most == 1)
        #expect(tokens.count == 1_200)
        #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
        let growth = (tokens.last?.rawValue ?? 0) - (tokens.first?.rawValue ?? 0)
        return (try await scriptCalls(redis), Double(growth) / microseconds)
    }

    /// Where no other client waits, blocks of tokens grow, so that the nodes are seldom asked.
    ///
    /// Tokens grow more slowly than the time all the same, as a counter that was lost goes on from the time. The control is
    /// another client that waits: blocks stay as they are.
    @Test
    func blocksGrowWhereNobodyElseWaits() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let other = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            try await other.waitUntilAllNodesAnswer()
            let alone = try await compete(client, redis)
            // One acquisition and one release for each 16 would be 150.
            #expect(alone.scripts < 75)
            #expect(alone.tokensPerMicrosecond < 1)
            let rival = Task {
                while !Task.isCancelled { try await other.withLock("line") { _ in } }
            }
            try await Task.sleep(for: .milliseconds(100))
            let together = try await compete(client, redis)
            #expect(together.scripts > 2 * alone.scripts)
            rival.cancel()
            _ = await rival.result
            await other.shutdown()
        }
    }

    /// A block has 16 tokens at first: whoever comes after that asks the nodes, and gets a token of another block.
    @Test
    func noTokenIsGivenTwiceHoweverManyWait() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let book = Book()
            let other = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<60 {
                    group.addTask {
                        try await (task < 50 ? client : other).withLock("line") { lease in
                            book.enter(task, lease.fencingToken)
                            await Task.yield()
                            book.leave()
                        }
                    }
                }
                try await group.waitForAll()
            }
            await other.shutdown()
            #expect(book.entries.count == 60)
            #expect(book.most == 1)
            let tokens = book.entries.map(\.token)
            #expect(zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 })
        }
    }

    /// Somebody of another client gets in within moments while tasks of one client never stop wanting the lock, whether
    /// they hold it for shorter or for longer than they may hand it over.
    @Test(arguments: [Duration.milliseconds(5), .milliseconds(150)])
    func othersGetTheirTurn(held: Duration) async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .milliseconds(100))) {
            client,
            redis in
            let other = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            try await other.waitUntilAllNodesAnswer()
            let waited = try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        while !Task.isCancelled {
                            try await client.withLock("line") { _ in try await Task.sleep(for: held) }
                        }
                    }
                }
                try await Task.sleep(for: .milliseconds(300))
                let began = ContinuousClock.now
                for _ in 0..<5 { try await other.withLock("line") { _ in } }
                let waited = ContinuousClock.now - began
                group.cancelAll()
                while let result = await group.nextResult() { _ = result }
                return waited
            }
            // About a third of a second each; twenty times that if it were left to chance.
            #expect(waited < .seconds(12))
            await other.shutdown()
        }
    }

    /// Whoever gives up leaves the line at once, and those behind move up.
    @Test
    func whoeverGivesUpLeavesTheLine() async throws {
        try await Layout.three.withClient { client, _ in
            let lease = try await client.acquire("line")
            let cancelled = Task { try await client.acquire("line") }
            try await Task.sleep(for: .milliseconds(20))
            let late = Task {
                try await client.acquire("line", options: LockOptions(wait: .atMost(.milliseconds(200))))
            }
            try await Task.sleep(for: .milliseconds(20))
            let last = Task { try await client.acquire("line", options: LockOptions(wait: .atMost(.seconds(10)))) }
            let began = ContinuousClock.now
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(ContinuousClock.now - began < .milliseconds(150))
            let error = await #expect(throws: RedlockError.self) { try await late.value }
            #expect(error?.code == .timedOut)
            await lease.release()
            await (try await last.value).release()
        }
    }

    /// Locks that live differently long, or whose owner token somebody knows, are released and acquired anew.
    @Test
    func onlyWhatIsAlikeIsHandedOver() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let lease = try await client.acquire("line", options: LockOptions(ttl: .seconds(8)))
            async let other = client.acquire("line", options: LockOptions(ttl: .seconds(20)))
            try await Task.sleep(for: .milliseconds(50))
            await lease.release()
            let second = try await other
            #expect(second.remaining > .seconds(15))
            let token = second.ownerToken
            async let another = client.acquire("line", options: LockOptions(ttl: .seconds(20)))
            try await Task.sleep(for: .milliseconds(50))
            await second.release()
            let third = try await another
            // Whoever kept the token of the second cannot take the lock from the third.
            #expect(try await client.release("line", ownerToken: token) == false)
            #expect(try await client.inspect("line").isHeld)
            #expect(third.isValid)
            await third.release()
            try await expectGone("line".lockKey, from: redis)
        }
    }

    /// A lock whose validity is nearly over is not handed over, but acquired anew.
    @Test
    func whatIsNearlyOverIsAcquiredAnew() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, _ in
            let options = LockOptions(ttl: .seconds(2))
            let lease = try await client.acquire("line", options: options)
            async let next = client.acquire("line", options: options)
            try await Task.sleep(for: .milliseconds(1_200))
            await lease.release()
            let second = try await next
            #expect(second.remaining > .seconds(1))
            await second.release()
        }
    }

    /// Whoever had the lock before cannot learn the owner token of the next holder, nor give its lock away.
    @Test
    func formerHolderHasNoPowerOverTheNext() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let lease = try await client.acquire("line")
            async let next = client.acquire("line")
            try await eventually { await client.waiting(for: "line") > 0 }
            await lease.release()
            let second = try await next
            #expect(second.fencingToken.rawValue == lease.fencingToken.rawValue + 1, "it was handed over")
            #expect(try await client.release("line", ownerToken: lease.ownerToken) == false)
            await lease.detach()
            await lease.release()
            #expect(second.isValid)
            #expect(try await client.inspect("line").isHeld)
            await second.release()
            try await expectGone("line".lockKey, from: redis)
        }
    }

    /// A fence that is raised by hand holds for those as well who wait behind a holder of the same client.
    @Test
    func raisedFenceHoldsForThoseWhoWait() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, _ in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("line")
            async let next = client.acquire("line")
            try await eventually { await client.waiting(for: "line") > 0 }
            let fence = FencingToken(rawValue: lease.fencingToken.rawValue + 1_000)
            _ = try await client.raiseFence(of: "line", toAtLeast: fence)
            await lease.release()
            let second = try await next
            #expect(second.fencingToken > fence)
            await second.release()
        }
    }

    /// Somebody who has little time asks at once, also behind those who are between two attempts.
    @Test
    func whoeverHasLittleTimeIsAskedForAtOnce() async throws {
        try await Layout.three.withClient { client, redis in
            let other = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            let lease = try await other.acquire("line")
            let patient = Task { try await client.withLock("line") { _ in } }
            // Until attempts are far apart.
            try await Task.sleep(for: .seconds(1))
            await lease.release()
            let options = LockOptions(wait: .atMost(.milliseconds(100)))
            try await client.withLock("line", options: options) { _ in }
            try await patient.value
            await other.shutdown()
        }
    }

    /// A lock that was handed over is renewed, as long as its last holder wants it.
    @Test
    func whatWasHandedOverIsRenewed() async throws {
        try await Layout.three.withClient(configuration: configuration(handOverTime: .seconds(30))) { client, redis in
            let options = LockOptions(ttl: .seconds(1))
            let lease = try await client.acquire("line", options: options, renewal: .automatic)
            async let next = client.acquire("line", options: options, renewal: .automatic)
            try await Task.sleep(for: .milliseconds(300))
            await lease.release()
            let second = try await next
            try await Task.sleep(for: .milliseconds(2_500))
            #expect(second.isValid)
            await second.release()
            try await expectGone("line".lockKey, from: redis)
        }
    }
}

extension LockClient {
    /// How many tasks of this client wait for a lock now.
    fileprivate func waiting(for resource: String) async -> Int {
        await engine.onLoop { $0.lines[.exclusive(ResourceName(resource))]?.operations.count ?? 0 }
    }
}

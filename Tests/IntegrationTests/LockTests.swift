// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import Testing

/// The same suite over every layout of nodes: alone, three, five, and five of which two are dead.
@Suite(.serialized)
struct LockTests {
    @Test(arguments: Layout.allCases)
    func acquiresAndReleases(_ layout: Layout) async throws {
        try await layout.withClient { client, redis in
            let lease = try await client.acquire("invoices/42")
            #expect(lease.isValid)
            #expect(lease.remaining > .seconds(8))
            #expect(lease.remaining < .seconds(10))
            #expect(try await client.tryAcquire("invoices/42") == nil)
            await lease.release()
            #expect(!lease.isValid)
            let second = try #require(try await client.tryAcquire("invoices/42"))
            await second.release()
            try await expectGone("invoices/42".lockKey, from: redis)
        }
    }

    /// A lock is taken away by force from whom it was seen with, and not from whoever has it by then.
    @Test
    func forceTakesAwayOnlyWhatWasSeen() async throws {
        try await Layout.three.withClient { client, redis in
            let first = try await client.acquire("report")
            let seen = try await client.inspect("report")
            await first.release()
            let second = try await client.acquire("report")
            #expect(try await client.releaseByForce(seen) == false)
            #expect(try await client.inspect("report").isHeld)
            let waiting = Task { try await client.acquire("report") }
            try await Task.sleep(for: .milliseconds(50))
            #expect(try await client.releaseByForce(client.inspect("report")))
            let third = try await waiting.value
            #expect(third.fencingToken.rawValue >= second.fencingToken.rawValue + 16)
            await second.release()
            #expect(try await client.inspect("report").isHeld)
            await third.release()
            try await expectGone("report".lockKey, from: redis)
        }
    }

    @Test(arguments: Layout.allCases)
    func onlyOneIsInside(_ layout: Layout) async throws {
        try await layout.withClient { client, _ in
            let inside = Counter()
            let options = LockOptions(ttl: .seconds(5))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<5 {
                            try await client.withLock("counter", options: options) { _ in
                                await inside.enter()
                                try await Task.sleep(for: .milliseconds(2))
                                await inside.leave()
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(await inside.entered == 40)
            #expect(await inside.most == 1)
        }
    }

    @Test(arguments: Layout.allCases)
    func timesOutAndNamesTheHolder(_ layout: Layout) async throws {
        try await layout.withClient { client, _ in
            let lease = try await client.acquire("report", options: LockOptions(label: "the night job"))
            let began = ContinuousClock.now
            let error = await #expect(throws: RedlockError.self) {
                try await client.acquire("report", options: LockOptions(wait: .atMost(.milliseconds(300))))
            }
            let waited = ContinuousClock.now - began
            #expect(error?.code == .timedOut)
            #expect(error?.holder?.label == "the night job")
            #expect(waited >= .milliseconds(300))
            #expect(waited < .milliseconds(800))
            await lease.release()
        }
    }

    @Test(arguments: Layout.allCases)
    func extendsAndReleasesByOwnerToken(_ layout: Layout) async throws {
        try await layout.withClient { client, _ in
            let lease = try await client.acquire("deploy", options: LockOptions(ttl: .seconds(2)))
            let validity = try await client.extend("deploy", ownerToken: lease.ownerToken, ttl: .seconds(20))
            #expect(validity > .seconds(15))
            let status = try await client.inspect("deploy")
            #expect(status.isHeld)
            #expect(try #require(status.holder?.remaining) > .seconds(15))
            #expect(try await client.release("deploy", ownerToken: lease.ownerToken))
            #expect(try await client.release("deploy", ownerToken: lease.ownerToken) == false)
            let error = await #expect(throws: RedlockError.self) {
                try await client.extend("deploy", ownerToken: lease.ownerToken, ttl: .seconds(2))
            }
            #expect(error?.code == .notHeld)
            #expect(try await client.inspect("deploy").isHeld == false)
        }
    }

    @Test
    func renewsWhileTheBodyRuns() async throws {
        try await Layout.five.withClient { client, _ in
            try await client.withLock("long", options: LockOptions(ttl: .seconds(1))) { lease in
                try await Task.sleep(for: .seconds(3))
                #expect(lease.isValid)
            }
            #expect(try await client.inspect("long").isHeld == false)
        }
    }

    @Test
    func cancelledCallerLeavesNothingLocked() async throws {
        try await Layout.five.withClient { client, redis in
            let holder = try await client.acquire("busy")
            let waiting = Task { try await client.acquire("busy") }
            try await Task.sleep(for: .milliseconds(100))
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            await holder.release()
            for round in 0..<50 {
                let attempt = Task { try await client.acquire("race/\(round)") }
                if round % 2 == 0 { try await Task.sleep(for: .microseconds(round * 20)) }
                attempt.cancel()
                if let lease = try? await attempt.value { await lease.release() }
            }
            try await Task.sleep(for: .milliseconds(100))
            for server in redis.servers { #expect(try await server.send("KEYS", "redlock:lock:*") == "") }
        }
    }
}

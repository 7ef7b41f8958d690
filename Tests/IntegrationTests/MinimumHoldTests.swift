// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import TestSupport
import Testing

/// Locks that stay for a while, however soon they are released.
@Suite(.serialized)
struct MinimumHoldTests {
    private struct Failure: Error {}

    /// How the lock is had.
    enum Kind: CaseIterable, Sendable {
        case alone, several, shared, slot, fair

        /// - Returns: the lease, after its body.
        func hold(_ client: RedlockClient, _ options: LockOptions) async throws -> any ReleasedLease {
            var options = options
            options.fair = self == .fair
            switch self {
            case .alone, .fair: return try await client.withLock("job", options: options) { $0 }
            case .several: return try await client.withLock(["job", "other"], options: options) { $0 }
            case .shared: return try await client.withLock("job", mode: .shared, options: options) { $0 }
            case .slot: return try await client.withSlot(of: "job", limit: 1, options: options) { $0 }
            }
        }

        /// Whether another client gets what this keeps from others.
        func isFree(for client: RedlockClient) async throws -> Bool {
            guard self == .slot else {
                let lease = try await client.tryAcquire("job")
                await lease?.release()
                return lease != nil
            }
            let lease = try await client.tryAcquireSlot(of: "job", limit: 1)
            await lease?.release()
            return lease != nil
        }
    }

    @Test(
        "A lock stays for exactly the rest of its minimum hold, longer or shorter than its TTL, and is free without one (control)",
        arguments: Kind.allCases
    )
    func lockStaysForTheRest(_ kind: Kind) async throws {
        try await Layout.three.withClient { client, redis in
            let other = try await RedlockClient.connected(to: redis)
            for (ttl, hold) in [(Duration.seconds(10), Duration.seconds(2)), (.seconds(1), .seconds(2))] {
                let start = ContinuousClock.now
                let lease = try await kind.hold(client, LockOptions(ttl: ttl, minimumHold: hold))
                guard case .kept(let rest) = lease.releaseOutcome else {
                    Issue.record("\(kind): \(String(describing: lease.releaseOutcome))")
                    continue
                }
                #expect(rest > .seconds(1) && rest <= hold)
                #expect(try await !kind.isFree(for: other))
                try await eventually { try await kind.isFree(for: other) }
                let elapsed = ContinuousClock.now - start
                #expect(elapsed >= hold - .milliseconds(100) && elapsed < .seconds(6), "\(elapsed)")
            }
            let lease = try await kind.hold(client, LockOptions())
            #expect(lease.releaseOutcome == .released)
            #expect(try await kind.isFree(for: other))
            await other.shutdown()
        }
    }

    @Test("So it is in the compatible profile")
    func compatibleProfile() async throws {
        try await CompatibleRedlockClient.withThreeNodes { client, redis in
            let options = LockOptions(minimumHold: .seconds(20))
            let lease = try await client.withLock("job", options: options) { $0 }
            guard case .kept = lease.releaseOutcome else {
                Issue.record("\(String(describing: lease.releaseOutcome))")
                return
            }
            #expect(try await client.tryAcquire("job") == nil)
            for server in redis.servers {
                let left = try await server.send("PTTL", "job").flatMap { Int($0) } ?? 0
                #expect((10_001...20_000).contains(left), "\(left)")
            }
            // By its owner token, it can be released.
            #expect(try await client.release("job", ownerToken: lease.ownerToken))
            #expect(try await client.tryAcquire("job") != nil)
        }
    }

    @Test(
        "Waiters, in the same client or another, are not woken before the rest is over; without one they are (control)",
        arguments: [true, false]
    )
    func noWaiterIsWoken(hasMinimumHold: Bool) async throws {
        try await Layout.three.withClient { client, redis in
            let other = try await RedlockClient.connected(to: redis)
            let start = ContinuousClock.now
            let options = LockOptions(minimumHold: hasMinimumHold ? .seconds(3) : nil)
            let waits = try await client.withLock("job", options: options) { _ in
                let waits = [client, client, other].map { waiting in
                    // Detached, as a task of this body would run under the lock itself.
                    Task.detached { try await waiting.withLock("job") { _ in ContinuousClock.now - start } }
                }
                try await Task.sleep(for: .milliseconds(300))
                return waits
            }
            for wait in waits {
                let waited = try await wait.value
                #expect((waited >= .milliseconds(2_900)) == hasMinimumHold, "\(waited)")
            }
            await other.shutdown()
        }
    }

    @Test("An error keeps it, a waiver, a release by force and a loss do not, and a shutdown does")
    func whatKeepsIt() async throws {
        try await Layout.three.withClient { client, redis in
            let other = try await RedlockClient.connected(to: redis)
            let options = LockOptions(minimumHold: .seconds(20))
            await #expect(throws: Failure.self) {
                try await client.withLock("failed", options: options) { _ in throw Failure() }
            }
            #expect(try await other.tryAcquire("failed") == nil)
            #expect(try await other.releaseByForce(try await other.inspect("failed")))
            #expect(try await other.tryAcquire("failed") != nil)
            let waived = try await client.withLock("waived", options: options) { lease in
                lease.waiveMinimumHold()
                return lease
            }
            #expect(waived.releaseOutcome == .released)
            #expect(try await other.tryAcquire("waived") != nil)
            let lost = try await client.acquire("lost", options: options)
            for server in redis.servers { _ = try await server.send("DEL", "lost".lockKey) }
            await #expect(throws: RedlockError.self) { try await lost.extend() }
            let next = try #require(try await other.tryAcquire("lost"))
            await lost.release()
            #expect(lost.releaseOutcome == .released)
            try await next.extend()
            let open = try await client.acquire("open", options: options)
            await client.shutdown()
            #expect(try await other.tryAcquire("open") == nil)
            guard case .kept = open.releaseOutcome else {
                Issue.record("\(String(describing: open.releaseOutcome))")
                return
            }
            await other.shutdown()
        }
    }

    @Test("A rest that did not reach a node is set there later, and nothing is deleted before it is over")
    func restIsTriedAgain() async throws {
        try await Layout.three.withClient { client, redis in
            let lease = try await client.acquire("job", options: LockOptions(minimumHold: .seconds(20)))
            for server in redis.servers { _ = try await server.send("ACL", "SETUSER", "default", "-pexpire") }
            await lease.release()
            guard case .unconfirmed(let release) = lease.releaseOutcome else {
                Issue.record("\(String(describing: lease.releaseOutcome))")
                return
            }
            #expect(release.restOfMinimumHold ?? .zero > .seconds(10))
            #expect(release.nodes.allSatisfy { $0.outcome.contains("script") }, "\(release)")
            for server in redis.servers { _ = try await server.send("ACL", "SETUSER", "default", "+pexpire") }
            try await eventually {
                for server in redis.servers {
                    let left = try await server.send("PTTL", "job".lockKey).flatMap { Int($0) } ?? 0
                    guard left > 10_000 else { return false }
                }
                return true
            }
        }
    }
}

/// A lease of whatever kind, once it was released.
protocol ReleasedLease: Sendable {
    var releaseOutcome: ReleaseOutcome? { get }
}

extension Lease: ReleasedLease {}

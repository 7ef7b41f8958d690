// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import TestSupport
import Testing

/// What a holder learns of the release of its lease.
@Suite(.serialized)
struct ReleaseOutcomeTests {
    private static func forbidDeletion(on servers: some Sequence<LocalRedisServer>) async throws {
        for server in servers { _ = try await server.send("ACL", "SETUSER", "default", "-del") }
    }

    @Test(
        "A release that no quorum confirms is told by the lease and as an event; one that a quorum confirms is not (control)"
    )
    func unconfirmedReleaseIsTold() async throws {
        try await Layout.three.withClient { client, redis in
            var events = client.events.makeAsyncIterator()
            try await Self.forbidDeletion(on: redis.servers.prefix(1))
            let confirmed = try await client.withLock("confirmed") { lease in
                #expect(lease.releaseOutcome == nil)
                return lease
            }
            #expect(confirmed.releaseOutcome == .released)
            try await Self.forbidDeletion(on: redis.servers.prefix(2))
            let lease = try await client.acquire("kept")
            await lease.release()
            guard case .unconfirmed(let release) = lease.releaseOutcome else {
                Issue.record("\(String(describing: lease.releaseOutcome))")
                return
            }
            #expect(release.resource == "kept" && release.restOfMinimumHold == nil)
            #expect(release.longestRemaining > .zero && release.longestRemaining < .seconds(11))
            #expect(release.nodes.map { $0.outcome == "released it" } == [false, false, true], "\(release)")
            let told = await events.next(where: { event in
                if case .releaseUnconfirmed = event { true } else { false }
            })
            #expect(told == .releaseUnconfirmed(release))
        }
    }

    @Test("A lock that goes to the next task of the client is released as far as its holder is concerned")
    func handedOverLockIsReleased() async throws {
        try await Layout.three.withClient { client, _ in
            let lease = try await client.acquire("job")
            let next = Task { try await client.acquire("job") }
            try await Task.sleep(for: .milliseconds(300))
            await lease.release()
            #expect(lease.releaseOutcome == .released)
            let other = try await next.value
            #expect(other.releaseOutcome == nil)
            await other.detach()
            #expect(other.releaseOutcome == nil)
        }
    }

    @Test("An extension that fails tells of each node what is known of it")
    func extensionTellsWhatIsKnown() async throws {
        try await Layout.three.withClient { client, redis in
            let lease = try await client.acquire("job")
            let token = lease.ownerToken
            for server in redis.servers.prefix(2) { _ = try await server.send("DEL", "job".lockKey) }
            let gone = await #expect(throws: RedlockError.self) {
                try await client.extend("job", ownerToken: token, ttl: .seconds(5))
            }
            #expect(gone?.code == .notHeld)
            let outcomes = try #require(gone?.nodes.map(\.outcome))
            #expect(outcomes.prefix(2).allSatisfy { $0 == "does not have the lock" }, "\(outcomes)")
            #expect(["has the lock", "did not answer yet"].contains(outcomes[2]), "\(outcomes)")
            _ = try await redis[2].send("DEL", "job".lockKey)
            let none = await #expect(throws: RedlockError.self) {
                try await client.extend("job", ownerToken: token, ttl: .seconds(5))
            }
            #expect(none?.nodes.contains { $0.outcome.contains("has ") && !$0.outcome.contains("not") } == false)
        }
    }
}

extension AsyncIteratorProtocol where Element == RedlockEvent, Self.Failure == Never {
    /// The next event of a kind.
    fileprivate mutating func next(where isWanted: (RedlockEvent) -> Bool) async -> RedlockEvent? {
        while let event = await next(isolation: nil) {
            if isWanted(event) { return event }
        }
        return nil
    }
}

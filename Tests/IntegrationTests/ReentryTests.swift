// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import RedlockTesting
import Testing

@testable import Redlock

/// A task that asks for the lock which it already has.
@Suite(.serialized)
struct ReentryTests {
    /// It would wait for itself, for ever; it is told so.
    @Test
    func taskThatWouldWaitForItselfIsToldSo() async throws {
        try await Layout.three.withClient { client, _ in
            try await client.withLock("a") { _ in
                #expect(await code { try await client.withLock("a") { _ in } } == .heldByTask)
                #expect(await code { _ = try await client.acquire("a") } == .heldByTask)
                // Whoever does not wait is told as always that somebody holds it.
                #expect(try await client.tryAcquire("a") == nil)
                // Another lock is another matter.
                try await client.withLock("b") { _ in }
            }
            // It is over: nothing is left of it.
            try await client.withLock("a") { _ in }
        }
    }

    /// The control: a task that is not part of the one which holds the lock waits until it is released.
    @Test
    func anotherTaskWaits() async throws {
        try await Layout.three.withClient { client, _ in
            let other = try await client.withLock("a") { _ in
                let other = Task.detached { try await client.acquire("a") }
                try await Task.sleep(for: .milliseconds(100))
                return other
            }
            await (try await other.value).release()
        }
    }

    @Test
    func reentryRunsUnderTheSameLease() async throws {
        try await Layout.three.withClient { client, redis in
            let again = LockOptions(reentrant: true)
            try await client.withLock("a", options: again) { outer in
                let sum = try await client.withLock("a", options: again) { inner in
                    #expect(inner.fencingToken == outer.fencingToken)
                    async let first = client.withLock("a", options: again) {
                        $0.fencingToken == outer.fencingToken ? 1 : 0
                    }
                    async let second = client.withLock("a", options: again) { _ in 1 }
                    return try await first + second
                }
                #expect(sum == 2)
                // The inner bodies have ended; the lock has not.
                #expect(outer.isValid)
                #expect(try await client.inspect("a").isHeld)
                let failing = LockOptions(ttl: .milliseconds(1), reentrant: true)
                #expect(await code { try await client.withLock("a", options: failing) { _ in try fail() } } == .notHeld)
                #expect(outer.isValid)
            }
            try await expectGone("a".lockKey, from: redis)
        }
    }

    /// The lease that is lost is lost for the inner body as well.
    @Test
    func lossIsToldInside() async throws {
        try await Layout.three.withClient { client, redis in
            let options = LockOptions(ttl: .seconds(1), reentrant: true)
            let outer = await code {
                try await client.withLock("a", options: options) { _ in
                    let inner = await code {
                        try await client.withLock("a", options: options) { lease in
                            for server in redis.servers { _ = try await server.send("DEL", "a".lockKey) }
                            #expect(await lease.ended())
                        }
                    }
                    #expect(inner == .lost)
                }
            }
            #expect(outer == .lost)
        }
    }

    /// The code of the error that the body throws.
    private func code(_ body: () async throws -> Void) async -> RedlockError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? RedlockError)?.code
        }
    }

    private func fail() throws {
        throw RedlockError(.notHeld, "a body that fails")
    }
}

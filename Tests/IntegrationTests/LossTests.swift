// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Redlock
import TestSupport
import Testing

/// A lease that cannot be renewed is lost in time, whatever the sockets do.
@Suite(.serialized)
struct LossTests {
    /// What a machine that runs much else may need to let a thread run; the long form measures with the default.
    private static let margin: Duration? =
        ProcessInfo.processInfo.environment["REDLOCK_SOAK"] == nil ? .milliseconds(200) : nil

    /// All servers are frozen while many bodies run; each body must be cancelled before its lease ends.
    @Test(arguments: 0..<5)
    func bodyIsCancelledBeforeValidityEnds(_ round: Int) async throws {
        try await Layout.five.withClient { client, redis in
            let lateness = Durations()
            let bodies = 10
            let inside = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for body in 0..<bodies {
                    group.addTask {
                        let options = LockOptions(
                            ttl: .milliseconds(1000 + 100 * body),
                            cancellationMargin: Self.margin
                        )
                        let error = await #expect(throws: RedlockError.self) {
                            try await client.withLock("frozen/\(round)/\(body)", options: options) { lease in
                                await inside.enter()
                                await lateness.add(await untilCancelled() - lease.validUntil)
                            }
                        }
                        #expect(error?.code == .lost)
                    }
                }
                try await eventually { await inside.entered == bodies }
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...1000)))
                for server in redis.servers { try await server.pause() }
                try await group.waitForAll()
            }
            for server in redis.servers { try await server.resume() }
            let worst = try #require(await lateness.all.max())
            #expect(await lateness.all.count == bodies)
            #expect(worst <= .zero, "a body ran on for \(worst) after its lease had ended")
            let margin = Self.margin.map { "\($0)" } ?? "default"
            print("loss: margin \(margin), cancelled \(Duration.zero - worst) before the validity ended at the latest")
        }
    }

    /// The control: with no margin, the cancellation comes after the end, and the check above would see it.
    @Test
    func withoutAMarginTheCheckFails() async throws {
        try await Layout.three.withClient { client, redis in
            let lateness = Durations()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for body in 0..<10 {
                    group.addTask {
                        let options = LockOptions(ttl: .seconds(1), cancellationMargin: .zero)
                        try? await client.withLock("control/\(body)", options: options) { lease in
                            await lateness.add(await untilCancelled() - lease.validUntil)
                        }
                    }
                }
                try await Task.sleep(for: .milliseconds(300))
                for server in redis.servers { try await server.pause() }
                try await group.waitForAll()
            }
            for server in redis.servers { try await server.resume() }
            #expect(await lateness.all.contains { $0 > .zero })
        }
    }

    @Test
    func lockTakenAwayIsLostAtTheNextRenewal() async throws {
        try await Layout.three.withClient { client, redis in
            let began = ContinuousClock.now
            let error = await #expect(throws: RedlockError.self) {
                try await client.withLock("stolen", options: LockOptions(ttl: .seconds(3))) { _ in
                    for server in redis.servers { _ = try await server.send("DEL", "stolen".lockKey) }
                    try? await Task.sleep(for: .seconds(30))
                }
            }
            #expect(error?.code == .lost)
            #expect(error?.message.contains("no longer has it") == true)
            #expect(ContinuousClock.now - began < .milliseconds(2000))
        }
    }

    @Test
    func lossIsThrownWhateverTheBodyReturned() async throws {
        try await Layout.three.withClient { client, redis in
            let error = await #expect(throws: RedlockError.self) {
                try await client.withLock("finished", options: LockOptions(ttl: .seconds(1))) { _ in
                    for server in redis.servers { try await server.pause() }
                    while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(10)) }
                    return "done"
                }
            }
            for server in redis.servers { try await server.resume() }
            #expect(error?.code == .lost)
        }
    }

    @Test
    func maximumHoldEndsTheRenewal() async throws {
        try await Layout.three.withClient { client, _ in
            let began = ContinuousClock.now
            let options = LockOptions(ttl: .seconds(1), maximumHold: .milliseconds(1600))
            let error = await #expect(throws: RedlockError.self) {
                try await client.withLock("bounded", options: options) { _ in
                    try? await Task.sleep(for: .seconds(30))
                }
            }
            let held = ContinuousClock.now - began
            #expect(error?.message.contains("at most") == true)
            #expect(held > .milliseconds(1400))
            #expect(held < .milliseconds(1900))
        }
    }

    @Test
    func minorityThatIsFrozenLosesNothing() async throws {
        try await Layout.five.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            try await client.withLock("minority", options: LockOptions(ttl: .seconds(1))) { lease in
                try await redis[0].pause()
                await redis[3].kill()
                try await Task.sleep(for: .seconds(3))
                #expect(lease.isValid)
            }
            try await redis[0].resume()
        }
    }

    @Test
    func leaseThatIsForgottenIsRenewedNoMore() async throws {
        try await Layout.three.withClient { client, _ in
            _ = try await client.acquire("forgotten", options: LockOptions(ttl: .seconds(1)), renewal: .automatic)
            let began = ContinuousClock.now
            let lease = try await client.acquire("forgotten", options: LockOptions(ttl: .seconds(1)))
            #expect(ContinuousClock.now - began < .seconds(2))
            await lease.release()
        }
    }
}

/// Waits for the cancellation of the task; returns the moment of the cancellation itself, which is earlier than the
/// moment in which the system lets this task run again.
private func untilCancelled() async -> ContinuousClock.Instant {
    let moments = AsyncStream<ContinuousClock.Instant>.makeStream()
    await withTaskCancellationHandler {
        try? await Task.sleep(for: .seconds(30))
    } onCancel: {
        moments.continuation.yield(.now)
        moments.continuation.finish()
    }
    for await moment in moments.stream { return moment }
    return .now
}

private actor Durations {
    private(set) var all: [Duration] = []

    func add(_ duration: Duration) {
        all.append(duration)
    }
}

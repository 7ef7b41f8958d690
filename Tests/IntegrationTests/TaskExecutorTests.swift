// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Redlock

/// Tasks that run on the event loop of their client.
@Suite(.serialized)
struct TaskExecutorTests {
    /// Where each step of a task ran that locked something.
    private func loopsOfSteps(_ client: RedlockClient) async throws -> [(any EventLoop)?] {
        var loops = [MultiThreadedEventLoopGroup.currentEventLoop]
        let lease = try await client.acquire("line")
        loops.append(MultiThreadedEventLoopGroup.currentEventLoop)
        await lease.release()
        loops.append(MultiThreadedEventLoopGroup.currentEventLoop)
        try await client.withLock("line") { _ in
            loops.append(MultiThreadedEventLoopGroup.currentEventLoop)
            await Task.yield()
            loops.append(MultiThreadedEventLoopGroup.currentEventLoop)
        }
        return loops
    }

    /// A task that prefers the executor of its client never changes threads, and all of it works; without, it runs elsewhere.
    @Test
    func tasksStayOnTheLoop() async throws {
        try await Layout.three.withClient { client, _ in
            let preferred = try await withTaskExecutorPreference(client.taskExecutor) {
                try await self.loopsOfSteps(client)
            }
            #expect(preferred.count == 5)
            let loop = try #require(preferred[0])
            #expect(preferred.allSatisfy { $0 === loop })
            #expect(try await loopsOfSteps(client).allSatisfy { $0 == nil })
        }
    }

    /// Tasks on the loop compete as all others do: one at a time, under tokens that grow, and renewed.
    @Test
    func tasksOnTheLoopCompete() async throws {
        try await Layout.three.withClient { client, redis in
            let tokens = try await withThrowingTaskGroup(of: [FencingToken].self) { group in
                for _ in 0..<8 {
                    group.addTask(executorPreference: client.taskExecutor) {
                        var tokens: [FencingToken] = []
                        for _ in 0..<20 {
                            try await client.withLock("line", options: LockOptions(ttl: .seconds(2))) { lease in
                                await Task.yield()
                                tokens.append(lease.fencingToken)
                            }
                        }
                        return tokens
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(tokens.flatMap(\.self)).count == 160)
            #expect(tokens.allSatisfy { zip($0, $0.dropFirst()).allSatisfy { $0 < $1 } })
            let lease = try await withTaskExecutorPreference(client.taskExecutor) {
                try await client.acquire("line", options: LockOptions(ttl: .seconds(1)), renewal: .automatic)
            }
            try await Task.sleep(for: .seconds(2))
            #expect(lease.isValid)
            await lease.release()
            try await expectGone("line".lockKey, from: redis)
        }
    }

    /// Jobs that follow each other without an end do not keep the loop from its sockets: somebody else gets a lock meanwhile.
    ///
    /// The control is an executor that lets them go on for as long as they like.
    @Test(arguments: [true, false])
    func jobsLeaveTheSocketsTheirTurn(isPausing: Bool) async throws {
        try await Layout.three.withClient { client, _ in
            try await client.waitUntilAllNodesAnswer()
            let loop = try #require(
                await withTaskExecutorPreference(client.taskExecutor) { MultiThreadedEventLoopGroup.currentEventLoop }
            )
            let executor = isPausing ? client.taskExecutor : EventLoopTaskExecutor(loop, stretch: .hours(1))
            // The first pause of all lies behind it.
            await Task(executorPreference: executor) { await Task.yield() }.value
            let end = ContinuousClock.now + .seconds(1)
            let busy = Task(executorPreference: executor) { while ContinuousClock.now < end { await Task.yield() } }
            let began = ContinuousClock.now
            let options = LockOptions(wait: .atMost(.milliseconds(700)))
            let lease = try? await client.acquire("elsewhere", options: options)
            let waited = ContinuousClock.now - began
            if isPausing {
                #expect(lease != nil)
                #expect(waited < .milliseconds(700))
            } else {
                #expect(lease == nil || waited >= .milliseconds(700))
            }
            await busy.value
            await lease?.release()
        }
    }
}

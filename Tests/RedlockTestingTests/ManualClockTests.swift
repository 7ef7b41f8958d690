// SPDX-License-Identifier: Apache-2.0

import RedlockTesting
import Testing

@Suite("Manual clock", .timeLimit(.minutes(1)))
struct ManualClockTests {
    @Test("stands still until it is moved, and returns at once for what has passed")
    func standsStill() async throws {
        let clock = ManualClock()
        #expect(clock.now == .init(offset: .zero))
        clock.advance(by: .seconds(5))
        #expect(clock.now == .init(offset: .seconds(5)))
        try await clock.sleep(until: .init(offset: .seconds(5)))
        try await clock.sleep(for: .zero)
        #expect(clock.sleeperCount == 0 && clock.nextDeadline == nil)
    }

    @Test("wakes exactly those whose deadline has come")
    func wakes() async throws {
        let clock = ManualClock()
        async let late: Void = clock.sleep(for: .seconds(3600))
        async let early: Void = clock.sleep(for: .seconds(1))
        try await clock.waitForSleepers(2)
        #expect(clock.nextDeadline == .init(offset: .seconds(1)))
        clock.advance(by: .milliseconds(999))
        #expect(clock.sleeperCount == 2)
        clock.advance(by: .milliseconds(1))
        try await early
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .seconds(3599))
        try await late
    }

    @Test("goes from deadline to deadline, in order")
    func deadlines() async throws {
        let clock = ManualClock()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for seconds in [3, 1, 2] {
                group.addTask {
                    try await clock.sleep(for: .seconds(seconds))
                    return seconds
                }
            }
            try await clock.waitForSleepers(3)
            for seconds in 1...3 {
                #expect(clock.advanceToNextDeadline())
                #expect(clock.now == .init(offset: .seconds(seconds)))
                #expect(try await group.next() == seconds)
            }
            #expect(!clock.advanceToNextDeadline())
        }
    }

    @Test("ends the sleep of a cancelled task, before and during it")
    func cancellation() async throws {
        let clock = ManualClock()
        let sleeper = Task { try await clock.sleep(for: .seconds(1)) }
        try await clock.waitForSleepers(1)
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
        #expect(clock.sleeperCount == 0)
        let cancelled = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await clock.sleep(for: .seconds(1))
        }
        await #expect(throws: CancellationError.self) { try await cancelled.value }
    }

    @Test("says what was there when sleepers do not come")
    func noSleepers() async throws {
        let clock = ManualClock()
        let error = await #expect(throws: WaitTimedOut.self) {
            try await clock.waitForSleepers(1, timeout: .milliseconds(10))
        }
        #expect(error?.description.contains("0 sleeping") == true)
    }

    @Test("loses no sleeper under contention")
    func contention() async throws {
        let clock = ManualClock()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask {
                    for _ in 0..<10 {
                        try await clock.sleep(for: .milliseconds(number % 7 + 1))
                    }
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    clock.advance(by: .milliseconds(1))
                    await Task.yield()
                }
            }
            for _ in 0..<100 {
                try await group.next()
            }
            group.cancelAll()
        }
        #expect(clock.sleeperCount == 0)
    }
}

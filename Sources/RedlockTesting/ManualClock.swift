// SPDX-License-Identifier: Apache-2.0

/// A clock that stands still until the test moves it.
///
/// Code that takes a `Clock` from outside sleeps on it for hours, and the test takes microseconds:
///
/// ```swift
/// let clock = ManualClock()
/// async let renewals = renewEverySecond(clock: clock)
/// try await clock.waitForSleepers(1)     // the code under test has gone to sleep
/// clock.advance(by: .seconds(1))
/// ```
///
/// Sleepers are resumed in the order of their deadlines, and among equal deadlines in the order in which they went to
/// sleep. Which of the resumed tasks then *runs* first is up to the executor: a test that needs the order moves the
/// clock from one sleeper to the next with ``advanceToNextDeadline()``.
public final class ManualClock: Clock, Sendable {
    /// A point on the clock: the time since its start.
    public struct Instant: InstantProtocol, CustomStringConvertible {
        /// The time since the clock was made.
        public var offset: Duration

        /// The point that is `offset` after the start of the clock.
        public init(offset: Duration = .zero) {
            self.offset = offset
        }

        /// The point `duration` later.
        public func advanced(by duration: Duration) -> Instant {
            Instant(offset: offset + duration)
        }

        /// The time from here to `other`.
        public func duration(to other: Instant) -> Duration {
            other.offset - offset
        }

        /// Whether the left point is before the right one.
        public static func < (left: Instant, right: Instant) -> Bool {
            left.offset < right.offset
        }

        /// The time since the start, as text.
        public var description: String {
            "\(offset)"
        }
    }

    private struct Sleeper: Sendable {
        let number: Int
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State: Sendable, CustomStringConvertible {
        var now = Instant()
        /// Sorted by deadline, then by number.
        var sleepers: [Sleeper] = []
        var nextNumber = 0

        var description: String {
            "\(sleepers.count) sleeping at \(now)"
        }

        mutating func removeSleepers(until deadline: Instant) -> [Sleeper] {
            let due = sleepers.prefix { $0.deadline <= deadline }
            sleepers.removeFirst(due.count)
            return Array(due)
        }
    }

    private let state = Observed(State())

    /// A clock that shows zero.
    public init() {}

    /// Where the clock stands.
    public var now: Instant {
        state.value.now
    }

    /// One nanosecond.
    public var minimumResolution: Duration {
        .nanoseconds(1)
    }

    /// How many tasks sleep on this clock now.
    public var sleeperCount: Int {
        state.value.sleepers.count
    }

    /// When the next sleeper wakes, or nil if nobody sleeps.
    public var nextDeadline: Instant? {
        state.value.sleepers.first?.deadline
    }

    /// Suspends the task until the test has moved the clock to `deadline`; returns at once if it is there already.
    ///
    /// Throws `CancellationError` when the task is cancelled. The tolerance is ignored.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let number = state.update { state in
            state.nextNumber += 1
            return state.nextNumber
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                add(Sleeper(number: number, deadline: deadline, continuation: continuation))
            }
        } onCancel: {
            let sleeper = state.update { state in
                state.sleepers.firstIndex { $0.number == number }.map { state.sleepers.remove(at: $0) }
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Moves the clock forward, and resumes everyone whose deadline it passed.
    ///
    /// A task that sleeps again after it woke sees the clock where this call has put it. `duration` must not be
    /// negative.
    public func advance(by duration: Duration) {
        precondition(duration >= .zero, "a manual clock never goes back")
        let due = state.update { state in
            state.now = state.now.advanced(by: duration)
            return state.removeSleepers(until: state.now)
        }
        for sleeper in due {
            sleeper.continuation.resume()
        }
    }

    /// Moves the clock to the next deadline and resumes those who sleep until then; false if nobody sleeps.
    @discardableResult
    public func advanceToNextDeadline() -> Bool {
        let due = state.update { state in
            guard let next = state.sleepers.first?.deadline else { return [Sleeper]() }
            state.now = next
            return state.removeSleepers(until: next)
        }
        for sleeper in due {
            sleeper.continuation.resume()
        }
        return !due.isEmpty
    }

    /// Returns once at least `count` tasks sleep on this clock.
    ///
    /// Throws `WaitTimedOut` after `timeout` of real time, and `CancellationError` when the task is cancelled.
    public func waitForSleepers(_ count: Int, timeout: Duration = .seconds(10)) async throws {
        try await state.wait(timeout: timeout) { $0.sleepers.count >= count }
    }

    private func add(_ sleeper: Sleeper) {
        let outcome: Result<Void, any Error>? = state.update { state in
            // The cancellation handler may have run before the sleeper was there, so look here, under the lock.
            if Task.isCancelled {
                return .failure(CancellationError())
            }
            if sleeper.deadline <= state.now {
                return .success(())
            }
            let index = state.sleepers.firstIndex { $0.deadline > sleeper.deadline } ?? state.sleepers.endIndex
            state.sleepers.insert(sleeper, at: index)
            return nil
        }
        if let outcome {
            sleeper.continuation.resume(with: outcome)
        }
    }
}

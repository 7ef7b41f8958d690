// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A value that changes, and the tasks that wait until it satisfies a condition of theirs.
final class Observed<Value: Sendable>: Sendable {
    private struct Waiter {
        let isSatisfied: @Sendable (Value) -> Bool
        let continuation: CheckedContinuation<Value, any Error>
    }

    private struct State {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var nextWaiterNumber = 0
    }

    private let state: Mutex<State>

    init(_ value: Value) {
        self.state = Mutex(State(value: value))
    }

    var value: Value {
        state.withLock { $0.value }
    }

    /// Changes the value, and resumes those who waited for the new one.
    @discardableResult
    func update<Result: Sendable>(_ change: (inout Value) -> Result) -> Result {
        let (result, value, satisfied) = state.withLock { state in
            let result = change(&state.value)
            let value = state.value
            let satisfied = state.waiters.filter { $0.value.isSatisfied(value) }
            for number in satisfied.keys {
                state.waiters[number] = nil
            }
            return (result, value, satisfied.sorted { $0.key < $1.key }.map(\.value.continuation))
        }
        for continuation in satisfied {
            continuation.resume(returning: value)
        }
        return result
    }

    /// Returns the first value seen that satisfies the condition.
    ///
    /// Throws `WaitTimedOut` after `timeout`, and `CancellationError` when the task is cancelled.
    @discardableResult
    func wait(timeout: Duration, until isSatisfied: @escaping @Sendable (Value) -> Bool) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await self.wait(until: isSatisfied)
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            if let first = try await group.next(), let value = first {
                return value
            }
            throw WaitTimedOut(timeout: timeout, lastState: String(describing: self.value))
        }
    }

    /// Returns the first value seen that satisfies the condition, however long that takes.
    ///
    /// Throws `CancellationError` when the task is cancelled before.
    @discardableResult
    func wait(until isSatisfied: @escaping @Sendable (Value) -> Bool) async throws -> Value {
        let number = state.withLock { state in
            state.nextWaiterNumber += 1
            return state.nextWaiterNumber
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Value, any Error>? = state.withLock { state in
                    if isSatisfied(state.value) {
                        return .success(state.value)
                    }
                    // The handler below may have run before the waiter was there, so look here, under the lock.
                    if Task.isCancelled {
                        return .failure(CancellationError())
                    }
                    state.waiters[number] = Waiter(isSatisfied: isSatisfied, continuation: continuation)
                    return nil
                }
                if let outcome {
                    continuation.resume(with: outcome)
                }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: number) }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }
}

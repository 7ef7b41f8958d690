// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Hands values from any thread to one thread that may wait for them (which a task of the concurrency pool must not).
final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let available = DispatchSemaphore(value: 0)

    func post(_ message: Message) {
        messages.withLock { $0.append(message) }
        available.signal()
    }

    /// The oldest message, or nil when none came within the time; without a time it waits for ever.
    func next(within timeout: Duration? = nil) -> Message? {
        let deadline: DispatchTime =
            timeout.map { .now() + .milliseconds(Int(max(.zero, min($0, .seconds(3_600))).wholeMilliseconds)) }
            ?? .distantFuture
        guard available.wait(timeout: deadline) == .success else { return nil }
        return messages.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }
}

/// Lets tasks wait until something has happened, once.
///
/// A cancelled task goes on waiting: what it waits for (the end of a child process) comes in any case, and must be
/// waited for.
final class Gate: Sendable {
    private enum State {
        case closed([CheckedContinuation<Void, Never>])
        case open
    }

    private let state = Mutex(State.closed([]))

    func open() {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard case .closed(let waiting) = state else { return [] }
            state = .open
            return waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state -> Bool in
                guard case .closed(let waiting) = state else { return true }
                state = .closed(waiting + [continuation])
                return false
            }
            if isOpen { continuation.resume() }
        }
    }
}

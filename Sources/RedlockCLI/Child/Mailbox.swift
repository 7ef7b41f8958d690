// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Hands values from any thread to one thread that may wait for them (which a task of the concurrency pool must not).
///
/// The waiting ends by a clock that nobody sets: semaphores of the system go by the wall clock, and one that is set back
/// meanwhile would keep the supervisor of a command asleep beyond the end of its lock.
final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let wakeUp = WakeUpPipe()

    func post(_ message: Message) {
        messages.withLock { $0.append(message) }
        wakeUp.signal()
    }

    /// The oldest message, or nil when none came within the time; without a time it waits for ever.
    func next(within timeout: Duration? = nil) -> Message? {
        let end = timeout.map { ContinuousClock.now + max(.zero, min($0, .seconds(3_600))) }
        while true {
            if let message = messages.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return message }
            let remaining = end.map { ContinuousClock.now.duration(to: $0) }
            if let remaining, remaining <= .zero { return nil }
            wakeUp.wait(atMost: remaining)
        }
    }
}

/// A pipe to oneself: what is written wakes whoever waits.
private final class WakeUpPipe: Sendable {
    private let readEnd: Int32
    private let writeEnd: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "no pipe: \(SystemError.text(of: errno))")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// A pipe that is full wakes as well.
    func signal() {
        var byte: UInt8 = 0
        while write(writeEnd, &byte, 1) < 0, errno == EINTR {}
    }

    /// Returns when there was a signal since the last wait, when the time is over, or somewhat earlier.
    func wait(atMost duration: Duration?) {
        var descriptor = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
        // Rounded up, so that the last millisecond is not spent in a loop.
        let milliseconds = duration.map { Int32(clamping: $0.wholeMilliseconds + 1) } ?? -1
        guard poll(&descriptor, 1, milliseconds) > 0 else { return }
        var bytes = [UInt8](repeating: 0, count: 64)
        _ = read(readEnd, &bytes, bytes.count)
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

    var isOpen: Bool {
        if case .open = state.withLock({ $0 }) { true } else { false }
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

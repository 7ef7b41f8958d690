// SPDX-License-Identifier: Apache-2.0

public import Redlock
internal import Synchronization

/// Something that happened to a candidate.
public enum ElectionEvent: Sendable {
    /// It campaigns.
    case campaigning
    /// It leads from now on.
    case leading(Term)
    /// It leads no more, for this reason.
    case ended(term: FencingToken, reason: String)
    /// The term has ended, or is about to if the process is to be ended for that, and what leads is still at work.
    case overrun(term: FencingToken)
    /// Too few nodes answer to lead or to learn who does.
    case outOfTouch(reason: String)
}

/// The events of a candidate from the moment at which an iteration begins.
///
/// Each iteration has its own queue of the newest 256 events; who reads too slowly misses the oldest.
final class ElectionEventHub: Sendable {
    private struct State {
        var listeners: [Int: AsyncStream<ElectionEvent>.Continuation] = [:]
        var lastListener = 0
    }

    private let state = Mutex(State())

    func listen() -> AsyncStream<ElectionEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ElectionEvent.self,
            bufferingPolicy: .bufferingNewest(256)
        )
        let listener = state.withLock { state in
            state.lastListener += 1
            state.listeners[state.lastListener] = continuation
            return state.lastListener
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.listeners[listener] = nil }
        }
        return stream
    }

    func tell(_ event: ElectionEvent) {
        for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield(event) }
    }

    deinit {
        for listener in state.withLock({ Array($0.listeners.values) }) { listener.finish() }
    }
}

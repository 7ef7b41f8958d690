// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Something that happened to the locks or the nodes of a client.
public enum RedlockEvent: Hashable, Sendable {
    /// A lock was granted to this client; the token is nil in the compatible profile.
    case granted(resource: String, fencingToken: FencingToken?, waited: Duration)
    /// An attempt found the lock held by others.
    case contended(resource: String)
    /// A lease of this client ended before it was released.
    case lost(resource: String, reason: String)
    /// No quorum of nodes confirmed the release of a lease of this client, so that the lock may still be held.
    case releaseUnconfirmed(UnconfirmedRelease)
    /// The vote of a node counts from now on.
    case nodeAdmitted(node: String)
    /// The vote of a node does not count, for this reason, until further notice.
    case nodeRefused(node: String, reason: String)
    /// The clock of a node jumped, by about so much; it is enrolled anew.
    case clockJumped(node: String, by: Duration)
    /// The clock of this client stood still or jumped, by about so much; all its leases were dropped.
    case ownClockJumped(by: Duration)
    /// A node that had lost the key of a lease has it again.
    case repaired(resource: String, node: String)
    /// Nobody can tell whether a node carried a command out; what it may have set is taken back.
    case unknownReply(resource: String, node: String, reason: String)
}

/// The events of a client from the moment at which the iteration begins.
///
/// Each iteration has its own queue of the newest 1,024 events; who reads too slowly misses the oldest.
public struct RedlockEvents: AsyncSequence, Sendable {
    /// What is iterated over.
    public typealias Element = RedlockEvent
    /// Never fails.
    public typealias Failure = Never

    let hub: EventHub

    /// Begins to listen.
    public func makeAsyncIterator() -> AsyncStream<RedlockEvent>.Iterator {
        hub.listen().makeAsyncIterator()
    }
}

/// Hands events to everybody who listens.
final class EventHub: Sendable {
    private struct State {
        var listeners: [Int: AsyncStream<RedlockEvent>.Continuation] = [:]
        var lastListener = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let listenerCount = Atomic<Int>(0)

    func listen() -> AsyncStream<RedlockEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: RedlockEvent.self,
            bufferingPolicy: .bufferingNewest(1_024)
        )
        let listener: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.lastListener += 1
            state.listeners[state.lastListener] = continuation
            listenerCount.store(state.listeners.count, ordering: .relaxed)
            return state.lastListener
        }
        guard let listener else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.forget(listener) }
        return stream
    }

    private func forget(_ listener: Int) {
        state.withLock { state in
            state.listeners[listener] = nil
            listenerCount.store(state.listeners.count, ordering: .relaxed)
        }
    }

    /// The event is made only if somebody listens.
    func tell(_ event: @autoclosure () -> RedlockEvent) {
        guard listenerCount.load(ordering: .relaxed) > 0 else { return }
        let listeners = state.withLock { Array($0.listeners.values) }
        let event = event()
        for listener in listeners { listener.yield(event) }
    }

    /// Ends every iteration.
    func close() {
        let listeners = state.withLock { state in
            state.isClosed = true
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.finish() }
    }
}

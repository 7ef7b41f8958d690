// SPDX-License-Identifier: Apache-2.0

public import Redlock

/// Who leads, as seen from outside.
public enum Leadership: Hashable, Sendable {
    /// Somebody leads.
    case led(Leader)
    /// Nobody leads.
    case vacant
    /// Too few nodes answer to say.
    case unknown

    /// Somebody who leads, as the nodes show it.
    public struct Leader: Hashable, Sendable {
        /// Who it is.
        public let candidate: Candidate
        /// The number of the term; nil if no node told.
        public let term: FencingToken?
        /// When the campaign was won, since 1970 (Unix time), by the wall clock of the leader; nil if it does not say.
        ///
        /// For people: nothing follows from it.
        public let since: Duration?
    }

    /// Who leads; nil if nobody does, or nobody can say.
    public var leader: Leader? {
        if case .led(let leader) = self { leader } else { nil }
    }

    /// What the nodes said of the lock of the election.
    init(_ status: LockStatus) {
        guard status.isQuorumReachable else {
            self = .unknown
            return
        }
        guard let holder = status.holder else {
            self = .vacant
            return
        }
        let candidate = Candidate(identity: holder.label ?? "a client of another kind", metadata: holder.note)
        // A term reserves no token but its own.
        self = .led(Leader(candidate: candidate, term: status.lastFencingToken, since: holder.since))
    }
}

/// Who leads, from the first look on, and whenever it changes.
///
/// The nodes are looked at now and then: what begins and ends between two looks is not seen. Each iteration looks for itself,
/// and ends when its task is cancelled or the client is shut down.
public struct LeadershipChanges: AsyncSequence, Sendable {
    /// What is iterated over.
    public typealias Element = Leadership
    /// Never fails.
    public typealias Failure = Never

    let redlock: RedlockClient
    let name: String
    let changes: LockChanges

    /// Begins with a first look.
    public func makeAsyncIterator() -> Iterator {
        Iterator(redlock: redlock, name: name, changes: changes.makeAsyncIterator())
    }

    /// One who watches.
    public struct Iterator: AsyncIteratorProtocol {
        private let redlock: RedlockClient
        private let name: String
        private var changes: LockChanges.Iterator
        private var last: Leadership?

        fileprivate init(redlock: RedlockClient, name: String, changes: LockChanges.Iterator) {
            self.redlock = redlock
            self.name = name
            self.changes = changes
        }

        /// Who leads now, as soon as that is another than before; nil when the task is cancelled or the client shut down.
        public mutating func next() async -> Leadership? {
            await next(isolation: nil)
        }

        /// Who leads now, as soon as that is another than before; nil when the task is cancelled or the client shut down.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> Leadership? {
            // The changes tell of no lock that nobody holds.
            if last == nil, let first = try? await Leadership(redlock.inspect(name)) {
                last = first
                return first
            }
            while let change = await changes.next(isolation: actor) {
                guard let leadership = Leadership(change), leadership != last else { continue }
                last = leadership
                return leadership
            }
            return nil
        }
    }
}

extension Leadership {
    /// What a change of the lock says of who leads; nil if nothing.
    init?(_ change: LockChange) {
        switch change {
        case .held(let status), .acquired(let status), .changedHands(let status, from: _): self.init(status)
        case .released, .expired, .lost: self = .vacant
        case .quorumLost: self = .unknown
        case .sharersJoined, .sharersLeft, .waitersJoined, .waitersLeft: return nil
        case .nodeUnreachable, .nodeLostVote, .nodeRegainedVote, .quorumRegained: return nil
        }
    }
}

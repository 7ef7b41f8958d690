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
        let candidate = Candidate(identity: holder.label ?? Candidate.unknownIdentity, metadata: holder.note)
        // A term reserves no token but its own.
        self = .led(Leader(candidate: candidate, term: status.holderFencingToken, since: holder.since))
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

    let elector: LeaderElector
    let interval: Duration

    /// Begins with a first look.
    public func makeAsyncIterator() -> Iterator {
        Iterator(elector: elector, interval: interval)
    }

    /// One who watches.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let elector: LeaderElector
        fileprivate let interval: Duration
        private var last: Leadership?

        fileprivate init(elector: LeaderElector, interval: Duration) {
            self.elector = elector
            self.interval = interval
        }

        /// Who leads now, as soon as that is another than before; nil when the task is cancelled or the client shut down.
        public mutating func next() async -> Leadership? {
            await next(isolation: nil)
        }

        /// Who leads now, as soon as that is another than before; nil when the task is cancelled or the client shut down.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> Leadership? {
            while true {
                if last != nil, (try? await elector.surroundings.sleep(for: interval)) == nil { return nil }
                guard let leadership = await elector.look(), !Task.isCancelled else { return nil }
                guard leadership != last else { continue }
                last = leadership
                return leadership
            }
        }
    }
}

extension LeaderElector {
    /// Who leads now; nil if the client is shut down.
    fileprivate func look() async -> Leadership? {
        do {
            return Leadership(try await redlock.inspect(name))
        } catch let error as RedlockError where error.code == .clientShutDown {
            return nil
        } catch {
            return .unknown
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import LockCore
internal import RedisTransport

extension RedlockClient {
    /// What becomes of locks, from look to look.
    ///
    /// The nodes are looked at now and then: **what begins and ends between two looks is not seen**, nor are the renewals
    /// of a lock, nor whom a client hands it to among its own tasks. Names are looked for step by step, as
    /// `locks(matching:)` does, so that the servers do other things in between; that reads the names of all their keys
    /// every time, and each lock that is held. A name without wildcards is looked at alone, which costs them next to nothing. The pause after a look is
    /// at least as long as the look took.
    ///
    /// Too few nodes that answer are told once as a change, and the watching goes on.
    ///
    /// ```swift
    /// for await change in try redlock.changes(matching: "invoices/*") {
    ///     if case .acquired(let status) = change { print(status.resource, status.holder?.label ?? "") }
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - pattern: which names, as for `locks(matching:)`.
    ///   - interval: how long from one look to the next; at least 100 ms.
    /// - Returns: the changes; they end when the task that iterates is cancelled or the client is shut down. Each iteration
    ///   looks for itself, and only while it is asked for the next change.
    /// - Throws: `RedlockError` with `invalidArgument` for a pattern or an interval that cannot be used.
    public func changes(
        matching pattern: String = "*",
        every interval: Duration = .seconds(1)
    ) throws(RedlockError) -> LockChanges {
        try Self.validate(pattern: pattern)
        if !pattern.hasWildcards { try ResourceName.validate(pattern) }
        guard interval >= LockChanges.shortestInterval else {
            let shortest = LockChanges.shortestInterval.nanoseconds / 1_000_000
            throw RedlockError(.invalidArgument, "the interval between two looks must be at least \(shortest) ms")
        }
        return LockChanges(client: self, pattern: pattern, interval: interval)
    }
}

/// What becomes of locks from the first call for a change on; see `RedlockClient.changes(matching:every:)`.
public struct LockChanges: AsyncSequence, Sendable {
    /// What is iterated over.
    public typealias Element = LockChange
    /// Never fails.
    public typealias Failure = Never

    static let shortestInterval: Duration = .milliseconds(100)

    let client: RedlockClient
    let pattern: String
    let interval: Duration

    /// Begins with a first look, as soon as a change is asked for.
    public func makeAsyncIterator() -> Iterator {
        Iterator(client: client, pattern: pattern, interval: interval)
    }

    /// One who watches.
    public struct Iterator: AsyncIteratorProtocol {
        /// What is iterated over.
        public typealias Element = LockChange
        /// Never fails.
        public typealias Failure = Never

        private let client: RedlockClient
        private let pattern: String
        private let interval: Duration
        private var history: LockHistory
        /// The changes that the last look showed and nobody was told yet, the first at the end.
        private var untold: [LockChange] = []
        private var nextLook: ContinuousClock.Instant?
        private var isOver = false

        fileprivate init(client: RedlockClient, pattern: String, interval: Duration) {
            self.client = client
            self.pattern = pattern
            self.interval = interval
            history = LockHistory(quorum: client.engine.quorum.votesNeeded)
        }

        /// The next change, as soon as a look shows one; nil when the task is cancelled or the client shut down.
        public mutating func next() async -> LockChange? {
            await next(isolation: nil)
        }

        /// The next change, as soon as a look shows one; nil when the task is cancelled or the client shut down.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> LockChange? {
            while untold.isEmpty, !isOver {
                do {
                    if let nextLook { try await Task.sleep(until: nextLook, clock: .continuous) }
                    let began = ContinuousClock.now
                    let picture = try await client.picture(
                        pattern,
                        openNames: history.openNames,
                        isFirst: nextLook == nil
                    )
                    // Nobody is to be busy with being watched for more than half of the time.
                    let ended = ContinuousClock.now
                    nextLook = Swift.max(began + interval, ended + (ended - began))
                    untold = history.changes(in: picture).reversed()
                } catch {
                    isOver = true
                }
            }
            if Task.isCancelled { isOver = true }
            return isOver ? nil : untold.popLast()
        }
    }
}

extension RedlockClient {
    /// One look at the locks and the nodes.
    ///
    /// - Throws: `CancellationError`; `RedlockError` with `clientShutDown`.
    fileprivate func picture(_ pattern: String, openNames: Set<ResourceName>, isFirst: Bool) async throws -> LockPicture
    {
        try await engine.waitUntilConnected()
        // A node that is only late is not to be called unreachable.
        if isFirst { await engine.waitForStragglers() }
        let began = engine.surroundings.now
        var locks: LockPicture.Locks
        do {
            if pattern.hasWildcards {
                locks = .seen(try await statuses(matching: pattern, and: openNames))
            } else {
                locks = .seen(try await statuses(of: [ResourceName(pattern)]))
            }
        } catch let error as RedlockError where error.code == .quorumUnavailable {
            locks = .unknown(error.nodes)
        }
        try Task.checkCancellation()
        let nodes = await engine.onLoop { engine in
            engine.nodeNames.indices.map {
                LockPicture.Node(name: engine.nodeNames[$0], condition: engine.condition(of: $0))
            }
        }
        return LockPicture(began: began, ended: engine.surroundings.now, nodes: nodes, locks: locks)
    }
}

extension LockEngine {
    /// What a node is good for now; nil if it was not asked yet.
    fileprivate func condition(of node: Int) -> LockPicture.NodeCondition? {
        if let failure = surroundings.failure(of: node) {
            return .unreachable(reason: failure.message.printable(limit: 300))
        }
        switch admission.nodes[node].standing {
        case .unknown: return nil
        case .admitted: return .voting
        case .quarantined, .notEnrolled, .enrolling, .enrolmentFailed, .refused, .membersDisagree:
            return .withoutVote(reason: problem(of: node).printable(limit: 300))
        }
    }
}

extension String {
    /// Whether the text, as a pattern of Redis, may match others than itself.
    fileprivate var hasWildcards: Bool {
        utf8.contains { "*?[\\".utf8.contains($0) }
    }
}

// SPDX-License-Identifier: Apache-2.0

public import Logging
internal import Metrics
public import Redlock
internal import Synchronization

/// A candidate for the leadership of one election: at most one of all candidates leads at a time.
///
/// ```swift
/// let elector = try LeaderElector(redlock, name: "scheduler", identity: "scheduler-1.example.com")
/// try await elector.run { term in
///     while true {
///         try term.requireValid(for: .seconds(2))
///         try await scheduleNext(under: term)
///     }
/// }
/// ```
///
/// An election is a lock, with a fencing token that is the number of the term. A leader renews it at a third of the lease
/// duration. If it cannot, what leads is cancelled by the renew deadline, which counts from the start of the last renewal
/// that succeeded, even if every connection hangs; the lock is released only after it has returned.
///
/// What is not promised: nothing can stop a process that was paused and goes on when its term has ended. Give the term to
/// the guards of `FencedStorage`, or to any store that compares its number.
public final class LeaderElector: Sendable {
    /// What a candidate does.
    public enum Status: Sendable {
        /// It does not campaign: neither `run` nor `withLeadership` is under way.
        case idle
        /// It campaigns, and somebody else leads or will.
        case following
        /// It leads.
        case leading(Term)
        /// Too few nodes answer: it can neither lead nor learn who does.
        case outOfTouch(reason: String)
    }

    /// What the election is called: the name of its lock.
    public let name: String
    /// This candidate, as others see it.
    public let candidate: Candidate
    /// The times of the election.
    public let configuration: ElectionConfiguration

    private let redlock: RedlockClient
    private let logger: Logger
    private let terms: Counter
    private let overruns: Counter
    private let isLeading: Gauge
    private let state = Mutex(State())

    private struct State {
        var status = Status.idle
        /// Ends the term under way.
        var resignation: AsyncStream<Void>.Continuation?
    }

    /// A candidate that does not campaign yet.
    ///
    /// - Parameters:
    ///   - redlock: the client of the nodes; its maximum TTL must allow the lease duration.
    ///   - name: what the election is called: the name of a lock, without `*`, `?`, `[` and `\`.
    ///   - identity: what tells this candidate apart, at most 128 bytes: host and process, for example.
    ///   - metadata: what else observers are to know, at most 256 bytes; it is no secret.
    ///   - configuration: the times of the election.
    ///   - logger: what is told of terms.
    /// - Throws: ``ElectionError`` with `invalidConfiguration`.
    public init(
        _ redlock: RedlockClient,
        name: String,
        identity: String,
        metadata: String? = nil,
        configuration: ElectionConfiguration = ElectionConfiguration(),
        logger: Logger? = nil
    ) throws(ElectionError) {
        try configuration.validate()
        guard !name.isEmpty, !name.utf8.contains(where: { "*?[\\".utf8.contains($0) }) else {
            throw ElectionError(
                .invalidConfiguration,
                "the name of an election is not empty and has no *, ?, [ or \\ in it"
            )
        }
        guard !identity.isEmpty else {
            throw ElectionError(.invalidConfiguration, "the identity of a candidate must not be empty")
        }
        self.redlock = redlock
        self.name = name
        self.candidate = Candidate(identity: identity, metadata: metadata)
        self.configuration = configuration
        var logger = logger ?? Logger(label: "redlock.election", factory: { _ in SwiftLogNoOpLogHandler() })
        logger[metadataKey: "election"] = "\(name)"
        logger[metadataKey: "candidate"] = "\(identity)"
        self.logger = logger
        let dimensions = [("election", name)]
        terms = Counter(label: "redlock_election_terms", dimensions: dimensions)
        overruns = Counter(label: "redlock_election_overruns", dimensions: dimensions)
        isLeading = Gauge(label: "redlock_election_leading", dimensions: dimensions)
    }

    // MARK: Leading

    /// Campaigns, leads, and campaigns again after each term, until the task is cancelled.
    ///
    /// A term that is lost, or ended by `resign()`, and an outage of the nodes are logged and followed by another campaign.
    ///
    /// - Parameter lead: what to do as the leader. If it returns, the term ends, and others have the retry period to win the
    ///   next one. It must end when its task is cancelled.
    /// - Throws: what `lead` throws, which ends the term and the campaigns; `RedlockError` where trying again cannot help;
    ///   `CancellationError`.
    public func run(_ lead: @escaping @Sendable (Term) async throws -> Void) async throws {
        defer { set(.idle) }
        while true {
            try Task.checkCancellation()
            do {
                try await withLeadership(lead)
            } catch let error as RedlockError where allowsAnotherCampaign(error) {
                logger.warning("campaign again", metadata: ["reason": "\(error)"])
            } catch let error as ElectionError where error.code == .resigned {
                logger.info("resigned")
            }
            repeat {
                // Between two campaigns, this candidate follows whoever wins.
                if case .idle = status { set(.following) }
                try await Task.sleep(for: configuration.pause())
            } while try await isOutOfTouch()
        }
    }

    /// Whether too few nodes answer for another campaign; asks them if they did not before.
    private func isOutOfTouch() async throws -> Bool {
        guard case .outOfTouch = status else { return false }
        do {
            guard try await redlock.inspect(name).isQuorumReachable else { return true }
        } catch let error as RedlockError where error.code == .quorumUnavailable {
            return true
        }
        set(.following)
        return false
    }

    /// Campaigns until this candidate leads, and leads once.
    ///
    /// An elector campaigns once at a time: neither this nor `run` is called while one of them is under way.
    ///
    /// - Parameter lead: what to do as the leader; it is given the term. It must end when its task is cancelled: it is by the
    ///   renew deadline if the term could not be renewed, and when the candidate resigns. This waits for it without bound.
    /// - Returns: what `lead` returned.
    /// - Throws: what `lead` throws; ``ElectionError`` with `resigned` if the candidate resigned; `RedlockError` with `lost` if
    ///   the term was lost, whatever `lead` returned, and with `quorumUnavailable` if too few nodes answer;
    ///   `CancellationError`.
    @discardableResult
    public func withLeadership<Result: Sendable>(
        _ lead: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> Result {
        set(.following)
        do {
            let result = try await redlock.withLock(name, options: options) { lease in
                try await self.lead(Term(lease, leader: candidate), lead)
            }
            set(.idle)
            return result
        } catch let error as RedlockError where error.code == .quorumUnavailable && error.resource == name {
            set(.outOfTouch(reason: "\(error)"))
            throw error
        } catch {
            set(.idle)
            throw error
        }
    }

    /// Ends the term under way, if there is one: what leads is cancelled, and the lock is released when it has returned.
    ///
    /// Does not wait for that. In `run`, others have the retry period to win the next term.
    public func resign() {
        state.withLock { $0.resignation }?.finish()
    }

    private var options: LockOptions {
        LockOptions(
            ttl: configuration.leaseDuration,
            cancellationMargin: configuration.leaseDuration - configuration.renewDeadline,
            label: candidate.identity,
            note: candidate.metadata,
            // Each term is one grant, whose number the nodes show.
            handsOver: false
        )
    }

    /// Whether another campaign can help; not for what befell a lock of another name, which what leads wanted.
    private func allowsAnotherCampaign(_ error: RedlockError) -> Bool {
        error.resource == name && [.lost, .quorumUnavailable].contains(error.code)
    }

    /// Runs what leads until it returns or the candidate resigns; the loss of the term cancels the task that this runs in.
    private func lead<Result: Sendable>(
        _ term: Term,
        _ lead: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> Result {
        let resignation = AsyncStream.makeStream(of: Void.self)
        state.withLock { state in
            state.status = .leading(term)
            state.resignation = resignation.continuation
        }
        terms.increment()
        isLeading.record(1)
        logger.notice("leading", metadata: ["term": "\(term.number)"])
        let watch = watchForOverrun(of: term)
        defer {
            watch.cancel()
            state.withLock { $0.resignation = nil }
            isLeading.record(0)
            logger.notice("not leading any more", metadata: ["term": "\(term.number)"])
        }
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await lead(term) }
            group.addTask {
                for await _ in resignation.stream {}
                return nil
            }
            let first = try await group.next()
            if case .some(.some(let result)) = first {
                group.cancelAll()
                return result
            }
            // Resigned, if nobody cancelled this task. What leads is waited for, and an error of its own is told.
            let hasResigned = !Task.isCancelled
            group.cancelAll()
            do {
                let last = try await group.next()
                if !hasResigned, case .some(.some(let result)) = last { return result }
            } catch is CancellationError {}
            guard hasResigned else { throw CancellationError() }
            throw ElectionError(.resigned, "the candidate \"\(candidate.identity)\" resigned from \"\(name)\"")
        }
    }

    /// Tells when what leads is still at work at the end of its term.
    ///
    /// A task of its own, which the cancellation of what leads does not end.
    private func watchForOverrun(of term: Term) -> Task<Void, Never> {
        Task { [logger, overruns] in
            while term.validUntil > .now {
                guard (try? await Task.sleep(until: term.validUntil, clock: .continuous)) != nil else { return }
            }
            overruns.increment()
            logger.critical(
                "the term has ended, and what leads under it goes on: somebody else may lead now",
                metadata: ["term": "\(term.number)"]
            )
        }
    }

    // MARK: Looking

    /// What this candidate does now.
    public var status: Status { state.withLock { $0.status } }

    /// Whether the candidate leads or follows, and hears enough nodes to do so: for a probe of liveness or readiness.
    ///
    /// A leader whose term has ended by the clock is not healthy.
    public var isHealthy: Bool {
        switch status {
        case .leading(let term): term.isValid
        case .following: true
        case .idle, .outOfTouch: false
        }
    }

    /// Who leads now, as a quorum of nodes shows it; nil if nobody does.
    ///
    /// - Throws: ``ElectionError`` with `outOfTouch` if too few nodes answer.
    public func currentLeader() async throws -> Leadership.Leader? {
        let status = try await redlock.inspect(name)
        guard status.isQuorumReachable else {
            throw ElectionError(.outOfTouch, "too few nodes answered to say who leads \"\(name)\"")
        }
        return Leadership(status).leader
    }

    /// Who leads, from the first look on, and whenever it changes; the elector need not campaign.
    public func observe() throws -> LeadershipChanges {
        let interval = min(max(configuration.retryPeriod / 4, .milliseconds(100)), .seconds(1))
        return LeadershipChanges(
            redlock: redlock,
            name: name,
            changes: try redlock.changes(matching: name, every: interval)
        )
    }

    private func set(_ status: Status) {
        state.withLock { $0.status = status }
    }
}

// SPDX-License-Identifier: Apache-2.0

public import Logging
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
        /// It is to campaign, and is not fit to lead now.
        case notEligible
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
    /// Of the candidates that wait, the one with the highest leads next.
    public let priority: Int
    /// The times of the election.
    public let configuration: ElectionConfiguration

    let redlock: RedlockClient
    let names: ElectionNames
    let isEligible: (@Sendable () async -> Bool)?
    let surroundings: ElectionSurroundings
    let logger: Logger
    let metrics: ElectionMetrics
    let eventHub = ElectionEventHub()
    private let state = Mutex(State())

    private struct State {
        var status = Status.idle
        var isCampaigning = false
        /// Ends the term under way, for a reason.
        var endings: AsyncStream<TermEnding>.Continuation?
    }

    /// A candidate that does not campaign yet.
    ///
    /// - Parameters:
    ///   - redlock: the client of the nodes; its maximum TTL must allow the lease duration. Several candidates of one election
    ///     in one process have one each, by which they are told apart when the leadership is handed over.
    ///   - name: what the election is called: the name of a lock, at most 256 bytes, without control characters and `*`, `?`,
    ///     `[` and `\`. Locks whose names begin with it and a slash belong to the election as well.
    ///   - identity: what tells this candidate apart, at most 128 bytes, without the same characters: host and process, for
    ///     example.
    ///   - metadata: what else observers are to know, at most 220 bytes; it is no secret.
    ///   - priority: of the candidates that wait, the one with the highest leads next; -100 to 100. Nobody has to give up the
    ///     leadership for one that comes later.
    ///   - configuration: the times of the election.
    ///   - logger: what is told of terms.
    ///   - isEligible: whether this candidate is fit to lead: asked before it campaigns, every retry period while it does, when
    ///     it has won, and every retry period while it leads. One that is not leaves it to the others until it is again; and
    ///     whoever does not answer within a retry period is not. By default it always is.
    /// - Throws: ``ElectionError`` with `invalidConfiguration`.
    public convenience init(
        _ redlock: RedlockClient,
        name: String,
        identity: String,
        metadata: String? = nil,
        priority: Int = 0,
        configuration: ElectionConfiguration = ElectionConfiguration(),
        logger: Logger? = nil,
        isEligible: (@Sendable () async -> Bool)? = nil
    ) throws(ElectionError) {
        try self.init(
            redlock,
            name: name,
            identity: identity,
            metadata: metadata,
            priority: priority,
            configuration: configuration,
            logger: logger,
            isEligible: isEligible,
            surroundings: ElectionSurroundings()
        )
    }

    package init(
        _ redlock: RedlockClient,
        name: String,
        identity: String,
        metadata: String? = nil,
        priority: Int = 0,
        configuration: ElectionConfiguration,
        logger: Logger? = nil,
        isEligible: (@Sendable () async -> Bool)? = nil,
        surroundings: ElectionSurroundings
    ) throws(ElectionError) {
        try configuration.validate()
        try Self.validate(name, "the name of an election", longest: ElectionNames.longestElection)
        try Self.validateIdentity(identity)
        let metadata = metadata.flatMap { $0.isEmpty ? nil : $0 }
        guard metadata?.utf8.count ?? 0 <= CandidateNote.longestMetadata, metadata?.hasControlCharacters != true else {
            throw ElectionError(
                .invalidConfiguration,
                "the metadata of a candidate has at most \(CandidateNote.longestMetadata) bytes, and no control characters"
            )
        }
        guard (-100...100).contains(priority) else {
            throw ElectionError(.invalidConfiguration, "the priority of a candidate lies between -100 and 100")
        }
        self.redlock = redlock
        self.name = name
        self.candidate = Candidate(identity: identity, metadata: metadata)
        self.priority = priority
        self.configuration = configuration
        self.isEligible = isEligible
        self.surroundings = surroundings
        names = ElectionNames(name)
        var logger = logger ?? Logger(label: "redlock.election", factory: { _ in SwiftLogNoOpLogHandler() })
        logger[metadataKey: "election"] = "\(name)"
        logger[metadataKey: "candidate"] = "\(identity)"
        self.logger = logger
        metrics = ElectionMetrics(election: name)
    }

    static func validateIdentity(_ identity: String) throws(ElectionError) {
        try validate(identity, "the identity of a candidate", longest: ElectionNames.longestIdentity)
    }

    private static func validate(_ text: String, _ what: String, longest: Int) throws(ElectionError) {
        guard !text.isEmpty, text.utf8.count <= longest, !text.hasControlCharacters,
            !text.utf8.contains(where: { "*?[\\".utf8.contains($0) })
        else {
            throw ElectionError(
                .invalidConfiguration,
                "\(what) has 1 to \(longest) bytes, and neither control characters nor *, ?, [ or \\ among them"
            )
        }
    }

    // MARK: Campaigning

    /// Campaigns, leads, and campaigns again after each term, until the task is cancelled.
    ///
    /// A term that is lost, handed over, or ended by `resign()`, a step that did not fit into it, and an outage of the nodes are
    /// logged and followed by another campaign.
    ///
    /// - Parameter body: what to do as the leader. If it returns, the term ends, and others have the retry period to win the
    ///   next one. It must end when its task is cancelled.
    /// - Throws: what the body throws, which ends the term and the campaigns, unless ``mayCampaignAgain(after:)`` says otherwise;
    ///   `RedlockError` where trying again cannot help; ``ElectionError`` with `campaignsAlready`; `CancellationError`.
    public func run(_ body: @escaping @Sendable (Term) async throws -> Void) async throws {
        try beginCampaigning()
        defer { endCampaigning() }
        while true {
            do {
                try await campaign(body)
            } catch let error where mayCampaignAgain(after: error) {
                logger.notice("campaign again", metadata: ["reason": "\(error)"])
            }
            repeat { try await pause() } while try await isOutOfTouch()
        }
    }

    /// Campaigns until this candidate leads, and leads once.
    ///
    /// An elector campaigns once at a time: neither this nor `run` is called while one of them is under way.
    ///
    /// - Parameter body: what to do as the leader; it is given the term. It must end when its task is cancelled: it is by the
    ///   renew deadline if the term could not be renewed, and when the candidate resigns. This waits for it without bound.
    /// - Returns: what the body returned.
    /// - Throws: what the body throws; ``ElectionError`` with `resigned`, `handedOver` or `notEligible` if the term was ended by
    ///   that, and with `campaignsAlready`; `RedlockError` with `lost` if the term was lost, whatever the body returned, and with
    ///   `quorumUnavailable` if too few nodes answer; `CancellationError`.
    @discardableResult
    public func withLeadership<Result: Sendable>(
        _ body: @escaping @Sendable (Term) async throws -> Result
    ) async throws -> Result {
        try beginCampaigning()
        defer { endCampaigning() }
        return try await campaign(body)
    }

    /// Ends the term under way, if there is one: what leads is cancelled, and the lock is released when it has returned.
    ///
    /// Does not wait for that. In `run`, others have the retry period to win the next term.
    public func resign() {
        end(.resigned)
    }

    /// Ends the term under way, if there is one.
    ///
    /// - Returns: whether there is one.
    @discardableResult
    func end(_ ending: TermEnding) -> Bool {
        guard let endings = state.withLock({ $0.endings }) else { return false }
        endings.yield(ending)
        return true
    }

    /// Whether what a campaign or a term ended with is followed by another campaign, as ``run(_:)`` has it: the end of the
    /// term, and an outage of the nodes; not what befell a lock of another name, which what leads wanted.
    package func mayCampaignAgain(after error: any Error) -> Bool {
        switch error {
        case let error as RedlockError: error.resource == name && [.lost, .quorumUnavailable].contains(error.code)
        case let error as ElectionError: [.resigned, .handedOver, .notEligible, .termEnds].contains(error.code)
        default: false
        }
    }

    /// Waits as long as candidates wait between two campaigns.
    func pause() async throws {
        try await surroundings.sleep(for: configuration.pause(surroundings.chance()))
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

    // MARK: Status

    /// What this candidate does now.
    public var status: Status { state.withLock { $0.status } }

    /// Whether the candidate leads or follows, and hears enough nodes to do so: for a probe of liveness or readiness.
    ///
    /// A leader whose term has ended by the clock is not healthy. One that is not fit to lead is: it is as it should be.
    public var isHealthy: Bool {
        switch status {
        case .leading(let term): term.isValid
        case .following, .notEligible: true
        case .idle, .outOfTouch: false
        }
    }

    /// What happens to this candidate from the moment at which an iteration begins, each with a queue of its own.
    public var events: AsyncStream<ElectionEvent> { eventHub.listen() }

    func set(_ status: Status) {
        state.withLock { $0.status = status }
        if case .outOfTouch(let reason) = status { eventHub.tell(.outOfTouch(reason: reason)) }
    }

    /// Claims the elector for one campaign at a time.
    private func beginCampaigning() throws(ElectionError) {
        let wasFree = state.withLock { state in
            defer { state.isCampaigning = true }
            return !state.isCampaigning
        }
        guard wasFree else {
            throw ElectionError(
                .campaignsAlready,
                "the candidate \"\(candidate.identity)\" campaigns for \"\(name)\" already"
            )
        }
    }

    private func endCampaigning() {
        state.withLock { state in
            state.isCampaigning = false
            state.status = .idle
        }
    }

    /// Notes that a term has begun, and what ends it early.
    func begin(_ term: Term, endings: AsyncStream<TermEnding>.Continuation) {
        state.withLock { state in
            state.status = .leading(term)
            state.endings = endings
        }
    }

    /// Notes that the term has ended, and that this candidate follows whoever wins.
    func endTerm() {
        state.withLock { state in
            state.endings = nil
            state.status = .following
        }
    }
}

extension String {
    fileprivate var hasControlCharacters: Bool {
        unicodeScalars.contains { $0.properties.generalCategory == .control }
    }
}

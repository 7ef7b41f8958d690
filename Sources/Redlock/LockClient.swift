// SPDX-License-Identifier: Apache-2.0

internal import LockCore
public import Logging
public import NIOCore
public import NIOPosix
public import RedisTransport
public import ServiceLifecycle

/// A client of N independent Redis servers that grant locks by quorum: what `RedlockClient` and
/// `CompatibleRedlockClient` have in common.
///
/// A client connects by itself and keeps connecting; there is nothing to run, though it can be run as a `Service`. It
/// may be used from any number of tasks. All its connections live on one event loop.
public protocol LockClient: Service {
    /// Whether the leases of this client have fencing tokens.
    associatedtype Fencing: LeaseFencing

    /// What the client is made of.
    var core: LockClientCore { get }

    /// A client of the given servers.
    ///
    /// - Parameters:
    ///   - endpoints: the nodes; one, or better three or five, each a server of its own.
    ///   - configuration: times and names.
    ///   - eventLoopGroup: gives the one event loop that all connections live on.
    ///   - logger: takes what operators should know; nothing is logged without it.
    /// - Throws: `RedlockError` with `invalidConfiguration` for a value that cannot be used.
    init(
        endpoints: [RedisEndpoint],
        configuration: RedlockConfiguration,
        eventLoopGroup: any EventLoopGroup,
        logger: Logger?
    ) throws(RedlockError)
}

extension LockClient {
    /// A client of the servers at the given URLs; see `RedisEndpoint` for their form.
    ///
    /// - Throws: `RedlockError` with `invalidConfiguration` for a URL or a value that cannot be used.
    public init(
        nodes: [String],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger? = nil
    ) throws(RedlockError) {
        try self.init(
            endpoints: RedisEndpoint.list(nodes),
            configuration: configuration,
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
    }

    /// What is allowed in the configuration but is probably not what was meant.
    public var configurationWarnings: [String] { core.configurationWarnings }

    /// What happens to the locks and the nodes of this client, from the moment of listening.
    public var events: RedlockEvents { RedlockEvents(hub: engine.events) }

    var engine: LockEngine { core.engine }
}

extension RedisEndpoint {
    static func list(_ urls: [String]) throws(RedlockError) -> [RedisEndpoint] {
        var endpoints: [RedisEndpoint] = []
        for url in urls {
            do throws(RedisEndpointError) {
                endpoints.append(try RedisEndpoint(url: url))
            } catch {
                throw RedlockError(.invalidConfiguration, error.description)
            }
        }
        return endpoints
    }
}

/// What a client is made of: connections and the engine that drives them.
///
/// Nothing in it is for users.
public final class LockClientCore: Sendable {
    /// What a client is for.
    package enum Purpose {
        /// Locks, and looking at them.
        case locking
        /// The enrolment of all nodes by an operator, who has time.
        case enrolment
    }

    let engine: LockEngine
    let configurationWarnings: [String]
    /// Runs tasks where the engine runs.
    let taskExecutor: any TaskExecutor

    /// A core in the real surroundings.
    convenience init(
        profile: LockProfile,
        endpoints: [RedisEndpoint],
        configuration: RedlockConfiguration,
        eventLoopGroup: any EventLoopGroup,
        logger: Logger?,
        purpose: Purpose = .locking
    ) throws(RedlockError) {
        try configuration.validate(endpoints)
        var configuration = configuration
        if purpose == .enrolment { configuration.nodeTimeout = max(configuration.nodeTimeout, .seconds(2)) }
        let logger = logger ?? Logger(label: "redlock", factory: { _ in SwiftLogNoOpLogHandler() })
        let eventLoop = eventLoopGroup.next()
        let surroundings = NIOSurroundings(
            endpoints: endpoints,
            profile: profile,
            configuration: configuration,
            eventLoop: eventLoop,
            logger: logger
        )
        self.init(
            profile: profile,
            nodeNames: endpoints.map(\.nodeName),
            configuration: configuration,
            surroundings: surroundings,
            taskExecutor: EventLoopTaskExecutor(eventLoop),
            logger: logger
        )
        try surroundings.makeLinks(delegate: engine)
        connect()
    }

    /// A core in any surroundings, which connects when it is told to.
    package init(
        profile: LockProfile,
        nodeNames: [String],
        configuration: RedlockConfiguration,
        surroundings: any Surroundings,
        taskExecutor: any TaskExecutor = globalConcurrentExecutor,
        logger: Logger
    ) {
        self.taskExecutor = taskExecutor
        configurationWarnings = RedlockConfiguration.warnings(nodeCount: nodeNames.count)
        for warning in configurationWarnings { logger.warning("\(warning)") }
        engine = LockEngine(
            profile: profile,
            quorum: configuration.quorum(nodeCount: nodeNames.count),
            configuration: configuration,
            nodeNames: nodeNames,
            surroundings: surroundings,
            logger: logger
        )
    }

    /// Who is to be told about the nodes.
    package var delegate: any NodeLinkDelegate & SubscriptionLinkDelegate { engine }

    /// Begins to connect to the nodes.
    package func connect() {
        engine.submit { $0.surroundings.connect() }
    }

    deinit {
        let engine = self.engine
        engine.submit { $0.end() }
    }
}

// MARK: Acquiring

extension LockClient {
    /// Acquires the lock, waiting for it as the options say.
    ///
    /// - Parameters:
    ///   - resource: the name of the lock, 1 to 512 bytes without control characters.
    ///   - options: TTL, waiting and more.
    ///   - renewal: whether the client keeps the lease alive until it is released.
    /// - Returns: the lease; release it when the work is done.
    /// - Throws: `RedlockError` with `timedOut` if others held the lock all the time, `quorumUnavailable` if too few
    ///   nodes answered, `notALock` if data of others lies in place of the lock, `heldByTask` if the task runs under the
    ///   lock already, in a `withLock`; `CancellationError` if the task is cancelled, and then nothing stays locked.
    public func acquire(
        _ resource: String,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Fencing> {
        try await core.acquire(core.operation(.one(resource), options, renewal))
    }

    /// Acquires the lock if it is free: one attempt, without waiting, and none where this client knows that it is held.
    ///
    /// - Returns: the lease, or nil if the lock is held; with the compatible profile, nil also if data of others lies in its
    ///   place.
    /// - Throws: as `acquire`, but for `timedOut`.
    public func tryAcquire(
        _ resource: String,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Fencing>? {
        try await core.tryAcquire(core.operation(.one(resource), options, renewal, waits: false))
    }
}

extension LockClientCore {
    /// What a call to acquire is to do, if its arguments can be used.
    ///
    /// Everything large is worked out here, claim included, and not where the call waits: an async function keeps the
    /// room for all that it ever works with.
    ///
    /// - Parameter waits: whether to wait as the options say, and to tell who holds the lock if that was in vain.
    @inline(never)
    func operation(
        _ claim: @autoclosure () throws -> Claim,
        _ options: LockOptions,
        _ renewal: Renewal,
        waits: Bool = true
    ) throws -> AcquireOperation {
        let claim = try claim()
        let wait = waits ? options.wait : .none
        if wait != .none { try refuseIfHeldByTask(claim) }
        if options.fair { try claim.refuseUnlessFair(in: engine.profile) }
        if options.recordedGrants > 0 { try claim.refuseUnlessRecorded(in: engine.profile) }
        let terms = try LeaseTerms(options, renewal: renewal, configuration: engine.configuration)
        return AcquireOperation(claim, terms: terms, wait: wait, namesHolder: waits, engine: engine)
    }

    /// Waits for the lease, as a part of its caller: each async function has a frame for as long as it waits.
    @inline(__always)
    func acquire<Kind>(_ operation: AcquireOperation) async throws -> Lease<Kind> {
        let held = try await withTaskCancellationHandler {
            // Unsafe only in name: the engine completes every operation exactly once, and this is the hot path.
            try await withUnsafeThrowingContinuation { continuation in
                operation.completion = continuation
                operation.engine.submit { $0.begin(operation) }
            }
        } onCancel: {
            operation.engine.submit { $0.cancel(operation) }
        }
        return Lease(held, of: self)
    }

    func tryAcquire<Kind>(_ operation: AcquireOperation) async throws -> Lease<Kind>? {
        do {
            return try await acquire(operation)
        } catch let error as RedlockError where error.code == .timedOut {
            return nil
        }
    }
}

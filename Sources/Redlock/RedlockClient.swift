// SPDX-License-Identifier: Apache-2.0

internal import LockCore
public import Logging
public import NIOCore
public import NIOPosix
public import RedisTransport

/// A client of N independent Redis servers that grant locks by quorum.
///
/// It connects by itself and keeps connecting; there is nothing to run, though it can be run as a `Service`. It may be
/// used from any number of tasks. All its connections live on one event loop.
///
/// This client speaks the published Redlock algorithm with plain keys: the key of a lock is exactly its name, so it
/// excludes every other client that follows the algorithm. It hands out no fencing tokens, and it trusts every node:
/// one that restarts without its data, evicts keys or jumps its clock can lead to two holders.
public final class RedlockClient: Sendable {
    let engine: LockEngine

    /// What is allowed in the configuration but is probably not what was meant.
    public let configurationWarnings: [String]

    /// A client of the servers at the given URLs; see `RedisEndpoint` for their form.
    ///
    /// - Throws: `RedlockError` with `invalidConfiguration` for a URL or a value that cannot be used.
    public convenience init(
        nodes: [String],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger? = nil
    ) throws(RedlockError) {
        var endpoints: [RedisEndpoint] = []
        for url in nodes {
            do throws(RedisEndpointError) {
                endpoints.append(try RedisEndpoint(url: url))
            } catch {
                throw RedlockError(.invalidConfiguration, error.description)
            }
        }
        try self.init(
            endpoints: endpoints,
            configuration: configuration,
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
    }

    /// A client of the given servers.
    ///
    /// - Parameters:
    ///   - endpoints: the nodes; one, or better three or five, each a server of its own.
    ///   - configuration: times and names.
    ///   - eventLoopGroup: gives the one event loop that all connections live on.
    ///   - logger: takes what operators should know; nothing is logged without it.
    /// - Throws: `RedlockError` with `invalidConfiguration` for a value that cannot be used.
    public init(
        endpoints: [RedisEndpoint],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger? = nil
    ) throws(RedlockError) {
        try configuration.validate(endpoints)
        configurationWarnings = RedlockConfiguration.warnings(nodeCount: endpoints.count)
        let logger = logger ?? Logger(label: "redlock", factory: { _ in SwiftLogNoOpLogHandler() })
        for warning in configurationWarnings { logger.warning("\(warning)") }
        let surroundings = NIOSurroundings(
            endpoints: endpoints,
            configuration: configuration,
            eventLoop: eventLoopGroup.next(),
            logger: logger
        )
        engine = LockEngine(
            quorum: Quorum(majorityOf: endpoints.count),
            configuration: configuration,
            nodeNames: endpoints.map(\.description),
            surroundings: surroundings,
            logger: logger
        )
        try surroundings.makeLinks(delegate: engine)
        engine.submit { $0.surroundings.connect() }
    }

    deinit {
        let engine = self.engine
        engine.submit { $0.end() }
    }
}

// MARK: Acquiring

extension RedlockClient {
    /// Acquires the lock, waiting for it as the options say.
    ///
    /// - Parameters:
    ///   - resource: the name of the lock, 1 to 512 bytes without control characters.
    ///   - options: TTL, waiting and more.
    ///   - renewal: whether the client keeps the lease alive until it is released.
    /// - Returns: the lease; release it when the work is done.
    /// - Throws: `RedlockError` with `timedOut` if others held the lock all the time, `quorumUnavailable` if too few
    ///   nodes answered; `CancellationError` if the task is cancelled, and then nothing stays locked.
    public func acquire(
        _ resource: String,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease {
        let operation = try operation(resource, options, options.wait, renewal: renewal, namesHolder: true)
        return Lease(try await acquire(operation), of: self)
    }

    /// Acquires the lock if it is free: one attempt, without waiting.
    ///
    /// - Returns: the lease, or nil if somebody holds the lock.
    /// - Throws: as `acquire`, but for `timedOut`.
    public func tryAcquire(
        _ resource: String,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease? {
        let operation = try operation(resource, options, .none, renewal: renewal, namesHolder: false)
        do {
            return Lease(try await acquire(operation), of: self)
        } catch let error as RedlockError where error.code == .timedOut {
            return nil
        }
    }

    func operation(
        _ resource: String,
        _ options: LockOptions,
        _ wait: WaitPolicy,
        renewal: Renewal,
        namesHolder: Bool
    ) throws(RedlockError) -> AcquireOperation {
        try ResourceName.validate(resource)
        let terms = try LeaseTerms(options, renewal: renewal, configuration: engine.configuration)
        return AcquireOperation(resource: resource, terms: terms, wait: wait, namesHolder: namesHolder)
    }

    func acquire(_ operation: AcquireOperation) async throws -> HeldLease {
        let engine = self.engine
        return try await withTaskCancellationHandler {
            // Unsafe only in name: the engine completes every operation exactly once, and this is the hot path.
            try await withUnsafeThrowingContinuation { continuation in
                operation.completion = { continuation.resume(with: $0) }
                engine.submit { $0.begin(operation) }
            }
        } onCancel: {
            engine.submit { $0.cancel(operation) }
        }
    }
}

// MARK: By owner token

extension RedlockClient {
    /// A client that was just made knows no node yet; what asks all of them waits until they were tried.
    private func whenConnected() async throws(RedlockError) {
        let isShuttingDown = await withCheckedContinuation { continuation in
            engine.submit { engine in
                engine.whenConnected { continuation.resume(returning: engine.isShuttingDown) }
            }
        }
        if isShuttingDown { throw RedlockError.shutDown }
    }

    /// Extends a lock that is held under the owner token, by whoever acquired it: its life becomes at least the TTL.
    ///
    /// - Returns: how long the holder may count on it from now.
    /// - Throws: `RedlockError` with `notHeld` if the token does not hold the lock on a quorum of nodes, and
    ///   `quorumUnavailable` if too few answered.
    public func extend(_ resource: String, ownerToken: OwnerToken, ttl: Duration) async throws -> Duration {
        try ResourceName.validate(resource)
        let timing = try LeaseTerms.timing(ttl: ttl, configuration: engine.configuration)
        try await whenConnected()
        return try await withCheckedThrowingContinuation { continuation in
            engine.submit { engine in
                engine.extend(resource: resource, ownerToken: ownerToken, timing: timing, validUntil: nil) {
                    decision,
                    problems in
                    let nodes = engine.report(problems, otherwise: "has it, or did not answer yet")
                    switch decision {
                    case .extended(let validUntil):
                        let remaining = engine.surroundings.now.nanoseconds(until: validUntil)
                        continuation.resume(returning: .nanoseconds(remaining))
                    case .lost:
                        let message = "\"\(resource)\" is not held under this owner token"
                        continuation.resume(
                            throwing: RedlockError(.notHeld, resource: resource, message, nodes: nodes)
                        )
                    case .inconclusive, .tooLate:
                        continuation.resume(throwing: RedlockError.noQuorum(resource, "extend", nodes))
                    }
                }
            }
        }
    }

    /// Releases a lock that is held under the owner token, by whoever acquired it.
    ///
    /// - Returns: whether a quorum of nodes still held it.
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered.
    public func release(_ resource: String, ownerToken: OwnerToken) async throws -> Bool {
        try ResourceName.validate(resource)
        // Nobody knows what TTL the lock was acquired with; no key outlives the longest one.
        let timing = try LeaseTerms.timing(ttl: engine.configuration.maximumTTL, configuration: engine.configuration)
        try await whenConnected()
        return try await withCheckedThrowingContinuation { continuation in
            engine.submit { engine in
                engine.release(resource: resource, ownerToken: ownerToken, timing: timing, from: engine.allNodes) {
                    decision,
                    problems in
                    switch decision {
                    case .released(let wasHeld):
                        continuation.resume(returning: wasHeld)
                    case .incomplete:
                        let nodes = engine.report(problems, otherwise: "does not have it any more")
                        continuation.resume(throwing: RedlockError.noQuorum(resource, "release", nodes))
                    }
                }
            }
        }
    }

    /// What the nodes say about a lock now.
    ///
    /// - Throws: `RedlockError` with `invalidArgument` for a name that cannot be used. Nodes that do not answer are
    ///   part of the status.
    public func inspect(_ resource: String) async throws -> LockStatus {
        try ResourceName.validate(resource)
        try await whenConnected()
        return await withCheckedContinuation { continuation in
            engine.submit { engine in
                // Every node ends by its own deadline; this one is only a net below them.
                engine.read(resource, within: engine.configuration.nodeTimeout.nanoseconds * 2) { status in
                    continuation.resume(returning: status)
                }
            }
        }
    }
}

extension RedlockError {
    fileprivate static func noQuorum(_ resource: String, _ verb: String, _ nodes: [NodeReport]) -> RedlockError {
        RedlockError(
            .quorumUnavailable,
            resource: resource,
            "too few nodes answered to \(verb) \"\(resource)\"",
            nodes: nodes
        )
    }
}

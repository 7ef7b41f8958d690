// SPDX-License-Identifier: Apache-2.0

internal import Hiredis
internal import LockCore
public import Logging
public import NIOCore
public import NIOPosix
public import RedisTransport

extension RedlockClient {
    /// Enrols a brand-new set of nodes, so that their votes count at once.
    ///
    /// Whoever calls it vouches for what no client can know: that none of the servers has ever granted a lock that may
    /// still be held, for example before it was restarted without its data. Nodes that nobody enrols this way are
    /// enrolled by the first client that wants a lock of them, and have no vote until every lock that they may have forgotten has
    /// ended: a little longer than ``RedlockConfiguration/maximumTTL``.
    ///
    /// Nodes that a client enrolled before are enrolled as well, if it is certain that they have granted nothing since:
    /// every record says that the node came without one, no node had a vote before the last of them was enrolled, and no
    /// node has a key that a grant would have left.
    ///
    /// - Throws: `RedlockError` with `quorumUnavailable` if a node cannot be reached, and `enrolmentRefused` if one has
    ///   another record, holds locks, or could not be trusted anyway; then no node was changed.
    public static func enrolNewSet(
        endpoints: [RedisEndpoint],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger? = nil
    ) async throws {
        try await enrol(endpoints, configuration, eventLoopGroup, logger) { enrolment in
            try await enrolment.enrolNewSet()
        }
    }

    /// Enrols a brand-new set of nodes at the given URLs; see the other form.
    public static func enrolNewSet(
        nodes: [String],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        logger: Logger? = nil
    ) async throws {
        let endpoints = try RedisEndpoint.list(nodes)
        try await enrolNewSet(endpoints: endpoints, configuration: configuration, logger: logger)
    }

    /// Enrols the nodes anew, as the set that a client of this list and configuration expects: for nodes that join or
    /// are replaced, another number of nodes, other names, or another maximum TTL.
    ///
    /// Clients with the old list have no quorum from then on, and those with the new one have none until every lock that
    /// was granted under the old list has ended: a little longer than the larger of the two maximum TTLs. That time is
    /// returned.
    ///
    /// - Throws: `RedlockError` with `quorumUnavailable` if a node cannot be reached, and `enrolmentRefused` if one cannot
    ///   be trusted, or if the new list leaves so many nodes of the old one out that clients which still have the old
    ///   list could go on without the new one: change at most a minority at a time.
    public static func updateSet(
        endpoints: [RedisEndpoint],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger? = nil
    ) async throws -> Duration {
        try await enrol(endpoints, configuration, eventLoopGroup, logger) { enrolment in
            try await enrolment.updateSet()
        }
    }

    private static func enrol<Value>(
        _ endpoints: [RedisEndpoint],
        _ configuration: RedlockConfiguration,
        _ eventLoopGroup: any EventLoopGroup,
        _ logger: Logger?,
        _ body: (SetEnrolment) async throws -> Value
    ) async throws -> Value {
        let core = try LockClientCore(
            profile: .standard(prefix: configuration.keyPrefix),
            endpoints: endpoints,
            configuration: configuration,
            eventLoopGroup: eventLoopGroup,
            logger: logger,
            purpose: .enrolment
        )
        return try await enrol(core, body)
    }

    /// Enrols a brand-new set of nodes through a core that was made and connected for that, and shuts it down.
    package static func enrolNewSet(_ core: LockClientCore) async throws {
        try await enrol(core) { enrolment in try await enrolment.enrolNewSet() }
    }

    private static func enrol<Value>(
        _ core: LockClientCore,
        _ body: (SetEnrolment) async throws -> Value
    ) async throws -> Value {
        let outcome: Result<Value, any Error>
        do {
            outcome = .success(try await body(SetEnrolment(engine: core.engine)))
        } catch {
            outcome = .failure(error)
        }
        await core.shutdown(graceTime: .zero)
        return try outcome.get()
    }

    /// Raises the fence of a resource by hand: every token that is granted from now on is higher than the number.
    ///
    /// For a store that has seen higher tokens than the nodes remember, for example after all of them were replaced.
    ///
    /// - Returns: the highest token that the nodes have granted or must not grant any more.
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered.
    public func raiseFence(of resource: String, toAtLeast token: FencingToken) async throws -> FencingToken {
        try ResourceName.validate(resource)
        return try await raiseFence(of: ResourceName(resource), toAtLeast: token)
    }

    func raiseFence(of name: ResourceName, toAtLeast token: FencingToken) async throws -> FencingToken {
        guard (1...FencingToken.highest).contains(token.rawValue) else {
            throw RedlockError(.invalidArgument, "a fencing token lies between 1 and \(FencingToken.highest)")
        }
        engine.submit { $0.admission.votesAreWanted() }
        try await engine.waitUntilConnected()
        let (voting, life) = await engine.onLoop { engine in
            engine.closeBlocks(of: name)
            return (engine.votingNodes, engine.counterLifeMilliseconds(token: token.rawValue))
        }
        let engine = self.engine
        let command = NodeCommand.raiseByHand(
            fence: engine.profile.keys(of: name).fence,
            atLeast: token.rawValue,
            lifeMilliseconds: life
        )
        var problems = await engine.onLoop { $0.problems(ofNodesOutside: voting) }
        var counters: [Int64] = []
        for node in voting {
            switch await engine.ask(node, [command]) {
            case .success(let replies):
                if let counter = replies[0].integer {
                    counters.append(counter)
                } else {
                    problems[node] = replies[0].problem
                }
            case .failure(let failure): problems[node] = failure.message
            }
        }
        guard counters.count >= engine.quorum.votesNeeded, let highest = counters.max() else {
            let report = engine.report(problems, otherwise: "raised")
            let message = "too few nodes raised the fence of \"\(name.text)\""
            throw RedlockError(.quorumUnavailable, resource: name.text, message, nodes: report)
        }
        // Once more, as an attempt may have been under way, which the nodes answered before.
        await engine.onLoop { $0.closeBlocks(of: name) }
        return FencingToken(rawValue: highest)
    }
}

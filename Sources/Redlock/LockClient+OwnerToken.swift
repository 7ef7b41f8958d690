// SPDX-License-Identifier: Apache-2.0

internal import LockCore

extension LockClient {
    /// Extends a lock that is held under the owner token, by whoever acquired it: its life becomes at least the TTL.
    ///
    /// - Returns: how long the holder may count on it from now.
    /// - Throws: `RedlockError` with `notHeld` if the token does not hold the lock on a quorum of nodes, and
    ///   `quorumUnavailable` if too few answered.
    public func extend(_ resource: String, ownerToken: OwnerToken, ttl: Duration) async throws -> Duration {
        try ResourceName.validate(resource)
        return try await extend(.exclusive(ResourceName(resource)), ownerToken: ownerToken, ttl: ttl)
    }

    func extend(_ claim: Claim, ownerToken: OwnerToken, ttl: Duration) async throws -> Duration {
        let resource = claim.resource
        let timing = try LeaseTerms.timing(ttl: ttl, configuration: engine.configuration)
        engine.submit { $0.admission.votesAreWanted() }
        try await engine.waitUntilConnected()
        return try await withCheckedThrowingContinuation { continuation in
            engine.submit { engine in
                engine.extend(claim, ownerToken: ownerToken, timing: timing) { decision, outcomes in
                    switch decision {
                    case .extended(let validUntil):
                        let remaining = engine.surroundings.now.nanoseconds(until: validUntil)
                        continuation.resume(returning: .nanoseconds(remaining))
                    case .lost:
                        let message = "\"\(resource)\" is not held under this owner token"
                        continuation.resume(
                            throwing: RedlockError(
                                .notHeld,
                                resource: resource,
                                message,
                                nodes: engine.report(outcomes)
                            )
                        )
                    case .inconclusive, .tooLate:
                        continuation.resume(
                            throwing: RedlockError.noQuorum(resource, "extend", engine.report(outcomes))
                        )
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
        return try await release(.exclusive(ResourceName(resource)), ownerToken: ownerToken)
    }

    func release(_ claim: Claim, ownerToken: OwnerToken) async throws -> Bool {
        let resource = claim.resource
        // Nobody knows what TTL the lock was acquired with; no key outlives the longest one.
        let timing = try LeaseTerms.timing(ttl: engine.configuration.maximumTTL, configuration: engine.configuration)
        try await engine.waitUntilConnected()
        return try await withCheckedThrowingContinuation { continuation in
            engine.submit { engine in
                engine.release(claim, ownerToken: ownerToken, timing: timing, from: engine.allNodes) {
                    decision,
                    outcomes,
                    _ in
                    engine.vacateIfHeld(claim, under: ownerToken)
                    switch decision {
                    case .released(let wasHeld):
                        continuation.resume(returning: wasHeld)
                    case .incomplete:
                        let nodes = engine.report(outcomes)
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
        return try await inspect(ResourceName(resource))
    }

    func inspect(_ name: ResourceName) async throws -> LockStatus {
        try await engine.waitUntilConnected()
        return await withCheckedContinuation { continuation in
            engine.submit { engine in
                // Every node ends by its own deadline; this one is only a net below them.
                engine.read(name, within: engine.nodeTimeoutNanoseconds * 2) { status in
                    continuation.resume(returning: status)
                }
            }
        }
    }
}

extension RedlockError {
    static func noQuorum(_ resource: String, _ verb: String, _ nodes: [NodeReport]) -> RedlockError {
        RedlockError(
            .quorumUnavailable,
            resource: resource,
            "too few nodes answered to \(verb) \"\(resource)\"",
            nodes: nodes
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How a lock is wanted: `exclusive` or `shared`.
public protocol LockMode: Sendable {
    /// Whether a lease of this mode has a fencing token.
    associatedtype Fencing: LeaseFencing
}

/// One holder alone.
public struct ExclusiveMode: LockMode {
    /// Every lease has a fencing token.
    public typealias Fencing = Fenced
}

/// Any number of holders together, and none that has the lock alone at the same time.
public struct SharedMode: LockMode {
    /// No lease has a fencing token: those who share a lock have no order.
    public typealias Fencing = Unfenced
}

extension LockMode where Self == ExclusiveMode {
    /// One holder alone, who may write.
    public static var exclusive: ExclusiveMode { ExclusiveMode() }
}

extension LockMode where Self == SharedMode {
    /// Many holders together, who only read.
    public static var shared: SharedMode { SharedMode() }
}

extension LockMode {
    static func claim(_ resource: String) throws(RedlockError) -> Claim {
        Self.self == SharedMode.self ? try .shared(resource) : try .one(resource)
    }
}

extension RedlockClient {
    /// Runs the body while holding the lock, alone or together with others.
    ///
    /// Those who share a lock keep out whoever wants it alone, and one who waits to have it alone keeps out those who come
    /// later to share it, so that those who come and go do not keep it waiting for ever. A lease is renewed and lost by itself, whatever becomes of those of
    /// the others. A task that shares a lock cannot take it alone as well: that is refused with `heldByTask`, as two who try
    /// would wait for each other.
    ///
    /// - Parameters:
    ///   - resource: the name of the lock, 1 to 512 bytes without control characters.
    ///   - mode: `.exclusive` or `.shared`; a shared lease has no fencing token.
    ///   - options: TTL, waiting and more.
    ///   - isolation: the actor that the caller runs on; the body runs where it was written.
    ///   - body: the work; it is given the lease.
    /// - Returns: what the body returned.
    /// - Throws: as `withLock` without a mode.
    public func withLock<Mode: LockMode, Result>(
        _ resource: String,
        mode: Mode,
        options: LockOptions = LockOptions(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Lease<Mode.Fencing>) async throws -> Result
    ) async throws -> Result {
        try await withLock(Mode.claim(resource), options: options, body)
    }

    /// Acquires the lock, alone or together with others, waiting for it as the options say.
    ///
    /// - Parameters:
    ///   - resource: the name of the lock.
    ///   - mode: `.exclusive` or `.shared`; see ``withLock(_:mode:options:isolation:_:)``.
    ///   - options: TTL, waiting and more.
    ///   - renewal: whether the client keeps the lease alive until it is released.
    /// - Returns: the lease; release it when the work is done.
    /// - Throws: as `acquire` without a mode.
    public func acquire<Mode: LockMode>(
        _ resource: String,
        mode: Mode,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Mode.Fencing> {
        try await core.acquire(core.operation(Mode.claim(resource), options, renewal))
    }

    /// Acquires the lock if it can be had now, alone or together with others.
    ///
    /// - Returns: the lease, or nil if somebody holds the lock, or has waited to have it alone while others share it.
    /// - Throws: as `acquire`, but for `timedOut`.
    public func tryAcquire<Mode: LockMode>(
        _ resource: String,
        mode: Mode,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Mode.Fencing>? {
        try await core.tryAcquire(core.operation(Mode.claim(resource), options, renewal, waits: false))
    }

    /// Extends a lock that is held under the owner token in the given mode; see `extend(_:ownerToken:ttl:)`.
    public func extend<Mode: LockMode>(
        _ resource: String,
        mode: Mode,
        ownerToken: OwnerToken,
        ttl: Duration
    ) async throws -> Duration {
        try await extend(Mode.claim(resource), ownerToken: ownerToken, ttl: ttl)
    }

    /// Releases a lock that is held under the owner token in the given mode; see `release(_:ownerToken:)`.
    public func release<Mode: LockMode>(_ resource: String, mode: Mode, ownerToken: OwnerToken) async throws -> Bool {
        try await release(Mode.claim(resource), ownerToken: ownerToken)
    }
}

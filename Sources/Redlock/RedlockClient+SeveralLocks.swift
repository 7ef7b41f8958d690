// SPDX-License-Identifier: Apache-2.0

extension RedlockClient {
    /// Runs the body while holding several locks, which are had together or not at all.
    ///
    /// Nothing is held while waiting for the rest, so that two who want the same locks in opposite orders do not wait for each
    /// other; so whoever wants many locks that are rarely free at the same time may wait for long. The order of the names does not matter, and one that is there twice counts once. The lease is one: it is
    /// renewed, lost and released for all of them, with one validity; its fencing token is that of each.
    ///
    /// - Parameters:
    ///   - resources: the names of the locks, 64 at most.
    ///   - options: TTL, waiting and more; `fair` is for one name only.
    ///   - isolation: the actor that the caller runs on; the body runs where it was written.
    ///   - body: the work; it is given the lease.
    /// - Returns: what the body returned.
    /// - Throws: as `withLock` with one name; `invalidArgument` without a name.
    public func withLock<Result>(
        _ resources: [String],
        options: LockOptions = LockOptions(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Lease<Fenced>) async throws -> Result
    ) async throws -> Result {
        try await withLock(Claim.exclusive(resources), options: options, body)
    }

    /// Acquires several locks, together or not at all, waiting for them as the options say.
    ///
    /// - Parameters:
    ///   - resources: the names of the locks, 64 at most; see ``withLock(_:options:isolation:_:)``.
    ///   - options: TTL, waiting and more; `fair` is for one name only.
    ///   - renewal: whether the client keeps the lease alive until it is released.
    /// - Returns: the lease of all of them; release it when the work is done.
    /// - Throws: as `acquire` with one name; `invalidArgument` without a name.
    public func acquire(
        _ resources: [String],
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Fenced> {
        try await core.acquire(core.operation(.exclusive(resources), options, renewal))
    }

    /// Acquires several locks if all of them are free.
    ///
    /// - Returns: the lease of all of them, or nil if somebody holds one.
    /// - Throws: as `acquire`, but for `timedOut`.
    public func tryAcquire(
        _ resources: [String],
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Fenced>? {
        try await core.tryAcquire(core.operation(.exclusive(resources), options, renewal, waits: false))
    }
}

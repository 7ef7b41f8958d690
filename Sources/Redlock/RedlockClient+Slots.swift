// SPDX-License-Identifier: Apache-2.0

extension RedlockClient {
    /// Runs the body while holding one of several slots, so that no more than so many bodies run at a time.
    ///
    /// Each slot is a lock of its own on a quorum of nodes, with its own fencing tokens: counting holders by majority would let
    /// too many in. ``Lease/slot`` tells which it is, from 0; a store compares the tokens of each slot by itself. Slots have nothing to do with a lock of the same name.
    ///
    /// Clients agree on the limit by whoever came first: another one is refused as long as a slot is held.
    ///
    /// - Parameters:
    ///   - resource: the name of what there are several of.
    ///   - limit: how many there are, 1 to 256.
    ///   - options: TTL, waiting and more.
    ///   - isolation: the actor that the caller runs on; the body runs where it was written.
    ///   - body: the work; it is given the lease of the slot.
    /// - Returns: what the body returned.
    /// - Throws: as `withLock`; `slotCountRefused` if those who hold slots have agreed on another limit.
    public func withSlot<Result>(
        of resource: String,
        limit: Int,
        options: LockOptions = LockOptions(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Lease<Fenced>) async throws -> Result
    ) async throws -> Result {
        try await withLock(Claim.slot(of: resource, count: limit), options: options, body)
    }

    /// Acquires one of several slots, waiting for it as the options say.
    ///
    /// - Parameters:
    ///   - resource: the name of what there are several of.
    ///   - limit: how many there are, 1 to 256; see ``withSlot(of:limit:options:isolation:_:)``.
    ///   - options: TTL, waiting and more.
    ///   - renewal: whether the client keeps the lease alive until it is released.
    /// - Returns: the lease of the slot; release it when the work is done.
    /// - Throws: as `acquire`; `slotCountRefused` if those who hold slots have agreed on another limit.
    public func acquireSlot(
        of resource: String,
        limit: Int,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Fenced> {
        try await core.acquire(core.operation(.slot(of: resource, count: limit), options, renewal))
    }

    /// What the nodes say about one slot now, as `inspect(_:)` does about a lock.
    ///
    /// - Parameters:
    ///   - resource: the name of what there are several of.
    ///   - slot: the number of the slot, 0 to 255.
    /// - Throws: `RedlockError` with `invalidArgument` for a name or a number that cannot be used.
    public func inspect(_ resource: String, slot: Int) async throws -> LockStatus {
        try ResourceName.validate(resource)
        guard (0..<Claim.maximumSlotCount).contains(slot) else {
            throw RedlockError(.invalidArgument, "slots have numbers from 0 to \(Claim.maximumSlotCount - 1)")
        }
        return try await inspect(ResourceName(resource, kind: .slot(slot)))
    }

    /// Acquires one of several slots if one is free.
    ///
    /// - Returns: the lease of the slot, or nil if all are held.
    /// - Throws: as `acquireSlot`, but for `timedOut`.
    public func tryAcquireSlot(
        of resource: String,
        limit: Int,
        options: LockOptions = LockOptions(),
        renewal: Renewal = .none
    ) async throws -> Lease<Fenced>? {
        try await core.tryAcquire(core.operation(.slot(of: resource, count: limit), options, renewal, waits: false))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Redlock

/// What a command locks, and how.
struct LockWish: Sendable {
    /// Two or more are locked together.
    let names: [String]
    var isShared = false
    var isFair = false
    /// One of how many slots; nil for a lock.
    var slotCount: Int?

    /// Whether the nodes can keep a record of who had it.
    var isRecordable: Bool { names.count == 1 && !isShared && slotCount == nil }

    /// The names, for people to read.
    var text: String { names.joined(separator: ", ") }

    /// Which of the kinds that only the standard profile has is asked for; nil for a single lock to be had alone.
    private var special: String? {
        if isShared { return "--shared" }
        if slotCount != nil { return "--slots" }
        if isFair { return "--fair" }
        return names.count > 1 ? "several names" : nil
    }

    /// - Throws: `UsageError` for what does not go together.
    func validate() throws(UsageError) {
        if isShared, names.count > 1 {
            throw UsageError("only one lock can be shared at a time; --shared goes with one name")
        }
        if slotCount != nil, names.count > 1 || isShared {
            throw UsageError("--slots goes with one name, and not with --shared")
        }
        if isFair, names.count > 1 || isShared {
            throw UsageError("--fair goes with one name, and not with --shared")
        }
    }

    /// Runs the body under what is wished for.
    func hold(
        _ client: some LockClient,
        _ options: LockOptions,
        _ body: @Sendable (any HeldLock) async -> Void
    ) async throws {
        if let client = client as? RedlockClient, special != nil {
            if isShared {
                try await client.withLock(names[0], mode: .shared, options: options) { await body($0) }
            } else if let slotCount {
                try await client.withSlot(of: names[0], limit: slotCount, options: options) { await body($0) }
            } else {
                try await client.withLock(names, options: options) { await body($0) }
            }
        } else {
            try await client.withLock(names[0], options: options) { await body($0) }
        }
    }

    /// - Throws: `UsageError` if the compatible profile was asked for, and something that it does not have.
    func requireProfile(_ settings: Settings) throws {
        guard let special, settings.values.isCompatible == true else { return }
        throw UsageError(
            "\(special) and --compatible exclude each other: the published algorithm knows one lock for one holder alone"
        )
    }
}

/// A lease, with or without a fencing token.
protocol HeldLock: Sendable {
    var ownerLabel: String { get }
    var slot: Int? { get }
    var token: FencingToken? { get }
    var validUntil: ContinuousClock.Instant { get }
    var isValid: Bool { get }
    var releaseOutcome: ReleaseOutcome? { get }
    func waiveMinimumHold()
}

extension Lease: HeldLock {}

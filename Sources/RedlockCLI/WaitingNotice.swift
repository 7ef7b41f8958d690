// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// What stands between us and a lock, as far as it can be seen.
struct Obstacle: Sendable {
    var holder: LockStatus.Holder?
    /// Those who have the other slots, where one of several is wanted.
    var otherHolders: [LockStatus.Holder] = []
    /// The nodes without a vote, where too few votes count for anybody to be granted the lock.
    var missingVotes: MissingVotes?
    /// What is to be told of a name in place of whose lock lies something else.
    var notALock: String?
    /// Of the names that are asked for, those that are held until this process has ended.
    var outerNames: [String] = []
}

/// Says what we wait for, once it is clear that we wait at all.
struct WaitingNotice: Sendable {
    /// A person sees it soon; in a log it should stand only where there is something to see.
    static let soon: Duration = .milliseconds(200)
    static let late: Duration = .seconds(5)

    let delay: Duration

    /// Nil where nothing would be told.
    init?(_ output: OutputOptions, isTerminal: Bool = isatty(STDERR_FILENO) == 1) {
        guard !output.quiet else { return nil }
        delay = isTerminal || output.verbose || output.json ? Self.soon : Self.late
    }

    func tell(_ wish: LockWish, _ client: any LockClient, _ report: @Sendable (Obstacle) -> Void) async {
        do {
            try await Task.sleep(for: delay)
            var obstacle = Obstacle(outerNames: OuterLocks().names(among: wish.names))
            if let count = wish.slotCount, let client = client as? RedlockClient {
                let holders = try await Self.holders(ofSlots: count, of: wish.names[0], client)
                obstacle.holder = holders.first
                obstacle.otherHolders = Array(holders.dropFirst())
            }
            for name in wish.names where wish.slotCount == nil && obstacle.holder == nil {
                let status = try await client.inspect(name)
                obstacle.holder = status.holder ?? status.sharers.first
                if status.isNotALock { obstacle.notALock = "\"\(name)\" is \(StatusText.notALockText(status))" }
            }
            if obstacle.holder == nil, let client = client as? RedlockClient {
                let missing = MissingVotes(try await client.diagnose())
                if !missing.isQuorumLeft { obstacle.missingVotes = missing }
            }
            try Task.checkCancellation()
            report(obstacle)
        } catch {
            // Only told for information: the acquire itself reports what is wrong.
        }
    }

    private static func holders(
        ofSlots count: Int,
        of name: String,
        _ client: RedlockClient
    ) async throws -> [LockStatus.Holder] {
        var holders: [LockStatus.Holder] = []
        for slot in 0..<min(count, LockStatus.mostSlotsLookedAt) {
            if let holder = try await client.inspect(name, slot: slot).holder { holders.append(holder) }
        }
        return holders
    }
}

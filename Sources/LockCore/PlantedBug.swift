// SPDX-License-Identifier: Apache-2.0

/// A mistake that can be planted into the client, to see whether the simulation finds it.
@usableFromInline
package enum PlantedBug: String, CaseIterable, Sendable {
    // MARK: Votes and times

    /// A round is won with one vote less than the quorum.
    case quorumOneTooSmall
    /// Nothing is taken off the TTL for clocks that run apart.
    case driftForgotten
    /// The validity of a grant counts from the decision instead of from before the first byte.
    case validityFromDecision
    /// The validity of an extension counts from the answer instead of from before the first byte.
    case extensionFromAnswer
    /// A grant is returned however little of it is left.
    case lateGrantReturned
    /// A node that says that it does not have the key counts as one that has it.
    case missingKeyCountsAsExtended

    // MARK: Fencing

    /// A grant does not wait until its token is confirmed by a quorum.
    case tokenUnconfirmed
    /// The token is the first that was answered instead of the highest.
    case tokenOfFirstAnswer
    /// A counter that was lost goes on from the client's wall clock, if that is not wildly off.
    case seededByWallClock

    // MARK: Waiting

    /// A lock is handed over under the token that its last holder had.
    case tokenReusedAtHandOver
    /// A lock is handed over although no token is left of its block.
    case handedOverBeyondBlock
    /// A lock is handed over however little is left of it.
    case handedOverTooLate
    /// A lock is handed over and released as well.
    case releasedAtHandOver
    /// Whoever waits in the queues counts on being woken, and never looks.
    case neverLooksForItself
    /// Nobody asks for those who waited behind one that went away.
    case lineForgotten

    // MARK: Kinds of locks

    /// The vote of a node for one who shares a lock counts for two.
    case sharerCountedTwice
    /// Grants of different slots count together.
    case slotsCountedTogether
    /// Of several locks, only the first is extended.
    case onlyFirstOfSeveralExtended
    /// Of several locks, only the first is released.
    case onlyFirstOfSeveralReleased

    // MARK: Admission

    /// An enrolled node votes at once.
    case quarantineSkipped
    /// A server that was restarted counts as the one before.
    case restartOverlooked
    /// Every server counts as durable.
    case durabilityAssumed
    /// A server may give up keys.
    case evictionOverlooked
    /// A server may copy another one, and become a master.
    case failoverOverlooked
    /// One server may be listed twice.
    case twinOverlooked
    /// The record may name other members.
    case membershipIgnored
    /// The record may be one for shorter TTLs.
    case maximumTTLIgnored
    /// The clocks of servers are not compared with anything.
    case clocksNotCompared
    /// Votes count before the clock of their node was read.
    case votesNotVerified
    /// A node whose clock jumped goes on as if nothing had been.
    case jumpForgiven

    // MARK: Leases

    /// All attempts of one call have one owner token.
    case ownerTokenReused
    /// What a call has set is not released when it is given up.
    case givenUpCallNotReleased
    /// No release follows on the connection on which an answer is late.
    case lateVoteNotTakenBack
    /// An error says that nothing was set.
    case errorCountsAsRefused
    /// A lease that was released is renewed.
    case renewedAfterRelease
    /// Nobody is told when a lease is lost.
    case lossNotTold
    /// Leases are looked at only when something is due by the clock of timers.
    case sleepOverlooked
    /// Leases are not renewed.
    case neverRenewed
    /// A release that was not confirmed is not tried again.
    case releaseNotRetried
    /// A script that a node does not have is sent again behind the release.
    case sentAgainBehindRelease
    /// A repaired key is not released with the lease.
    case repairNotReleased
    /// A lock is released that the nodes are to keep for the rest of its minimum hold.
    case minimumHoldForgotten

    // MARK: Connections

    /// A connection is kept after an answer that did not come in time, and what comes later goes to whoever waits then.
    case connectionKeptAfterTimeout
}

#if REDLOCK_PLANTED_BUGS
    /// The mistake that is planted; set before anything runs, and not changed while something does.
    @usableFromInline
    nonisolated(unsafe) package var plantedBug: PlantedBug?
#endif

/// Whether a mistake is planted: never, and at no cost, unless the package is built to be tested.
@inlinable
@inline(__always)
package func isPlanted(_ bug: PlantedBug) -> Bool {
    #if REDLOCK_PLANTED_BUGS
        return plantedBug == bug
    #else
        return false
    #endif
}

// SPDX-License-Identifier: Apache-2.0

/// What came of the release of a lease.
public enum ReleaseOutcome: Hashable, Sendable {
    /// The lock is free, as far as this lease is concerned: a quorum of nodes said that they do not have it any more, or
    /// another task of the client has it now.
    case released
    /// The minimum hold is not over: a quorum of nodes keeps the lock for so much longer, under the same owner token.
    case kept(for: Duration)
    /// No quorum of nodes did, or confirmed, what was asked for.
    indirect case unconfirmed(UnconfirmedRelease)
}

/// A release that no quorum of nodes confirmed.
///
/// The client tries again until the keys must have expired, unless it is shut down.
public struct UnconfirmedRelease: Hashable, Sendable {
    /// The name of what was locked; of several, all of them.
    public let resource: String
    /// What each node did or said, or why it did not.
    public let nodes: [RedlockError.NodeReport]
    /// For how long the lock may still be held at most, counted from the release, if no later attempt reaches the nodes.
    public let longestRemaining: Duration
    /// For how long the lock was to stay, where its minimum hold was not over; nil where it was to be released at once.
    ///
    /// It may end before that.
    public let restOfMinimumHold: Duration?

    /// What happened, without the nodes' reasons.
    public var message: String {
        let most = "it may be held for another \(longestRemaining.nanoseconds / 1_000_000) ms at most"
        guard let rest = restOfMinimumHold else {
            return "no quorum confirmed the release of \"\(resource)\": \(most)"
        }
        return
            "no quorum confirmed that it keeps \"\(resource)\" for the last \(rest.nanoseconds / 1_000_000) ms of the "
            + "minimum hold: it may end before, and \(most)"
    }
}

extension UnconfirmedRelease: CustomStringConvertible {
    /// One line: what happened, and what each node said.
    public var description: String { message + " (" + nodes.map(\.description).joined(separator: "; ") + ")" }
}

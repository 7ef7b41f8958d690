// SPDX-License-Identifier: Apache-2.0

/// What the promises of this package rest on, for one node or for the client.
public enum Assumption: String, Hashable, Sendable, CaseIterable {
    // Of nodes.
    /// Every node of the list is a server of its own.
    case distinctServers
    /// A restart loses nothing, or is noticed.
    case durability
    /// A write is on disk before it is answered.
    case fsyncBeforeReply
    /// Nobody deletes keys.
    case noDeletion
    /// The server does not delete keys to make room.
    case noEviction
    /// The server is a master of its own, without failover.
    case independentMaster
    /// The server's clock does not run fast or jump forward.
    case clockNotFast
    /// The server's clock does not stand still or jump back.
    case clockNotSlow
    /// All clients agree on the nodes and on the longest TTL.
    case sameConfiguration
    /// The server has memory and disk for writes.
    case takesWrites
    // Of the client.
    /// The client's clock measures real time.
    case ownClock
    /// The holder stops when its lease ends.
    case holderStops
    /// A reply belongs to its request.
    case repliesMatch
    /// A command that was given up is undone if it is carried out later.
    case givenUpCommands
    /// An error is not taken for a promise that nothing was set.
    case errorsAreDoubtful
    /// Nobody else can guess an owner token.
    case unguessableTokens

    /// The assumption in a few words.
    public var title: String {
        switch self {
        case .distinctServers: "distinct servers"
        case .durability: "keys survive a restart"
        case .fsyncBeforeReply: "fsync before the reply"
        case .noDeletion: "nobody deletes keys"
        case .noEviction: "no eviction"
        case .independentMaster: "a master of its own"
        case .clockNotFast: "clock not fast"
        case .clockNotSlow: "clock not slow"
        case .sameConfiguration: "same nodes and longest TTL"
        case .takesWrites: "takes writes"
        case .ownClock: "the clock of this machine"
        case .holderStops: "the holder stops in time"
        case .repliesMatch: "replies match requests"
        case .givenUpCommands: "given-up commands are undone"
        case .errorsAreDoubtful: "errors count as doubt"
        case .unguessableTokens: "unguessable owner tokens"
        }
    }
}

/// Whether the votes of the nodes count, and what that rests on.
public struct Diagnosis: Hashable, Sendable {
    /// What is known of an assumption.
    public enum Verdict: String, Hashable, Sendable {
        /// It holds, as far as can be seen.
        case pass
        /// It does not hold.
        case fail
        /// It cannot be seen.
        case unknown
    }

    /// One assumption and what is known of it.
    public struct Finding: Hashable, Sendable {
        /// The assumption.
        public let assumption: Assumption
        /// What is known of it.
        public let verdict: Verdict
        /// How it is known, or why not.
        public let reason: String
        /// What to do about it; nil where there is nothing to do.
        public let remedy: String?
    }

    /// One node.
    public struct Node: Hashable, Sendable {
        /// The node's name.
        public let name: String
        /// What the server calls itself, with its version, as in "Redis 7.0.15"; nil if it is not known.
        public let server: String?
        /// Whether its vote counts now.
        public let hasVote: Bool
        /// Why its vote does not count.
        public let reason: String?
        /// How much longer the node is in quarantine, if that is why its vote does not count: it counts again by itself.
        public let quarantineRemaining: Duration?
        /// Its assumptions; empty if it cannot be reached.
        public let findings: [Finding]
    }

    /// Every configured node, in the order of the configuration.
    public let nodes: [Node]

    /// What depends on the client.
    public let client: [Finding]

    /// Q: the votes that are needed.
    public let quorum: Int

    /// N - Q: how many nodes may fail before nothing is granted.
    public let nodesThatMayFail: Int

    /// 2Q - N - 1: how many nodes may forget what they granted, unseen by anybody, before two may hold one lock.
    public let nodesThatMayForget: Int

    /// Whether the vote of every node counts now.
    public var allVotesCount: Bool { nodes.allSatisfy(\.hasVote) }

    /// Whether enough votes count for a lock to be granted.
    public var hasQuorum: Bool { nodes.count(where: \.hasVote) >= quorum }
}

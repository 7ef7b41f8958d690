// SPDX-License-Identifier: Apache-2.0

import LockCore

/// Whether a node's vote counts now, and if not, why.
enum NodeStanding: Hashable, Sendable {
    /// There is no connection, or the node was not asked yet.
    case unknown
    /// Its vote counts.
    case admitted
    /// It was enrolled not long ago: what it may have forgotten may still be held.
    case quarantined(EnrolmentReason)
    /// It must be enrolled, and this client only looks so far.
    case notEnrolled(EnrolmentReason)
    /// It is being enrolled, or will be as soon as the other nodes were heard.
    case enrolling(EnrolmentReason)
    /// It could not be enrolled.
    case enrolmentFailed(String)
    /// It has no vote until somebody changes something.
    case refused(Refusal)
    /// The record of another node does not agree with the client's list of nodes, so no vote counts.
    case membersDisagree(node: Int)

    /// Whether an extension counts: in quarantine, the node may have forgotten keys, and those that it has are good.
    var countsExtensions: Bool {
        switch self {
        case .admitted, .quarantined: true
        case .unknown, .notEnrolled, .enrolling, .enrolmentFailed, .refused, .membersDisagree: false
        }
    }

    /// Whether the node will have a vote without anybody doing anything.
    var isTemporary: Bool {
        switch self {
        case .quarantined, .enrolling: true
        case .unknown, .admitted, .notEnrolled, .enrolmentFailed, .refused, .membersDisagree: false
        }
    }

    /// Whether the node has no vote until somebody does something.
    var isFinal: Bool {
        switch self {
        case .refused, .membersDisagree: true
        case .unknown, .admitted, .quarantined, .notEnrolled, .enrolling, .enrolmentFailed: false
        }
    }
}

extension EnrolmentReason {
    /// What happened to the node, as it is told.
    var text: String {
        switch self {
        case .noRecord: "it came without a record: it is new, was emptied, or lost its data"
        case .restarted: "it was restarted, and not every write was certain to be on disk"
        case .promoted: "it was a replica and became a master, and may lack the last writes"
        case .evicted: "it evicted keys"
        case .clockJumped: "its clock jumped"
        case .requested: "an operator enrolled it anew"
        }
    }
}

extension Refusal {
    /// Whether the server is of a kind that no lock can be on, so that nothing else about it matters.
    var isKindOfServer: Bool { self == .clusterNode || self == .sentinel }

    /// Why the node has no vote, and what to do, as it is told.
    func text(nodeNames: [String]) -> (reason: String, remedy: String) {
        switch self {
        case .replica:
            return ("it is a replica", "give every node a master of its own, without replicas or failover")
        case .clusterNode:
            return (
                "it is a node of a Redis cluster",
                "give independent Redis servers as nodes, each with cluster-enabled no"
            )
        case .sentinel:
            return (
                "it is a Sentinel, which keeps no keys",
                "give the Redis servers themselves as nodes: independent masters, without failover"
            )
        case .evicting(let policy):
            return ("it evicts keys (maxmemory-policy \(policy))", "set maxmemory-policy noeviction")
        case .otherMembership(let node, let members):
            return (
                "its record says that it is \(node), one of \(members.joined(separator: ", "))",
                "give every client the same nodes under the same names; `redlock init --update` makes this list the one"
            )
        case .maximumTTL(let enrolled):
            return (
                "it was enrolled for a maximum TTL of \(enrolled) ms, which is shorter than this client's",
                "lower the client's, or run `redlock init --update` with the longer one"
            )
        case .unreadableRecord:
            return (
                "what lies in place of its record is none", "delete the key, or choose a prefix that nobody else uses"
            )
        case .restartsUnknown:
            return (
                "it answers neither INFO nor SCRIPT LOAD, so a restart could not be told",
                "allow INFO to the client's user (ACL: +info), and do not rename it"
            )
        case .listedTwice(let other):
            return ("it is the same server as \(nodeNames[other])", "list every server once")
        case .clockApart(let milliseconds):
            let direction = milliseconds < 0 ? "behind" : "ahead of"
            return (
                "its clock is \(milliseconds.magnitude) ms \(direction) the other nodes'", "synchronise its clock"
            )
        case .clockUnknown:
            return (
                "it does not answer TIME, so its clock cannot be watched",
                "allow TIME to the client's user (ACL: +time), and do not rename it"
            )
        }
    }

    /// For metrics and events.
    var code: String {
        switch self {
        case .replica: "replica"
        case .clusterNode: "cluster_node"
        case .sentinel: "sentinel"
        case .evicting: "evicting"
        case .otherMembership: "other_membership"
        case .maximumTTL: "maximum_ttl"
        case .unreadableRecord: "unreadable_record"
        case .restartsUnknown: "restarts_unknown"
        case .listedTwice: "listed_twice"
        case .clockApart: "clock_apart"
        case .clockUnknown: "clock_unknown"
        }
    }
}

extension NodeStanding {
    /// For metrics and events.
    var code: String {
        switch self {
        case .unknown: "unknown"
        case .admitted: "admitted"
        case .quarantined: "quarantined"
        case .notEnrolled: "not_enrolled"
        case .enrolling: "enrolling"
        case .enrolmentFailed: "enrolment_failed"
        case .refused(let refusal): refusal.code
        case .membersDisagree: "members_disagree"
        }
    }
}

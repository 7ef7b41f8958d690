// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// The state of a lock, for people and as JSON.
struct StatusText {
    /// What the nodes together say.
    enum Verdict: Equatable {
        case held
        /// Nobody has a quorum, and nobody could get one: keys of several owners, or keys that are no locks.
        case taken
        case free
        case unknown
    }

    private let status: LockStatus
    /// Nil in the compatible profile, where the vote of every node counts.
    private let votes: Diagnosis?
    /// When it was looked at.
    private let time: Date
    let verdict: Verdict

    /// - Parameter quorum: how many nodes must agree.
    init(_ status: LockStatus, votes: Diagnosis?, quorum: Int, time: Date = Date()) {
        self.status = status
        self.votes = votes
        self.time = time
        // A node without a vote may say so because it forgot.
        let free = status.nodes.indices.count { index in
            status.nodes[index].state == .free && votes?.nodes[index].hasVote != false
        }
        verdict =
            if status.isHeld {
                .held
            } else if free >= quorum {
                .free
            } else if free + Self.takenCount(status) >= quorum {
                .taken
            } else {
                .unknown
            }
    }

    /// One line on the whole, then one per node.
    var lines: [String] {
        let width = status.nodes.map(\.name.count).max() ?? 0
        let nodes = status.nodes.indices.map { index in
            let node = status.nodes[index]
            let padding = String(repeating: " ", count: width - node.name.count)
            return "  " + node.name + padding + "  " + text(of: node.state) + voteText(of: index)
        }
        let token = status.lastFencingToken.map { "; fencing tokens reserved up to \($0)" } ?? ""
        let waiting = Self.waitingText(status).map { "; \($0)" } ?? ""
        return (["\(status.title): \(summary)\(token)\(waiting)"] + nodes).map(Reporter.inOneLine)
    }

    /// How many wait; nil if nobody does, or nobody knows.
    static func waitingText(_ status: LockStatus) -> String? {
        guard let count = status.waitingClients, count > 0 else { return nil }
        return count == 1 ? "1 client waits" : "\(count) clients wait"
    }

    /// Why the vote of a node that answered does not count.
    private func voteText(of index: Int) -> String {
        guard let node = votes?.nodes[index], !node.hasVote else { return "" }
        if case .unavailable = status.nodes[index].state { return "" }
        return node.reason.map { "; \($0)" } ?? ""
    }

    /// Why nobody can say whether the lock is free.
    var lackOfQuorum: String {
        guard status.isQuorumReachable, let votes else { return "no quorum of nodes answered" }
        return "too few votes count to tell: \(MissingVotes(votes).text)"
    }

    private var summary: String {
        switch verdict {
        case .held: status.holder.map { "held by " + HolderText($0, at: time).whole } ?? sharersText
        case .free: "free"
        case .unknown: "unknown, " + (status.isQuorumReachable ? "too few votes count" : "no quorum of nodes answered")
        case .taken:
            "not held by a quorum, but \(Self.takenCount(status)) of \(status.nodes.count) nodes have keys"
                + (Self.ownerCount(status) > 1 ? " of several owners" : "")
        }
    }

    private static func takenCount(_ status: LockStatus) -> Int {
        status.nodes.count { node in
            switch node.state {
            case .held, .shared: true
            case .free, .unavailable: holdsSomethingElse(node.state)
            }
        }
    }

    private static func ownerCount(_ status: LockStatus) -> Int {
        let owners = status.nodes.compactMap { node in
            if case .held(_, let ownerNumber) = node.state { ownerNumber } else { nil }
        }
        return Set(owners).count
    }

    /// The server says so when it is asked for the text of a key that has none.
    private static func holdsSomethingElse(_ state: LockStatus.NodeState) -> Bool {
        if case .unavailable(let reason) = state { reason.firstRange(of: "WRONGTYPE") != nil } else { false }
    }

    private func text(of state: LockStatus.NodeState) -> String {
        switch state {
        case .free: "free"
        case .held(let holder, let ownerNumber): "held by \(text(of: holder)) [holder \(ownerNumber)]"
        case .shared(let count): "shared by \(count)"
        case .unavailable where Self.holdsSomethingElse(state): "holds something that is not a lock"
        case .unavailable(let reason): "unavailable: \(reason)"
        }
    }

    /// Who has the key of one node: all that is known only where the first line does not tell it.
    private func text(of holder: LockStatus.Holder) -> String {
        let text = HolderText(holder, at: time)
        return status.holder == nil ? text.whole : "\(holder.name), \(text.left)"
    }

    private var sharersText: String {
        "shared by " + status.sharers.map { HolderText($0, at: time).whole }.joined(separator: "; ")
    }

    /// The fields that the help of `redlock status` names.
    var json: JSONLine {
        let held: JSONLine =
            switch verdict {
            case .held: .boolean(true)
            case .free, .taken: .boolean(false)
            case .unknown: .null
            }
        return .object(
            [
                ("name", .string(status.resource)),
                ("slot", .optional(status.slot)),
                ("held", held),
                ("free", verdict == .unknown ? .null : .boolean(verdict == .free)),
                ("quorumReachable", .boolean(verdict != .unknown)),
            ] + HolderText.fields(of: status.holder) + [
                ("sharers", .array(status.sharers.map { .object(HolderText.fields(of: $0)) })),
                ("lastFencingToken", .token(status.lastFencingToken)),
                ("waitingClients", .optional(status.waitingClients)),
                ("nodes", .array(status.nodes.indices.map(jsonOfNode))),
            ]
        )
    }

    private func jsonOfNode(_ index: Int) -> JSONLine {
        let node = status.nodes[index]
        let vote = votes?.nodes[index]
        var (state, holder, number, reason): (String, LockStatus.Holder?, JSONLine, JSONLine) =
            ("free", nil, .null, .null)
        switch node.state {
        case .free: break
        case .held(let theHolder, let ownerNumber):
            (state, holder, number) = ("held", theHolder, .integer(Int64(ownerNumber)))
        case .shared: state = "shared"
        case .unavailable(let text):
            (state, reason) = (Self.holdsSomethingElse(node.state) ? "notALock" : "unavailable", .string(text))
        }
        return .object(
            [("node", .string(node.name)), ("state", .string(state))] + HolderText.fields(of: holder)
                + [
                    ("holder", number), ("reason", reason),
                    ("voteCounts", vote.map { .boolean($0.hasVote) } ?? .null),
                    ("voteReason", .optional(vote?.reason)),
                ]
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

extension LockStatus.Holder: CustomStringConvertible {
    /// Who it is, where it runs, since when it has the lock (UTC), how long the key lives, and the note; the secret part of
    /// the owner token is not kept.
    public var description: String {
        [
            label ?? "a client of another kind",
            place,
            since.map { "since \($0.timeText)" },
            remaining.map { "\($0.briefText) left unless renewed" },
            note.map { "\"\($0)\"" },
        ]
        .compactMap { $0 }.joined(separator: ", ")
    }

    /// The host and the process; nil if it tells neither.
    private var place: String? {
        let parts = [host.map { "on \($0)" }, process.map { "process \($0)" }].compactMap { $0 }
        return parts.isEmpty ? nil : parts.joined(separator: " ")
    }
}

extension LockStatus.NodeState: CustomStringConvertible {
    /// What the node says, in a few words.
    public var description: String {
        switch self {
        case .free: "free"
        case .held(let holder, _): "held by \(holder)"
        case .shared(let count): "shared by \(count)"
        case .notALock: "something that is not a lock"
        case .unavailable(let reason): "unavailable: \(reason)"
        }
    }
}

extension LockStatus.Node: CustomStringConvertible {
    /// The node and what it says.
    public var description: String { "\(name): \(state)" }
}

extension LockStatus: CustomStringConvertible {
    /// The name, who holds the lock, the tokens and the clients that wait; where no quorum agrees, what each node says.
    public var description: String {
        let token = lastFencingToken.map { "fencing tokens reserved up to \($0)" }
        let waiting = waitingClients.flatMap { $0 > 0 ? ($0 == 1 ? "1 client waits" : "\($0) clients wait") : nil }
        return (["\"\(title)\": \(summary)"] + [token, waiting].compactMap { $0 }).joined(separator: "; ")
    }

    private var summary: String {
        if let holder { return "held by \(holder)" }
        if !sharers.isEmpty { return "shared by " + sharers.map(\.description).joined(separator: ", and by ") }
        if nodes.allSatisfy({ $0.state == .free }) { return "free" }
        let summary =
            isNotALock
            ? "not a lock"
            : isQuorumReachable ? "not held by a quorum" : "unknown, too few nodes answered"
        return "\(summary) (\(nodes.map(\.description).joined(separator: "; ")))"
    }
}

extension RecordedGrant: CustomStringConvertible {
    /// The token, who had the lock from when to when (UTC), and why the lease ended.
    public var description: String {
        var text = "token \(fencingToken): \(holder)"
        if let ended { text += ", until \(ended.timeText)" }
        if let ending { text += " (\(ending))" }
        return text
    }
}

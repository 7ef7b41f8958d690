// SPDX-License-Identifier: Apache-2.0

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
    let verdict: Verdict

    init(_ status: LockStatus) {
        self.status = status
        let quorum = status.nodes.count / 2 + 1
        let free = status.nodes.count { $0.state == .free }
        verdict =
            if status.holder != nil {
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
        let nodes = status.nodes.map { node in
            "  " + node.name + String(repeating: " ", count: width - node.name.count) + "  " + Self.text(of: node.state)
        }
        return (["\(status.resource): \(summary)"] + nodes).map(Reporter.inOneLine)
    }

    private var summary: String {
        switch verdict {
        case .held: status.holder.map(Self.text(of:)) ?? ""
        case .free: "free"
        case .unknown: "unknown, no quorum of nodes answered"
        case .taken:
            "not held by a quorum, but \(Self.takenCount(status)) of \(status.nodes.count) nodes have keys"
                + (Self.ownerCount(status) > 1 ? " of several owners" : "")
        }
    }

    private static func takenCount(_ status: LockStatus) -> Int {
        status.nodes.count { node in
            if case .held = node.state { true } else { holdsSomethingElse(node.state) }
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
        if case .unavailable(let reason) = state { reason.contains("WRONGTYPE") } else { false }
    }

    private static func text(of state: LockStatus.NodeState) -> String {
        switch state {
        case .free: "free"
        case .held(let holder, let ownerNumber): "\(text(of: holder)) [holder \(ownerNumber)]"
        case .unavailable where holdsSomethingElse(state): "holds something that is not a lock"
        case .unavailable(let reason): "unavailable: \(reason)"
        }
    }

    private static func text(of holder: LockStatus.Holder) -> String {
        let left = holder.remaining.map { "\($0.readable) left unless renewed" }
        return "held by \(holder.name), \(left ?? "no expiry or not allowed to know")"
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
                ("held", held),
                ("free", verdict == .unknown ? .null : .boolean(verdict == .free)),
                ("quorumReachable", .boolean(verdict != .unknown)),
            ] + Self.fields(of: status.holder) + [("nodes", .array(status.nodes.map(Self.json)))]
        )
    }

    private static func fields(of holder: LockStatus.Holder?) -> [(String, JSONLine)] {
        [
            ("owner", holder?.label.map(JSONLine.string) ?? .null),
            ("remainingMilliseconds", holder?.remaining.map { .integer($0.wholeMilliseconds) } ?? .null),
        ]
    }

    private static func json(of node: LockStatus.Node) -> JSONLine {
        var (state, holder, number, reason): (String, LockStatus.Holder?, JSONLine, JSONLine) =
            ("free", nil, .null, .null)
        switch node.state {
        case .free: break
        case .held(let theHolder, let ownerNumber):
            (state, holder, number) = ("held", theHolder, .integer(Int64(ownerNumber)))
        case .unavailable(let text):
            (state, reason) = (holdsSomethingElse(node.state) ? "notALock" : "unavailable", .string(text))
        }
        return .object(
            [("node", .string(node.name)), ("state", .string(state))] + fields(of: holder)
                + [("holder", number), ("reason", reason)]
        )
    }
}

extension LockStatus.Holder {
    /// The label, or that there is none.
    var name: String { label ?? "another kind of client" }
}

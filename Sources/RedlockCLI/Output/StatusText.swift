// SPDX-License-Identifier: Apache-2.0

import Redlock

/// The state of a lock, for people and as JSON.
struct StatusText {
    private let status: LockStatus

    init(_ status: LockStatus) {
        self.status = status
    }

    /// One line on the whole, then one per node.
    var lines: [String] {
        let summary =
            if let holder = status.holder {
                "\(status.resource): \(Self.text(of: holder))"
            } else if status.isQuorumReachable {
                "\(status.resource): free"
            } else {
                "\(status.resource): unknown, no quorum of nodes answered"
            }
        let width = status.nodes.map(\.name.count).max() ?? 0
        let nodes = status.nodes.map { node in
            "  " + node.name + String(repeating: " ", count: width - node.name.count) + "  " + Self.text(of: node.state)
        }
        return ([summary] + nodes).map(Reporter.inOneLine)
    }

    private static func text(of state: LockStatus.NodeState) -> String {
        switch state {
        case .free: "free"
        case .held(let holder, let ownerNumber): "\(text(of: holder)) [holder \(ownerNumber)]"
        case .unavailable(let reason): "unavailable: \(reason)"
        }
    }

    private static func text(of holder: LockStatus.Holder) -> String {
        let left = holder.remaining.map { ", \($0.readable) left unless renewed" } ?? ""
        return "held by \(holder.name)\(left)"
    }

    /// The fields that the help of `redlock status` names.
    var json: JSONLine {
        .object(
            [
                ("name", .string(status.resource)),
                ("held", .boolean(status.isHeld)),
                ("quorumReachable", .boolean(status.isQuorumReachable)),
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
        let fields: [(String, JSONLine)] =
            switch node.state {
            case .free: [("state", .string("free"))]
            case .held(let holder, let ownerNumber):
                [("state", .string("held"))] + fields(of: holder) + [("holder", .integer(Int64(ownerNumber)))]
            case .unavailable(let reason): [("state", .string("unavailable")), ("reason", .string(reason))]
            }
        return .object([("node", .string(node.name))] + fields)
    }
}

extension LockStatus.Holder {
    /// The label, or that there is none.
    var name: String { label ?? "another kind of client" }
}

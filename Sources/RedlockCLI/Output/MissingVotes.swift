// SPDX-License-Identifier: Apache-2.0

import Redlock

/// The nodes whose votes do not count, and what becomes of a lock because of them.
struct MissingVotes: Sendable {
    let nodes: [Diagnosis.Node]
    let nodeCount: Int
    let quorum: Int

    init(_ diagnosis: Diagnosis) {
        nodes = diagnosis.nodes.filter { !$0.hasVote }
        nodeCount = diagnosis.nodes.count
        quorum = diagnosis.quorum
    }

    var isQuorumLeft: Bool { nodeCount - nodes.count >= quorum }

    /// What is missing, and why, in one line.
    var text: String {
        let counts = "\(nodeCount - nodes.count) of \(nodeCount) votes count, \(quorum) are needed"
        return nodes.isEmpty ? counts : "\(counts) (\(reasons.joined(separator: "; ")))"
    }

    /// Every reason once, behind the nodes that it stands for.
    private var reasons: [String] {
        var order: [String] = []
        var names: [String: [String]] = [:]
        for node in nodes {
            let reason = node.reason ?? "no reason is known"
            if names[reason] == nil { order.append(reason) }
            names[reason, default: []].append(node.name)
        }
        return order.map { "\(names[$0, default: []].joined(separator: ", ")): \($0)" }
    }

    /// The field of events that names these nodes.
    var json: JSONLine {
        .array(
            nodes.map { node in
                .object([
                    ("node", .string(node.name)),
                    ("reason", .optional(node.reason)),
                    ("quarantineMilliseconds", .milliseconds(node.quarantineRemaining)),
                ])
            }
        )
    }
}

extension JSONLine {
    /// Whole milliseconds, or null.
    static func milliseconds(_ duration: Duration?) -> JSONLine {
        duration.map { .integer($0.wholeMilliseconds) } ?? .null
    }

    /// The text, or null.
    static func optional(_ text: String?) -> JSONLine {
        text.map(JSONLine.string) ?? .null
    }

    /// The number, or null.
    static func optional(_ number: Int?) -> JSONLine {
        number.map { .integer(Int64($0)) } ?? .null
    }

    /// The number of a fencing token, or null.
    static func token(_ token: FencingToken?) -> JSONLine {
        token.map { .integer($0.rawValue) } ?? .null
    }
}

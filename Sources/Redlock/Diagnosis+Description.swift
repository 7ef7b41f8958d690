// SPDX-License-Identifier: Apache-2.0

extension Assumption: CustomStringConvertible {
    /// The assumption in a few words; see ``title``.
    public var description: String { title }
}

extension Diagnosis.Finding: CustomStringConvertible {
    /// The assumption, what is known of it, how, and what to do.
    public var description: String {
        "\(assumption): \(verdict.rawValue), \(reason)" + (remedy.map { " -> \($0)" } ?? "")
    }
}

extension Diagnosis.Node: CustomStringConvertible {
    /// The node, whether its vote counts, and why not.
    public var description: String {
        hasVote ? "\(name): vote counts" : "\(name): vote does not count, \(reason ?? "the reason is not known")"
    }
}

extension Diagnosis: CustomStringConvertible {
    /// How many votes count, the nodes whose votes do not, and what does not hold.
    public var description: String {
        let votes = nodes.count(where: \.hasVote)
        let summary = "\(votes) of \(nodes.count) votes count, \(quorum) are needed"
        let missing = nodes.filter { !$0.hasVote }.map(\.description)
        let failures = nodes.flatMap { node in
            node.findings.filter { $0.verdict == .fail }.map { "\(node.name): \($0)" }
        }
        return ([summary] + missing + failures).joined(separator: "; ")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Redlock

/// What `redlock doctor` found, for people and as JSON.
///
/// Texts come from servers in part, so every line is made printable before it is coloured.
struct DiagnosisText {
    let diagnosis: Diagnosis
    let style: TextStyle
    /// Whether also what passes has its reason.
    let isVerbose: Bool

    /// The nodes and their votes, then the assumptions, and a summary at the end.
    var lines: [String] {
        var lines = nodeLines
        let examined = diagnosis.nodes.indices.filter { !diagnosis.nodes[$0].findings.isEmpty }
        if let first = examined.first {
            lines += ["", "what the votes rest on:"]
            for row in diagnosis.nodes[first].findings.indices {
                let findings = examined.map { (node: $0 as Int?, finding: diagnosis.nodes[$0].findings[row]) }
                lines += assumptionLines(findings)
            }
        }
        lines += ["", "what depends on this client:"]
        for finding in diagnosis.client { lines += assumptionLines([(nil, finding)]) }
        return lines + ["", summary]
    }

    // MARK: Nodes

    private var nodeLines: [String] {
        let numberWidth = String(diagnosis.nodes.count).count
        let names = diagnosis.nodes.map { Reporter.inOneLine($0.name) }
        let servers = diagnosis.nodes.map { Reporter.inOneLine($0.server ?? "") }
        let (nameWidth, serverWidth) = (names.map(\.count).max() ?? 0, servers.map(\.count).max() ?? 0)
        return diagnosis.nodes.enumerated().map { index, node in
            var columns = ["\(index + 1)".padded(to: numberWidth), names[index].padded(to: nameWidth)]
            if serverWidth > 0 { columns.append(servers[index].padded(to: serverWidth)) }
            columns.append(
                node.hasVote
                    ? style.coloured("vote counts", .green)
                    : style.coloured("VOTE DOES NOT COUNT", .red) + ": " + Self.reason(of: node)
            )
            return columns.joined(separator: "  ")
        }
    }

    /// The library says "has no vote" where that is not said already.
    private static func reason(of node: Diagnosis.Node) -> String {
        Reporter.inOneLine(String((node.reason ?? "nobody knows why").trimmingPrefix("has no vote: ")))
    }

    private var summary: String {
        func nodes(_ count: Int) -> String { count == 1 ? "1 node" : "\(count) nodes" }
        let votes = diagnosis.nodes.count(where: \.hasVote)
        return "\(votes) of \(diagnosis.nodes.count) votes count; Q = \(diagnosis.quorum); "
            + "\(nodes(diagnosis.nodesThatMayFail)) may fail; "
            + "\(nodes(diagnosis.nodesThatMayForget)) may forget what they granted, unseen"
    }

    // MARK: Assumptions

    private static let titleWidth = (Assumption.allCases.map(\.title.count).max() ?? 0) + 2
    private static let verdictWidth = "unknown".count + 2

    /// What is known of one assumption: the nodes of which the same is known share a line.
    private func assumptionLines(_ findings: [(node: Int?, finding: Diagnosis.Finding)]) -> [String] {
        var groups: [(nodes: [Int], finding: Diagnosis.Finding)] = []
        for (node, finding) in findings {
            let index = groups.firstIndex { group in
                finding == group.finding || (!isVerbose && finding.verdict == .pass && group.finding.verdict == .pass)
            }
            if let index {
                groups[index].nodes += node.map { [$0] } ?? []
            } else {
                groups.append((node.map { [$0] } ?? [], finding))
            }
        }
        // What is wrong comes first.
        groups.sort { Self.rank($0.finding.verdict) < Self.rank($1.finding.verdict) }
        var title = groups.first?.finding.assumption.title ?? ""
        return groups.flatMap { group in
            defer { title = "" }
            return lines(of: group.finding, title: title, nodes: group.nodes)
        }
    }

    private func lines(of finding: Diagnosis.Finding, title: String, nodes: [Int]) -> [String] {
        let isShort = finding.verdict == .pass && !isVerbose
        // Without numbers it is said of every node.
        let numbers = nodes.count == diagnosis.nodes.count ? "" : nodes.map { "\($0 + 1)" }.joined(separator: ", ")
        let text = [numbers, isShort ? "" : Reporter.inOneLine(finding.reason)].filter { !$0.isEmpty }
            .joined(separator: ": ")
        let verdict =
            text.isEmpty ? Self.word(finding.verdict) : Self.word(finding.verdict).padded(to: Self.verdictWidth)
        let line = title.padded(to: Self.titleWidth) + style.coloured(verdict, Self.colour(finding.verdict)) + text
        guard let remedy = finding.remedy else { return [line] }
        let indentation = String(repeating: " ", count: Self.titleWidth + Self.verdictWidth)
        return [line, "\(indentation)-> \(Reporter.inOneLine(remedy))"]
    }

    private static func rank(_ verdict: Diagnosis.Verdict) -> Int {
        switch verdict {
        case .fail: 0
        case .unknown: 1
        case .pass: 2
        }
    }

    private static func word(_ verdict: Diagnosis.Verdict) -> String {
        verdict == .fail ? "FAIL" : verdict.rawValue
    }

    private static func colour(_ verdict: Diagnosis.Verdict) -> TextStyle.Colour {
        switch verdict {
        case .fail: .red
        case .unknown: .yellow
        case .pass: .green
        }
    }

    // MARK: What to do

    /// What somebody should do; nil if the vote of every node counts.
    var advice: String? {
        let missing = diagnosis.nodes.filter { !$0.hasVote }
        guard !missing.isEmpty else { return nil }
        let (count, countMissing) = (diagnosis.nodes.count, missing.count)
        let state =
            diagnosis.hasQuorum
            ? "locks are granted, but \(countMissing) of \(count) votes \(countMissing == 1 ? "does" : "do") not count"
            : "NO LOCK IS GRANTED: \(count - countMissing) of \(count) votes count, \(diagnosis.quorum) are needed"
        let quarantined = missing.filter { $0.quarantineRemaining != nil }
        var steps = missing.filter { $0.quarantineRemaining == nil }.map { node in
            let isSilent = node.findings.isEmpty
            return isSilent
                ? "\(node.name) does not answer (\(Self.reason(of: node))): start it, or repair the way there"
                : "\(node.name): \(Self.reason(of: node))"
        }
        if let longest = quarantined.compactMap(\.quarantineRemaining).max() {
            let subject = quarantined.count == 1 ? "its vote counts by itself" : "their votes count by themselves"
            let names = quarantined.map(\.name).joined(separator: ", ")
            steps.append("wait \(longest.wholeSecondsRoundedUp)s for \(names): then \(subject)")
        }
        return ([state] + steps).joined(separator: "; ")
    }
}

// MARK: JSON

extension DiagnosisText {
    /// The fields that the help of `redlock doctor` names.
    var json: JSONLine {
        .object([
            ("allVotesCount", .boolean(diagnosis.allVotesCount)),
            ("hasQuorum", .boolean(diagnosis.hasQuorum)),
            ("quorum", .integer(Int64(diagnosis.quorum))),
            ("nodesThatMayFail", .integer(Int64(diagnosis.nodesThatMayFail))),
            ("nodesThatMayForget", .integer(Int64(diagnosis.nodesThatMayForget))),
            ("nodes", .array(diagnosis.nodes.map(Self.json(of:)))),
            ("client", .array(diagnosis.client.map(Self.json(of:)))),
        ])
    }

    private static func json(of node: Diagnosis.Node) -> JSONLine {
        .object([
            ("node", .string(node.name)),
            ("server", .optional(node.server)),
            ("voteCounts", .boolean(node.hasVote)),
            ("reason", .optional(node.reason)),
            ("quarantineMilliseconds", .milliseconds(node.quarantineRemaining)),
            ("assumptions", .array(node.findings.map(json(of:)))),
        ])
    }

    private static func json(of finding: Diagnosis.Finding) -> JSONLine {
        .object([
            ("assumption", .string(finding.assumption.rawValue)),
            ("verdict", .string(finding.verdict.rawValue)),
            ("reason", .string(finding.reason)),
            ("remedy", .optional(finding.remedy)),
        ])
    }
}

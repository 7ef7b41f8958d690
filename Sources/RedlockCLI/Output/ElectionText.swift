// SPDX-License-Identifier: Apache-2.0

import Foundation
import LeaderElection
import Redlock

/// Who leads at one moment, for people and as JSON.
struct LeadershipText {
    private let leadership: Leadership
    private let election: String
    /// When it was seen.
    private let time: Date
    private let style: TextStyle

    init(_ leadership: Leadership, of election: String, time: Date, style: TextStyle) {
        self.leadership = leadership
        self.election = election
        self.time = time
        self.style = style
    }

    /// The time, the election, and who leads, in one line.
    var line: String {
        let start = "\(ClockText.dated(time))  \(Reporter.inOneLine(election)): "
        switch leadership {
        case .led(let leader):
            let since = leader.since.map {
                ", since \(ClockText.text(of: Date(timeIntervalSince1970: $0 / .seconds(1)), seenAt: time))"
            }
            let metadata = leader.candidate.metadata.map { ", \"\($0)\"" }
            let term = leader.term.map { ", term \($0)" }
            let rest = " by \(leader.candidate.identity)" + [term, since, metadata].compactMap { $0 }.joined()
            return start + style.coloured("led", .green) + Reporter.inOneLine(rest)
        case .vacant: return start + style.coloured("vacant", .yellow)
        case .unknown: return start + style.coloured("unknown", .red) + ", too few nodes answer"
        }
    }

    /// The fields that the help of `redlock elect` names.
    var json: JSONLine {
        let event =
            switch leadership {
            case .led: "led"
            case .vacant: "vacant"
            case .unknown: "unknown"
            }
        let leader = leadership.leader
        return .object([
            ("event", .string(event)),
            ("timeMilliseconds", .integer(Int64(time.timeIntervalSince1970 * 1_000))),
            ("resource", .string(election)),
            ("leader", .optional(leader?.candidate.identity)),
            ("metadata", .optional(leader?.candidate.metadata)),
            ("term", .token(leader?.term)),
            ("sinceMilliseconds", .milliseconds(leader?.since)),
        ])
    }
}

/// Who campaigns, and the last terms, for people and as JSON.
struct ElectionText {
    let name: String
    let leader: Leadership.Leader?
    let candidates: [LiveCandidate]
    let terms: [PastTerm]
    var time = Date()

    /// A line for each candidate and each term, in columns.
    var lines: [String] {
        var lines = ["\(name): " + (leader.map { "led by \($0.candidate.identity)" } ?? "vacant"), ""]
        lines += candidates.isEmpty ? ["nobody campaigns"] : candidateRows.linesInColumns
        lines.append("")
        lines += terms.isEmpty ? ["no term is on record"] : termRows.linesInColumns
        return lines.map(Reporter.inOneLine)
    }

    private var candidateRows: [[String]] {
        [["CANDIDATE", "PRIORITY", "HOST", "PROCESS", "SINCE", ""]]
            + candidates.map { live in
                [
                    live.candidate.identity + (live.candidate.identity == leader?.candidate.identity ? " (leads)" : ""),
                    "\(live.priority)",
                    live.host ?? "",
                    live.process.map { "\($0)" } ?? "",
                    GrantRow.text(of: live.since, seenAt: time),
                    live.candidate.metadata.map { "\"\($0)\"" } ?? "",
                ]
            }
    }

    private var termRows: [[String]] {
        [["TERM", "LEADER", "HOST", "PROCESS", "FROM", "TO", "ENDED"]]
            + terms.map { GrantRow($0, isCurrent: $0.number == leader?.term).columns(seenAt: time) }
    }

    /// The fields that the help of `redlock elect` names.
    var json: JSONLine {
        .object([
            ("name", .string(name)),
            ("leader", .optional(leader?.candidate.identity)),
            ("candidates", .array(candidates.map(Self.json(of:)))),
            ("terms", .array(terms.map(Self.json(of:)))),
        ])
    }

    private static func json(of live: LiveCandidate) -> JSONLine {
        .object([
            ("identity", .string(live.candidate.identity)),
            ("metadata", .optional(live.candidate.metadata)),
            ("priority", .integer(Int64(live.priority))),
            ("host", .optional(live.host)),
            ("process", .optional(live.process.map { Int($0) })),
            ("sinceMilliseconds", .milliseconds(live.since)),
        ])
    }

    private static func json(of term: PastTerm) -> JSONLine {
        .object(
            [
                ("term", .token(term.number)),
                ("leader", .string(term.leader.identity)),
                ("metadata", .optional(term.leader.metadata)),
            ]
                + GrantRow.fields(
                    host: term.host,
                    process: term.process,
                    began: term.began,
                    ended: term.ended,
                    ending: term.ending
                )
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

import Redlock

// What is told of an election, as people read it.

extension Candidate: CustomStringConvertible {
    /// The identity, and what else the candidate tells of itself.
    public var description: String { identity + (metadata.map { ", \"\($0)\"" } ?? "") }
}

extension LiveCandidate: CustomStringConvertible {
    /// Who it is, its priority, where it runs, and since when it campaigns (UTC).
    public var description: String {
        ["\(candidate)", "priority \(priority)", place(host, process), since.map { "since \($0.timeText)" }]
            .compactMap { $0 }.joined(separator: ", ")
    }
}

extension Leadership.Leader: CustomStringConvertible {
    /// Who it is, the number of the term, and since when it leads (UTC).
    public var description: String {
        ["\(candidate)", term.map { "term \($0)" }, since.map { "since \($0.timeText)" }]
            .compactMap { $0 }.joined(separator: ", ")
    }
}

extension Leadership: CustomStringConvertible {
    /// Who leads, in one line.
    public var description: String {
        switch self {
        case .led(let leader): "led by \(leader)"
        case .vacant: "vacant"
        case .unknown: "unknown, too few nodes answer"
        }
    }
}

extension Term: CustomStringConvertible {
    /// The election, the number of the term, the leader, and how long it leads alone, as far as is proved.
    public var description: String {
        let remaining = remaining
        let end = remaining > .zero ? "\(remaining.briefText) left unless renewed" : "ended"
        return "term \(number) of \"\(election)\", led by \(leader), \(end)"
    }
}

extension PastTerm: CustomStringConvertible {
    /// The number of the term, who led from when to when (UTC), and why it ended.
    public var description: String {
        let parts = [
            "\(leader)", place(host, process), began.map { "from \($0.timeText)" }, ended.map { "to \($0.timeText)" },
        ]
        return "term \(number): " + parts.compactMap { $0 }.joined(separator: ", ") + (ending.map { " (\($0))" } ?? "")
    }
}

extension ElectionEvent: CustomStringConvertible {
    /// What happened to the candidate, in one line.
    public var description: String {
        switch self {
        case .campaigning: "campaigns"
        case .leading(let term): "leads: \(term)"
        case .ended(let term, let reason): "term \(term) has ended: \(reason)"
        case .overrun(let term): "term \(term) has ended or is about to, and what leads is still at work"
        case .outOfTouch(let reason): "too few nodes answer: \(reason)"
        }
    }
}

extension LeaderElector.Status: CustomStringConvertible {
    /// What the candidate does, in a few words.
    public var description: String {
        switch self {
        case .idle: "does not campaign"
        case .notEligible: "is not fit to lead"
        case .following: "campaigns"
        case .leading(let term): "leads: \(term)"
        case .outOfTouch(let reason): "too few nodes answer: \(reason)"
        }
    }
}

/// Where a process runs; nil if it tells nothing of that.
private func place(_ host: String?, _ process: Int32?) -> String? {
    let parts = [host.map { "on \($0)" }, process.map { "process \($0)" }].compactMap { $0 }
    return parts.isEmpty ? nil : parts.joined(separator: " ")
}

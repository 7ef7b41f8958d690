// SPDX-License-Identifier: Apache-2.0

import LockCore

/// What follows from all that is known of the nodes: whose vote counts, and why another's does not.
extension NodeAdmission {
    /// Whether the vote of a node counts, by what it said and by what is known of the others.
    func standing(of node: Int, clockMedian: Int64?, stranger: Int?) -> NodeStanding {
        let this = nodes[node]
        guard this.isConnected else { return .unknown }
        if case .refuse(let refusal) = this.judgement { return .refused(refusal) }
        if !this.mayAskTime { return .refused(.clockUnknown) }
        guard let judgement = this.judgement else {
            return this.enrolmentFailure.map { .enrolmentFailed($0) } ?? .unknown
        }
        if let twin = twin(of: node) { return .refused(.listedTwice(with: twin)) }
        if let stranger { return .membersDisagree(node: stranger) }
        if let milliseconds = clockDistanceMilliseconds(of: node, from: clockMedian), isTooFar(milliseconds) {
            return .refused(.clockApart(milliseconds: milliseconds))
        }
        switch judgement {
        case .enrol(let reason):
            guard enrolsNodes else { return .notEnrolled(reason) }
            return this.enrolmentFailure.map { .enrolmentFailed($0) } ?? .enrolling(reason)
        case .recordStands(let record):
            return quarantineRemainingMicroseconds(of: record, on: node) > 0
                ? .quarantined(record.reason) : .admitted
        case .refuse(let refusal): return .refused(refusal)
        }
    }

    /// A node whose record does not agree with the client's list.
    var stranger: Int? {
        nodes.indices.first { node in
            if case .refuse(.otherMembership) = nodes[node].judgement { true } else { false }
        }
    }

    /// What a node is, if it is a server of a kind that no lock can be on.
    func kindWithoutLocks(of node: Int) -> Refusal? {
        guard case .refused(let refusal) = nodes[node].standing, refusal.isKindOfServer else { return nil }
        return refusal
    }

    func twin(of node: Int) -> Int? {
        guard let runID = nodes[node].facts?.runID, !isPlanted(.twinOverlooked) else { return nil }
        return nodes.indices.first { $0 != node && nodes[$0].isConnected && nodes[$0].facts?.runID == runID }
    }

    /// The nodes that will have a vote without anybody doing anything.
    var temporarilyRefused: NodeSet {
        NodeSet(nodes.indices.filter { nodes[$0].standing.isTemporary })
    }

    /// The nodes that are enrolled within moments.
    var enrolling: NodeSet {
        NodeSet(nodes.indices.filter { if case .enrolling = nodes[$0].standing { true } else { false } })
    }

    /// Whether the vote of a node counts that was given under a record: what was found out about the node while the
    /// answer was on its way counts as well.
    func countsVote(of node: Int, under record: RecordID) -> Bool {
        admitted.contains(node) && recordIDs[node] == record && !isSuspected(node)
    }

    /// Whether what a node says to an extension counts, likewise.
    func countsExtension(of node: Int) -> Bool {
        extendable.contains(node) && !isSuspected(node)
    }

    /// What is told of a node that the next client which needs votes enrols.
    private func notEnrolledText(_ reason: EnrolmentReason, _ node: Int) -> String {
        let longestTTL = max(membership(of: node).maximumTTLMilliseconds, longestTTLMilliseconds)
        let seconds = (quarantineMilliseconds(reason, longestTTL: longestTTL) + 999) / 1_000
        let enrolment = "the first client that asks for a lock enrols it, and its vote counts \(seconds) s later"
        guard reason == .noRecord else { return "has no vote: \(reason.text); \(enrolment)" }
        return "has no vote: it has no record, as it is new, was emptied, or lost its data; if none of the servers "
            + "ever granted a lock, `redlock init` has their votes count at once; otherwise \(enrolment)"
    }

    /// Why a node that is connected has no vote, as it is told.
    func problem(of node: Int) -> String? {
        switch nodes[node].standing {
        case .admitted: return nil
        case .unknown: return "not asked yet"
        case .quarantined(let reason):
            let remaining = nodes[node].record.map { quarantineRemainingMicroseconds(of: $0, on: node) } ?? 0
            return "in quarantine for another \((remaining + 999_999) / 1_000_000) s: \(reason.text)"
        case .notEnrolled(let reason): return notEnrolledText(reason, node)
        case .enrolling(let reason): return "about to be enrolled: \(reason.text)"
        case .enrolmentFailed(let problem): return "could not be enrolled: \(problem)"
        case .refused(let refusal):
            let (reason, remedy) = refusal.text(nodeNames: engine.nodeNames)
            return "has no vote: \(reason); \(remedy)"
        case .membersDisagree(let other):
            return "has no vote: \(engine.nodeNames[other]) was enrolled with other members than this client knows"
        }
    }
}

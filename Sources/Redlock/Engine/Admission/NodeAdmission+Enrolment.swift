// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

extension NodeAdmission {
    /// Enrols the nodes that need it, once every node was heard or cannot be reached: the records of the others tell
    /// whether this client has the right list.
    func enrolThoseWhoAreDue() {
        guard enrolsNodes, engine.untriedNodes.isEmpty, !engine.isShuttingDown else { return }
        for node in nodes.indices where !nodes[node].isEnrolling {
            if case .enrolling(let reason) = nodes[node].standing {
                nodes[node].isEnrolling = true
                enrol(node, reason, at: .quarantine, membership: membershipAsEnrolled(of: node)) { _ in }
            }
        }
    }

    /// As this client expects it, but for the longest TTL that the nodes were enrolled for: a client with a shorter one
    /// must not lower it for the others.
    private func membershipAsEnrolled(of node: Int) -> Membership {
        let own = membership(of: node)
        let longest = nodes.compactMap { $0.record?.maximumTTLMilliseconds }.max() ?? 0
        return Membership(
            node: own.node,
            members: own.members,
            maximumTTLMilliseconds: max(own.maximumTTLMilliseconds, longest)
        )
    }

    /// Whether an enrolled node votes at once or after everything that it may have forgotten has ended.
    enum EnrolmentKind {
        case quarantine
        case atOnce
    }

    /// Writes a new record in place of the one that was read, unless somebody else was faster; then that one counts.
    ///
    /// - Parameter completion: is told why the node has no new record, or nil.
    func enrol(
        _ node: Int,
        _ reason: EnrolmentReason,
        at kind: EnrolmentKind,
        membership: Membership,
        completion: @escaping (String?) -> Void
    ) {
        let id = RecordID(bits: engine.surroundings.randomBits())
        let collector = ReplyCollector(replyCount: 1) { [unowned self] result in
            switch result {
            case .failure(let failure):
                nodes[node].isEnrolling = false
                completion(failure.message)
            case .success(let replies):
                // The user may lack the right; then the record has no marker.
                let record = record(id, of: node, reason, kind, membership, marker: replies[0].string)
                write(record, of: node, completion)
            }
        }
        nodes[node].isEnrolling = true
        engine.send(.plain(["SCRIPT", "LOAD", "return '\(id)'"]), to: [node], receiver: collector)
    }

    private func record(
        _ id: RecordID,
        of node: Int,
        _ reason: EnrolmentReason,
        _ kind: EnrolmentKind,
        _ membership: Membership,
        marker: String?
    ) -> NodeRecord {
        let facts = nodes[node].facts ?? ServerFacts()
        // A lease of any client of these nodes may have been forgotten.
        let known = nodes.compactMap { $0.recordText.flatMap { NodeRecord(text: $0) }?.maximumTTLMilliseconds }
        let maximumTTL = max(membership.maximumTTLMilliseconds, known.max() ?? 0)
        var record = NodeRecord(
            id: id,
            reason: reason,
            serverMicroseconds: 0,
            wallMicroseconds: engine.surroundings.wallMicroseconds,
            quarantineMilliseconds: 0,
            marker: marker,
            facts: facts,
            membership: membership
        )
        if kind == .quarantine {
            record.quarantineMilliseconds = NodeRecord.quarantineMilliseconds(
                maximumTTLMilliseconds: maximumTTL,
                drift: engine.configuration.drift.lockCore
            )
        }
        return record
    }

    private func write(_ record: NodeRecord, of node: Int, _ completion: @escaping (String?) -> Void) {
        let (before, after) = record.textAroundServerTime
        let command = NodeCommand.enrol(
            record: engine.profile.recordKey,
            expected: nodes[node].recordText ?? "",
            before: before,
            after: after
        )
        let collector = ReplyCollector(replyCount: 1) { [unowned self] result in
            nodes[node].isEnrolling = false
            switch result {
            case .failure(let failure):
                completion(failure.message)
            case .success(let replies):
                guard case .bulkString(let bytes) = replies[0] else {
                    let problem = replies[0].problem.printable()
                    nodes[node].enrolmentFailure = problem
                    nodes[node].judgement = nil
                    reconsider()
                    return completion(problem)
                }
                let text = String(decoding: bytes, as: UTF8.self)
                let isOurs = NodeRecord(text: text)?.id == record.id
                nodes[node].recordText = text
                if isOurs {
                    nodes[node].facts?.hasMarker = record.marker != nil
                    judge(node)
                } else {
                    lookForMarker(node)
                }
                completion(isOurs ? nil : "another client enrolled it at the same moment")
            }
        }
        // Whole, as it is seldom used and the user may lack the right to load scripts.
        engine.send(command, to: [node], receiver: collector, wholeScript: true)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

extension NodeAdmission {
    /// Enrols the nodes that need it, once every node was heard or cannot be reached: the records of the others tell
    /// whether this client has the right list.
    ///
    /// A node whose clock is far off is enrolled as well: its vote does not count meanwhile, and when the clock is right
    /// again, its record tells everybody.
    func enrolThoseWhoAreDue() {
        guard enrolsNodes, engine.untriedNodes.isEmpty, !engine.isShuttingDown, stranger == nil else { return }
        for node in nodes.indices {
            let this = nodes[node]
            guard case .enrol(let reason) = this.judgement, this.isConnected, this.mayAskTime, !this.isEnrolling,
                !this.isToBeHeard, twin(of: node) == nil
            else { continue }
            let (membership, longestTTL) = (membershipAsEnrolled(of: node), longestTTLMilliseconds)
            enrol(node, reason, at: .quarantine, membership: membership, longestTTL: longestTTL) { _ in }
        }
    }

    /// As this client expects it, but for the longest TTL that the nodes were enrolled for: a client with a shorter one
    /// must not lower it for the others.
    private func membershipAsEnrolled(of node: Int) -> Membership {
        let own = membership(of: node)
        return Membership(
            node: own.node,
            members: own.members,
            maximumTTLMilliseconds: max(own.maximumTTLMilliseconds, longestTTLMilliseconds)
        )
    }

    /// The longest TTL that any record names, of nodes that count or do not.
    var longestTTLMilliseconds: Int64 {
        nodes.compactMap { $0.writtenRecord?.maximumTTLMilliseconds }.max() ?? 0
    }

    /// Whether an enrolled node votes at once or after everything that it may have forgotten has ended.
    enum EnrolmentKind {
        case quarantine
        case atOnce
    }

    /// Writes a new record in place of the one that was read, unless somebody else was faster; then that one counts.
    ///
    /// - Parameters:
    ///   - longestTTL: of any lease that the node may have forgotten, in milliseconds.
    ///   - completion: is told why the node has no new record, or nil.
    func enrol(
        _ node: Int,
        _ reason: EnrolmentReason,
        at kind: EnrolmentKind,
        membership: Membership,
        longestTTL: Int64,
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
                var record = record(id, of: node, reason, membership, marker: replies[0].string)
                if kind == .quarantine {
                    let longest = max(membership.maximumTTLMilliseconds, longestTTL)
                    record.quarantineMilliseconds = quarantineMilliseconds(reason, longestTTL: longest)
                }
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
        _ membership: Membership,
        marker: String?
    ) -> NodeRecord {
        NodeRecord(
            id: id,
            reason: reason,
            serverMicroseconds: 0,
            wallMicroseconds: engine.surroundings.wallMicroseconds,
            quarantineMilliseconds: 0,
            marker: marker,
            facts: nodes[node].facts ?? ServerFacts(),
            membership: membership
        )
    }

    func quarantineMilliseconds(_ reason: EnrolmentReason, longestTTL: Int64) -> Int64 {
        let drift = engine.configuration.drift.lockCore
        let quarantine = NodeRecord.quarantineMilliseconds(maximumTTLMilliseconds: longestTTL, drift: drift)
        // Clients with another list go on renewing until they see the new records.
        return reason == .requested ? quarantine + Self.slowestNoticeMilliseconds : quarantine
    }

    // MARK: Durable nodes

    /// Writes into the record of a durable node that it is durable, and which server process it is now: clients that may
    /// not ask for either know it again.
    ///
    /// The id stays, as nothing was lost.
    func refreshRecordIfOutdated(of node: Int) {
        guard enrolsNodes, !nodes[node].isEnrolling, let text = nodes[node].recordText, let record = nodes[node].record,
            let facts = nodes[node].facts, facts.isDurable, facts.runID != record.runID || !record.isDurable
        else { return }
        nodes[node].isEnrolling = true
        let loading = ReplyCollector(replyCount: 1) { [unowned self] result in
            guard case .success(let replies) = result else {
                nodes[node].isEnrolling = false
                return
            }
            var renewed = record
            renewed.runID = nodes[node].facts?.runID
            renewed.isDurable = true
            renewed.marker = replies[0].string
            let command = NodeCommand.replaceRecord(record: engine.profile.recordKey, expected: text, new: renewed.text)
            let writing = ReplyCollector(replyCount: 1) { [unowned self] result in
                nodes[node].isEnrolling = false
                // Where it fails, the next inspection tries again.
                guard case .success(let replies) = result, replies[0] == .integer(1) else { return }
                nodes[node].recordText = renewed.text
                nodes[node].facts?.hasMarker = renewed.marker != nil
                // Anew: what was found out about the node meanwhile counts as well.
                judge(node)
            }
            engine.send(command, to: [node], receiver: writing, form: .whole)
        }
        let marker = "return '\(record.id) \(RecordID(bits: engine.surroundings.randomBits()))'"
        engine.send(.plain(["SCRIPT", "LOAD", marker]), to: [node], receiver: loading)
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
                    scheduleInspection(node)
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
        engine.send(command, to: [node], receiver: collector, form: .whole)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Why a node has no vote until something changes.
package enum Refusal: Hashable, Sendable {
    /// The server copies another one.
    case replica
    /// The server shares its keys with others.
    case clusterNode
    /// The server is a Sentinel, which keeps no keys.
    case sentinel
    /// The server deletes keys to make room; the setting is `maxmemory-policy`.
    case evicting(policy: String)
    /// The record names other members than the client was given, or another node.
    case otherMembership(node: String, members: [String])
    /// The client may ask for a longer TTL than the nodes were enrolled for.
    case maximumTTL(enrolledMilliseconds: Int64)
    /// What lies at the place of the record is none.
    case unreadableRecord
    /// Neither the server process nor its marker is known, so a restart could not be told.
    case restartsUnknown
    /// Another address of the list leads to the same server.
    case listedTwice(with: Int)
    /// The server's clock is too far from those of the other nodes.
    case clockApart(milliseconds: Int64)
    /// The user may not ask for the server's time.
    case clockUnknown
}

/// Why a node must be enrolled anew: whatever it held before may be gone.
///
/// The raw values stand in the records.
package enum EnrolmentReason: String, Hashable, Sendable {
    /// It has no record: it is new, was emptied, or lost its data.
    case noRecord = "no_record"
    /// The server process is another one, and not every write was certain to be on disk.
    case restarted
    /// The server was a copy of another one, and may lack its last writes.
    case promoted
    /// The server deleted keys to make room.
    case evicted
    /// The server's clock jumped, so keys may have expired early.
    case clockJumped = "clock_jumped"
    /// An operator asked for it.
    case requested
}

/// What lies at the place of a node's record.
package enum RecordPlace: Hashable, Sendable {
    /// Nothing.
    case empty
    /// Something that is no record.
    case unreadable
    /// A record, whether it stands or not.
    indirect case holds(NodeRecord)

    /// What the text says; nil if there is none.
    package init(text: String?) {
        guard let text else {
            self = .empty
            return
        }
        self = NodeRecord(text: text).map { .holds($0) } ?? .unreadable
    }

    /// The record; nil if there is none.
    package var record: NodeRecord? {
        if case .holds(let record) = self { record } else { nil }
    }
}

/// What the rules say of one node, by what it tells of itself; the rules that compare nodes come on top.
package enum AdmissionJudgement: Hashable, Sendable {
    /// Its record stands: it votes once its quarantine is over.
    indirect case recordStands(NodeRecord)
    /// It must be enrolled anew, in place of the record that it has.
    case enrol(EnrolmentReason)
    /// It has no vote.
    case refuse(Refusal)

    /// Judges one node.
    ///
    /// - Parameters:
    ///   - facts: what the server tells of itself.
    ///   - place: what lies at the place of the record.
    ///   - membership: what the client expects.
    package static func judge(_ facts: ServerFacts, _ place: RecordPlace, expecting membership: Membership) -> Self {
        if let refusal = refusal(of: facts) { return .refuse(refusal) }
        switch place {
        case .empty: return .enrol(.noRecord)
        case .unreadable: return .refuse(.unreadableRecord)
        case .holds(let record): return judge(facts, record, expecting: membership)
        }
    }

    private static func judge(_ facts: ServerFacts, _ record: NodeRecord, expecting membership: Membership) -> Self {
        let isMember = record.members == membership.members && record.node == membership.node
        guard isMember || isPlanted(.membershipIgnored) else {
            return .refuse(.otherMembership(node: record.node, members: record.members))
        }
        let isWithinMaximumTTL = membership.maximumTTLMilliseconds <= record.maximumTTLMilliseconds
        guard isWithinMaximumTTL || isPlanted(.maximumTTLIgnored) else {
            return .refuse(.maximumTTL(enrolledMilliseconds: record.maximumTTLMilliseconds))
        }
        guard let isSameProcess = isSameProcess(facts, as: record) else { return .refuse(.restartsUnknown) }
        if !isSameProcess {
            // Durable now is not enough: what was lost was lost under the settings of that time.
            guard facts.isDurable, record.isDurable else { return .enrol(.restarted) }
        }
        // It followed another server since, and has that one's keys in place of its own.
        if let former = facts.formerReplicationID, former != record.formerReplicationID,
            !isPlanted(.failoverOverlooked)
        {
            return .enrol(.promoted)
        }
        // A new process counts from zero.
        let evictedBefore = isSameProcess ? record.evictedKeys : 0
        if let evictedKeys = facts.evictedKeys, evictedKeys > evictedBefore, !isPlanted(.evictionOverlooked) {
            return .enrol(.evicted)
        }
        return .recordStands(record)
    }

    /// Why a server can have no vote, whatever its record says.
    package static func refusal(of facts: ServerFacts) -> Refusal? {
        if facts.isSentinel == true { return .sentinel }
        // Before its role: a replica of a cluster is told as what it belongs to.
        if facts.isClusterNode == true { return .clusterNode }
        if facts.isMaster == false, !isPlanted(.failoverOverlooked) { return .replica }
        return facts.mayEvict ? .evicting(policy: facts.evictionPolicy ?? "") : nil
    }

    /// Whether the server process is the one that was enrolled; nil if there is no way to tell.
    private static func isSameProcess(_ facts: ServerFacts, as record: NodeRecord) -> Bool? {
        if isPlanted(.restartOverlooked) { return true }
        if isPlanted(.failoverOverlooked), facts.formerReplicationID != nil { return true }
        if let enrolled = record.runID, let current = facts.runID { return enrolled == current }
        guard record.marker != nil else { return facts.runID == nil ? nil : false }
        return facts.hasMarker
    }
}

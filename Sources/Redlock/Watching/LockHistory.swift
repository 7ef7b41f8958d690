// SPDX-License-Identifier: Apache-2.0

internal import LockCore

/// What one look showed.
struct LockPicture: Sendable {
    /// What a node is good for.
    enum NodeCondition: Hashable, Sendable {
        case voting
        case withoutVote(reason: String)
        case unreachable(reason: String)
    }

    struct Node: Hashable, Sendable {
        let name: String
        /// Nil while it is not known: the connection was made a moment ago.
        let condition: NodeCondition?
    }

    /// The locks that any node has a key for, and those that were asked for by name.
    enum Locks: Sendable {
        case seen([LockStatus])
        /// Too few nodes answered.
        case unknown([RedlockError.NodeReport])
    }

    let began: Instant
    let ended: Instant
    let nodes: [Node]
    let locks: Locks
}

/// What is known of locks and nodes from the looks so far, and what the next look changes about it.
///
/// A value that looks at nothing itself: the same pictures always lead to the same changes.
struct LockHistory: Sendable {
    private struct Lock {
        var holder: Holder?
        var sharerCount = 0
        var waitingClients: Int?
        var isNotALock = false
    }

    private struct Holder {
        let description: LockStatus.Holder
        /// Tells one owner token from another.
        let mark: Int
        /// Before this, the key does not end by itself; nil if nobody told.
        let earliestEnd: Instant?
        /// Whether fewer nodes than a quorum were seen to have the key, once: a release may be on its way.
        var isInDoubt = false
    }

    /// How many nodes must agree.
    let quorum: Int

    private var locks: [ResourceName: Lock] = [:]
    /// How a node is, once it is not as it should be.
    private var nodes: [String: LockPicture.NodeCondition] = [:]
    private var hasSeenLocks = false
    private var isQuorumLost = false

    init(quorum: Int) {
        self.quorum = quorum
    }

    /// The locks whose fate the next look is to tell, also if no node has a key for them any more.
    var openNames: Set<ResourceName> {
        Set(locks.filter { $0.value.holder != nil || $0.value.sharerCount > 0 }.keys)
    }

    /// What is different in the next picture: nodes first, then locks by name.
    mutating func changes(in picture: LockPicture) -> [LockChange] {
        var changes = picture.nodes.compactMap { change(of: $0) }
        switch picture.locks {
        case .unknown(let reports):
            if !isQuorumLost { changes.append(.quorumLost(nodes: reports)) }
            isQuorumLost = true
        case .seen(let statuses):
            if isQuorumLost { changes.append(.quorumRegained) }
            isQuorumLost = false
            changes += lockChanges(statuses, in: picture)
            hasSeenLocks = true
        }
        return changes
    }

    // MARK: Nodes

    private mutating func change(of node: LockPicture.Node) -> LockChange? {
        guard let condition = node.condition else { return nil }
        let former = nodes.updateValue(condition, forKey: node.name) ?? .voting
        // Reasons change with every second of a quarantine.
        switch (former, condition) {
        case (.voting, .voting), (.withoutVote, .withoutVote), (.unreachable, .unreachable): return nil
        case (_, .voting): return .nodeRegainedVote(node: node.name)
        case (_, .withoutVote(let reason)): return .nodeLostVote(node: node.name, reason: reason)
        case (_, .unreachable(let reason)): return .nodeUnreachable(node: node.name, reason: reason)
        }
    }

    // MARK: Locks

    private mutating func lockChanges(_ statuses: [LockStatus], in picture: LockPicture) -> [LockChange] {
        let seen = Dictionary(statuses.map { ($0.name, $0) }) { first, _ in first }
        let names = Set(seen.keys).union(locks.keys)
        var changes: [LockChange] = []
        for name in names.sorted(by: { $0.title.utf8.lexicographicallyPrecedes($1.title.utf8) }) {
            let former = locks[name] ?? Lock()
            guard let status = seen[name] else {
                // No node has a key, and nobody asked for it by name.
                locks[name] = nil
                if let holder = former.holder { changes.append(end(of: holder, name, in: picture)) }
                if former.isNotALock { changes.append(.foreignDataGone(resource: name.title)) }
                continue
            }
            let lock = Lock(
                holder: holder(in: status, picture, former),
                sharerCount: status.sharers.count,
                waitingClients: status.waitingClients,
                isNotALock: status.isNotALock || former.isNotALock && status.notALockCount > 0
            )
            if let change = change(from: former, to: lock, status, in: picture) { changes.append(change) }
            if let change = changeOfSharers(from: former.sharerCount, status) { changes.append(change) }
            if lock.isNotALock, !former.isNotALock { changes.append(.notALock(status)) }
            if former.isNotALock, !lock.isNotALock { changes.append(.foreignDataGone(resource: status.title)) }
            let isForgotten = lock.holder == nil && lock.sharerCount == 0 && (status.waitingClients ?? 0) == 0
            locks[name] = isForgotten && !lock.isNotALock ? nil : lock
        }
        return changes
    }

    private func change(
        from former: Lock,
        to lock: Lock,
        _ status: LockStatus,
        in picture: LockPicture
    ) -> LockChange? {
        switch (former.holder, lock.holder) {
        case (nil, _?): return hasSeenLocks ? .acquired(status) : .held(status)
        case (let before?, let now?) where before.mark != now.mark:
            return .changedHands(status, from: before.description)
        case (let before?, nil):
            return votes(for: before, in: status) > 0
                ? .lost(status, by: before.description) : end(of: before, status.name, in: picture)
        case (nil, nil), (_?, _?):
            guard let waiting = status.waitingClients else { return nil }
            let count = waiting - (former.waitingClients ?? 0)
            if count == 0 { return nil }
            return count > 0
                ? .waitersJoined(status, count: count) : .waitersLeft(status, count: -count)
        }
    }

    private func changeOfSharers(from former: Int, _ status: LockStatus) -> LockChange? {
        let count = status.sharers.count - former
        if count == 0 { return nil }
        return count > 0 ? .sharersJoined(status, count: count) : .sharersLeft(status, count: -count)
    }

    /// Who holds the lock now; nil if nobody does, as far as can be seen.
    private func holder(in status: LockStatus, _ picture: LockPicture, _ former: Lock) -> Holder? {
        if let description = status.holder, let mark = markOfQuorum(in: status) {
            let end = description.remaining.map { picture.began.advanced(byNanoseconds: $0.nanoseconds) }
            return Holder(description: description, mark: mark, earliestEnd: end)
        }
        guard var before = former.holder else { return nil }
        let votes = votes(for: before, in: status)
        let silent = status.nodes.count { if case .unavailable = $0.state { true } else { false } }
        guard votes > 0 else { return nil }
        // Those that say nothing may have the key: then it is held as before.
        if votes + silent >= quorum { return before }
        if before.isInDoubt { return nil }
        before.isInDoubt = true
        return before
    }

    private func markOfQuorum(in status: LockStatus) -> Int? {
        status.ownerMarks.first { votes(for: $0, in: status) >= quorum }
    }

    private func votes(for holder: Holder, in status: LockStatus) -> Int {
        votes(for: holder.mark, in: status)
    }

    private func votes(for mark: Int, in status: LockStatus) -> Int {
        guard let number = status.ownerMarks.firstIndex(of: mark) else { return 0 }
        return status.nodes.count { node in
            if case .held(_, let ownerNumber) = node.state { ownerNumber == number + 1 } else { false }
        }
    }

    private func end(of holder: Holder, _ name: ResourceName, in picture: LockPicture) -> LockChange {
        if let end = holder.earliestEnd, picture.ended >= end {
            return .expired(resource: name.title, by: holder.description)
        }
        return .released(resource: name.title, by: holder.description)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What became of a lock, or of a node, from one look to the next; see `RedlockClient.changes(matching:every:)`.
public enum LockChange: Hashable, Sendable {
    // Of locks.
    /// The lock is held already when the watching begins.
    case held(LockStatus)
    /// Somebody holds the lock, which was free or not known to be held.
    case acquired(LockStatus)
    /// Somebody holds the lock under another owner token than before: another client, or the same one once more.
    case changedHands(LockStatus, from: LockStatus.Holder)
    /// The lock is free, and was given up or taken away before its time was over; who held it is told as last seen.
    ///
    /// A slot is called as in ``LockStatus/title``.
    case released(resource: String, by: LockStatus.Holder)
    /// The lock is free, and the time that it was seen to have left is over; who held it is told as last seen.
    ///
    /// Nobody renewed it before that, or it was released after its last renewal: the two look the same.
    case expired(resource: String, by: LockStatus.Holder)
    /// Nodes still have the key of the holder that is told as last seen, but at two looks fewer than a quorum, whatever
    /// those say that did not answer.
    case lost(LockStatus, by: LockStatus.Holder)
    /// So many more than before share the lock; all who do, when the watching begins.
    case sharersJoined(LockStatus, count: Int)
    /// So many fewer than before share the lock: they gave it up, or their time was over.
    case sharersLeft(LockStatus, count: Int)
    /// So many clients more than before wait for the lock.
    case waitersJoined(LockStatus, count: Int)
    /// So many clients fewer than before wait for the lock, which did not change hands.
    case waitersLeft(LockStatus, count: Int)

    /// Nodes have something in place of the lock that is none, and it has no holder; told once, until that is gone.
    case notALock(LockStatus)
    /// What nodes had in place of the lock is gone from all that answered; a slot is called as in ``LockStatus/title``.
    case foreignDataGone(resource: String)

    // Of nodes, as this client knows them.
    /// The node cannot be asked, for this reason.
    case nodeUnreachable(node: String, reason: String)
    /// The node can be asked, but its vote does not count, for this reason.
    case nodeLostVote(node: String, reason: String)
    /// The vote of the node counts again.
    case nodeRegainedVote(node: String)
    /// Too few nodes answered to say anything of the locks; nothing is said of them until a quorum answers again.
    case quorumLost(nodes: [RedlockError.NodeReport])
    /// A quorum answers again; what changed meanwhile is told as one change.
    case quorumRegained
}

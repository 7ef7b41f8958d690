// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// What the engine asks of a node.
///
/// The compatible profile uses the keys and scripts of the published algorithm, so that any other client that follows it
/// excludes and is excluded: https://redis.io/docs/latest/develop/use/patterns/distributed-locks/
package enum NodeCommand {
    /// Set the lock and take the next tokens of its counter, if the lock is free and the record is the admitted one.
    case acquire(Acquisition)
    /// The same for a client that waits in the queue, or is to be granted the lock in its turn.
    case acquireInTurn(Acquisition, Turn)
    /// Set several locks, or none, and take the same tokens for all of them.
    case acquireAll(Acquisition)
    /// Share the lock, if nobody has it alone and the record is the admitted one.
    case acquireShared(SharedAcquisition, Turn)
    /// Set the first slot that is free, from a number on and round.
    case acquireSlot(Acquisition, Slots, Turn, first: Int)
    /// Set the key to the owner token, for the time of the TTL, if the key is not there.
    case setIfAbsent(key: String, ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// Raise the counters to the end of a block, if the locks are still held.
    case raise([LockKeys], ownerToken: OwnerToken, blockEnd: Int64, lifeMilliseconds: Int64)
    /// Raise the life of locks to the TTL if they are held; never create one, never shorten a life.
    case extend([LockKeys], ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// The same for a lock that is shared.
    case extendShared(LockKeys, ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// Set locks again where they are missing, and raise the counters.
    case repair(Repair)
    /// The same for a lock that is shared, which has no counter.
    case repairShared(LockKeys, ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// Set the life of locks that are held to exactly the time; never create one, wake no waiter.
    case setLife([LockKeys], ownerToken: OwnerToken, lifeMilliseconds: Int64)
    /// The same for a lock that is shared.
    case setLifeShared(LockKeys, ownerToken: OwnerToken, lifeMilliseconds: Int64)
    /// Delete locks if they are held, and wake the first who waits for each; before it, the member that is named.
    case release([Release], ownerToken: OwnerToken, turnMilliseconds: Int64, first: String?)
    /// Share the lock no more; the last to do so wakes the first who waits for it.
    case releaseShared(Release, ownerToken: OwnerToken, turnMilliseconds: Int64)
    /// Delete whichever slot is held, and wake the first who waits for one.
    case releaseSlot(Slots, WaitingQueue, ownerToken: OwnerToken, turnMilliseconds: Int64, first: String?)
    /// Delete the lock if it is held, in a profile that has no queues.
    case releasePlain(lock: String, ownerToken: OwnerToken)
    /// Take a place in the queue for the lock, or keep it.
    case enqueue(Place)
    /// Give up the place in the queue for the lock.
    case leaveQueue(Wanted, WaitingQueue, member: String, turnMilliseconds: Int64)
    /// Read the lock and, where there are such, its counter, who shares it and how many wait for it.
    case read(LockKeys, waiting: WaitingQueue?)
    /// Write a node's record in place of the one that was read.
    case enrol(record: String, expected: String, before: String, after: String)
    /// Write another record in place of the one that was read, and leave the server's time as it is.
    case replaceRecord(record: String, expected: String, new: String)
    /// Delete what lies in place of a lock and is none.
    case removeForeign(LockKeys)
    /// Raise the counter, whoever holds the lock.
    case raiseByHand(fence: String, atLeast: Int64, lifeMilliseconds: Int64)
    /// Tell the time.
    case time
    /// Any other command.
    case plain([String])

    /// The keys of what is locked under one name.
    ///
    /// They are kept in parts, which go into a command without having been put together.
    package struct LockKeys: Hashable, Sendable {
        /// What the keys are of.
        package enum Kind: Hashable, Sendable {
            case lock
            /// A slot, by its number as keys have it.
            case slot(digits: String)
            /// A lock whose key is its name, and the only one.
            case nameAlone
        }

        package let prefix: String
        package let kind: Kind
        package let name: String

        package init(prefix: String, kind: Kind = .lock, name: String) {
            self.prefix = prefix
            self.kind = kind
            self.name = name
        }

        /// Holds the owner token of who has the lock alone.
        package var lock: String { prefix + lockKind + name }
        /// Holds the owner tokens of those who share the lock; nobody shares a slot.
        package var readers: String { prefix + readersKind + name }
        /// Counts the grants to those who had the lock alone.
        package var fence: String { prefix + fenceKind + name }

        var lockKind: String { kind(lock: "lock:", slot: "slot:") }
        var readersKind: String { kind(lock: "readers:", slot: "slot-readers:") }
        var fenceKind: String { kind(lock: "fence:", slot: "slot-fence:") }

        private func kind(lock: String, slot: String) -> String {
            switch kind {
            case .lock: lock
            case .slot(let digits): slot + digits + ":"
            case .nameAlone: ""
            }
        }
    }

    /// The slots under one name, whose keys have the number of the slot in their middle.
    package struct Slots: Hashable, Sendable {
        /// Holds how many there are, as clients have agreed.
        package let agreement: String
        package let lockStart: String
        package let fenceStart: String
        package let end: String
        package let count: Int

        package init(agreement: String, lockStart: String, fenceStart: String, end: String, count: Int) {
            self.agreement = agreement
            self.lockStart = lockStart
            self.fenceStart = fenceStart
            self.end = end
            self.count = count
        }
    }

    /// What somebody waits for.
    package enum Wanted: Sendable {
        case alone(LockKeys)
        case shared(LockKeys)
        case slot(Slots)
    }

    /// What an acquisition asks for.
    package struct Acquisition {
        package let record: String
        package let locks: [LockKeys]
        package let ownerToken: OwnerToken
        package let ttlMilliseconds: Int64
        package let seeding: Seeding
        /// How many tokens the grant takes; of several locks and of slots, as many as always.
        package let tokenCount: Int64

        package init(
            record: String,
            locks: [LockKeys],
            ownerToken: OwnerToken,
            ttlMilliseconds: Int64,
            seeding: Seeding,
            tokenCount: Int64 = tokensPerGrant
        ) {
            self.record = record
            self.locks = locks
            self.ownerToken = ownerToken
            self.ttlMilliseconds = ttlMilliseconds
            self.seeding = seeding
            self.tokenCount = tokenCount
        }
    }

    /// What somebody asks for who wants to share a lock.
    package struct SharedAcquisition {
        package let record: String
        package let keys: LockKeys
        package let ownerToken: OwnerToken
        package let ttlMilliseconds: Int64

        package init(record: String, keys: LockKeys, ownerToken: OwnerToken, ttlMilliseconds: Int64) {
            self.record = record
            self.keys = keys
            self.ownerToken = ownerToken
            self.ttlMilliseconds = ttlMilliseconds
        }
    }

    /// Whose turn it is to have a lock.
    package struct Turn: Sendable {
        package let queue: WaitingQueue
        /// Who waits: its channel's end, and what it knows the place by.
        package let member: String
        /// Those with lower ones have their turn first.
        package let ticket: Int64
        /// Whether the lock is not to be had while it is somebody else's turn.
        package let isAwaited: Bool
        /// How long one who is woken has to take the lock.
        package let milliseconds: Int64

        package init(queue: WaitingQueue, member: String, ticket: Int64, isAwaited: Bool, milliseconds: Int64) {
            self.queue = queue
            self.member = member
            self.ticket = ticket
            self.isAwaited = isAwaited
            self.milliseconds = milliseconds
        }
    }

    /// What a repair sets.
    package struct Repair {
        package let locks: [LockKeys]
        package let ownerToken: OwnerToken
        package let ttlMilliseconds: Int64
        package let blockEnd: Int64
        package let counterLifeMilliseconds: Int64

        package init(
            locks: [LockKeys],
            ownerToken: OwnerToken,
            ttlMilliseconds: Int64,
            blockEnd: Int64,
            counterLifeMilliseconds: Int64
        ) {
            self.locks = locks
            self.ownerToken = ownerToken
            self.ttlMilliseconds = ttlMilliseconds
            self.blockEnd = blockEnd
            self.counterLifeMilliseconds = counterLifeMilliseconds
        }
    }

    /// What is released, and where those wait who want it.
    package struct Release: Sendable {
        package let keys: LockKeys
        package let queue: WaitingQueue

        package init(keys: LockKeys, queue: WaitingQueue) {
            self.keys = keys
            self.queue = queue
        }
    }

    /// Where those wait on a node who want one lock, or a slot of one name; in parts, as the keys of locks are.
    package struct WaitingQueue: Hashable, Sendable {
        package let prefix: String
        package let isForSlots: Bool
        package let name: String

        package init(prefix: String, isForSlots: Bool = false, name: String) {
            self.prefix = prefix
            self.isForSlots = isForSlots
            self.name = name
        }

        /// The key of the members, by their tickets.
        package var queue: String { prefix + queueKind + name }
        /// The key of the same members, by when they are taken for gone.
        package var expiry: String { prefix + expiryKind + name }
        /// The key of the member that was woken last, as long as it is its turn.
        package var turn: String { prefix + turnKind + name }
        /// What the channel of a client begins with.
        package var channelPrefix: String { prefix + Self.channelKind }

        var queueKind: String { isForSlots ? "slot-queue:" : "queue:" }
        var expiryKind: String { isForSlots ? "slot-queue-expiry:" : "queue-expiry:" }
        var turnKind: String { isForSlots ? "slot-turn:" : "turn:" }
        static let channelKind = "wake:"
    }

    /// A place in a queue.
    package struct Place: Sendable {
        package let wanted: Wanted
        package let queue: WaitingQueue
        /// Who waits: its channel's end, and what it knows the place by.
        package let member: String
        /// Those with lower ones are woken first.
        package let ticket: Int64
        /// After which time the client is taken for gone, unless it has renewed its place.
        package let lifeMilliseconds: Int64
        /// Whether the place is taken also where the lock is free, because somebody is about to take that.
        package let isEvenIfFree: Bool

        package init(
            wanted: Wanted,
            queue: WaitingQueue,
            member: String,
            ticket: Int64,
            lifeMilliseconds: Int64,
            isEvenIfFree: Bool
        ) {
            self.wanted = wanted
            self.queue = queue
            self.member = member
            self.ticket = ticket
            self.lifeMilliseconds = lifeMilliseconds
            self.isEvenIfFree = isEvenIfFree
        }
    }

    /// What a counter begins with where it was lost.
    package struct Seeding {
        /// What the clock of one node says, as the client knows it, in microseconds since 1970.
        package let proposedMicroseconds: Int64
        /// How far it may be from that of the node which is asked, before the latter counts.
        package let toleranceMicroseconds: Int64

        package init(proposedMicroseconds: Int64, toleranceMicroseconds: Int64) {
            self.proposedMicroseconds = proposedMicroseconds
            self.toleranceMicroseconds = toleranceMicroseconds
        }
    }

    /// How many tokens one grant takes, as a rule: the first is that of the grant, the others are for tasks of the same client
    /// that it is handed over to.
    package static let tokensPerGrant = Int64(Script.tokensPerGrant)

    /// How many tokens one grant takes at most.
    package static let mostTokensPerGrant: Int64 = 256

    /// How long a counter lives that nobody raises: 7 days, so that names which come and go leave nothing behind.
    package static let counterLifeMilliseconds = Int64(Script.counterLifeMilliseconds)

    /// How long a counter must live that was raised to a token: until the time, which a new one begins with, has
    /// surely passed it.
    static func counterLifeMilliseconds(token: Int64, microseconds: Int64) -> Int64 {
        counterLifeMilliseconds + max(0, token - microseconds) / 1_000
    }

    /// The script that carries the command out; nil for a plain command.
    package var script: Script? {
        switch self {
        case .acquire: .acquire
        case .acquireInTurn: .acquireInTurn
        case .acquireAll: .acquireAll
        case .acquireShared: .acquireShared
        case .acquireSlot: .acquireSlot
        case .raise: .raise
        case .extend: .extend
        case .extendShared: .extendShared
        case .repair: .repair
        case .repairShared: .repairShared
        case .setLife: .setLife
        case .setLifeShared: .setLifeShared
        case .release: .release
        case .releaseShared: .releaseShared
        case .releaseSlot: .releaseSlot
        case .releasePlain: .releasePlain
        case .enqueue(let place): place.wanted.enqueueScript
        case .leaveQueue(let wanted, _, _, _): wanted.leaveScript
        case .read(_, let queue): queue == nil ? .readPlain : .read
        case .enrol: .enrol
        case .replaceRecord: .replaceRecord
        case .removeForeign: .removeForeign
        case .raiseByHand: .raiseByHand
        case .setIfAbsent, .time, .plain: nil
        }
    }

    /// Whether the answer counts as a vote, so that the clock of the node must be good.
    package var isVote: Bool {
        switch self {
        case .acquire, .acquireInTurn, .acquireAll, .acquireShared, .acquireSlot, .setIfAbsent, .raise, .extend,
            .extendShared:
            true
        case .repair, .repairShared, .setLife, .setLifeShared, .release, .releaseShared, .releaseSlot, .releasePlain,
            .enqueue, .leaveQueue, .read, .enrol, .replaceRecord, .removeForeign, .raiseByHand, .time, .plain:
            false
        }
    }

    /// Whether the last argument is the id of the node's own record, for which there is a place of fixed length.
    package var endsWithRecordID: Bool {
        switch self {
        case .acquire, .acquireInTurn, .acquireAll, .acquireShared, .acquireSlot: true
        default: false
        }
    }
}

extension NodeCommand.Wanted {
    fileprivate var enqueueScript: Script {
        switch self {
        case .alone: .enqueue
        case .shared: .enqueueShared
        case .slot: .enqueueForSlot
        }
    }

    fileprivate var leaveScript: Script {
        switch self {
        case .alone, .shared: .leaveQueue
        case .slot: .leaveQueueForSlot
        }
    }
}

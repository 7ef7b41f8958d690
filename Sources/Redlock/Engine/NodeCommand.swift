// SPDX-License-Identifier: Apache-2.0

package import Hiredis
package import LockCore
import RedisTransport

/// What the engine asks of a node.
///
/// The compatible profile uses the keys and scripts of the published algorithm, so that any other client that follows it
/// excludes and is excluded: https://redis.io/docs/latest/develop/use/patterns/distributed-locks/
package enum NodeCommand {
    /// Set the lock and take the next tokens of its counter, if the lock is free and the record is the admitted one.
    case acquire(Acquisition)
    /// Set the key to the owner token, for the time of the TTL, if the key is not there.
    case setIfAbsent(key: String, ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// Raise the counter to the end of a block, if the lock is still held.
    case raise(lock: String, fence: String, ownerToken: OwnerToken, blockEnd: Int64, lifeMilliseconds: Int64)
    /// Raise the life of the lock to the TTL if it is held; never create it, never shorten its life.
    case extend(lock: String, ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// Set the lock again where it is missing, and raise the counter.
    case repair(Repair)
    /// Delete the lock if it is held, and wake the first who waits for it.
    case release(lock: String, ownerToken: OwnerToken, waking: WaitingQueue?)
    /// Take a place in the queue for the lock, or keep it.
    case enqueue(Place)
    /// Give up the place in the queue for the lock.
    case leaveQueue(lock: String, WaitingQueue, client: String)
    /// Read the lock and, where there are such, its counter and how many wait for it.
    case read(lock: String, counting: Counting?)
    /// Write a node's record in place of the one that was read.
    case enrol(record: String, expected: String, before: String, after: String)
    /// Write another record in place of the one that was read, and leave the server's time as it is.
    case replaceRecord(record: String, expected: String, new: String)
    /// Raise the counter, whoever holds the lock.
    case raiseByHand(fence: String, atLeast: Int64, lifeMilliseconds: Int64)
    /// Tell the time.
    case time
    /// Any other command.
    case plain([String])

    /// What an acquisition asks for.
    package struct Acquisition {
        package let record: String
        package let lock: String
        package let fence: String
        package let ownerToken: OwnerToken
        package let ttlMilliseconds: Int64
        package let seeding: Seeding

        package init(
            record: String,
            lock: String,
            fence: String,
            ownerToken: OwnerToken,
            ttlMilliseconds: Int64,
            seeding: Seeding
        ) {
            self.record = record
            self.lock = lock
            self.fence = fence
            self.ownerToken = ownerToken
            self.ttlMilliseconds = ttlMilliseconds
            self.seeding = seeding
        }
    }

    /// What a repair sets.
    package struct Repair {
        package let lock: String
        package let fence: String
        package let ownerToken: OwnerToken
        package let ttlMilliseconds: Int64
        package let blockEnd: Int64
        package let counterLifeMilliseconds: Int64

        package init(
            lock: String,
            fence: String,
            ownerToken: OwnerToken,
            ttlMilliseconds: Int64,
            blockEnd: Int64,
            counterLifeMilliseconds: Int64
        ) {
            self.lock = lock
            self.fence = fence
            self.ownerToken = ownerToken
            self.ttlMilliseconds = ttlMilliseconds
            self.blockEnd = blockEnd
            self.counterLifeMilliseconds = counterLifeMilliseconds
        }
    }

    /// What stands beside a lock.
    package struct Counting: Sendable {
        package let fence: String
        package let queue: String

        package init(fence: String, queue: String) {
            self.fence = fence
            self.queue = queue
        }
    }

    /// Where those wait on a node who want one lock.
    package struct WaitingQueue: Sendable {
        /// The key of the clients that wait, by their tickets.
        package let queue: String
        /// The key of the same clients, by when they are taken for gone.
        package let expiry: String
        /// What the channel of a client begins with.
        package let channelPrefix: String

        package init(queue: String, expiry: String, channelPrefix: String) {
            self.queue = queue
            self.expiry = expiry
            self.channelPrefix = channelPrefix
        }
    }

    /// A place in a queue.
    package struct Place: Sendable {
        package let lock: String
        package let queue: WaitingQueue
        /// Who waits: what the name of its channel ends with.
        package let client: String
        /// Those with lower ones are woken first.
        package let ticket: Int64
        /// After which time the client is taken for gone, unless it has renewed its place.
        package let lifeMilliseconds: Int64
        /// Whether the place is taken also where the lock is free, because somebody is about to take that.
        package let isEvenIfFree: Bool

        package init(
            lock: String,
            queue: WaitingQueue,
            client: String,
            ticket: Int64,
            lifeMilliseconds: Int64,
            isEvenIfFree: Bool
        ) {
            self.lock = lock
            self.queue = queue
            self.client = client
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

    /// How many tokens one grant takes: the first is that of the grant, the others are for tasks of the same client that
    /// it is handed over to.
    package static let tokensPerGrant: Int64 = 16

    /// How long a counter lives that nobody raises: 7 days, so that names which come and go leave nothing behind.
    package static let counterLifeMilliseconds: Int64 = 7 * 86_400_000

    /// How long a counter must live that was raised to a token: until the time, which a new one begins with, has
    /// surely passed it.
    static func counterLifeMilliseconds(token: Int64, microseconds: Int64) -> Int64 {
        counterLifeMilliseconds + max(0, token - microseconds) / 1_000
    }

    /// The script that carries the command out; nil for a plain command.
    package var script: Script? {
        switch self {
        case .acquire: .acquire
        case .raise: .raise
        case .extend: .extend
        case .repair: .repair
        case .release(_, _, let queue): queue == nil ? .releasePlain : .release
        case .enqueue: .enqueue
        case .leaveQueue: .leaveQueue
        case .read(_, let counting): counting == nil ? .readPlain : .read
        case .enrol: .enrol
        case .replaceRecord: .replaceRecord
        case .raiseByHand: .raiseByHand
        case .setIfAbsent, .time, .plain: nil
        }
    }

    /// Whether the answer counts as a vote, so that the clock of the node must be good.
    package var isVote: Bool {
        switch self {
        case .acquire, .setIfAbsent, .raise, .extend: true
        case .repair, .release, .enqueue, .leaveQueue, .read, .enrol, .replaceRecord, .raiseByHand, .time, .plain: false
        }
    }

    /// Whether the last argument is the id of the node's own record, for which there is a place of fixed length.
    package var endsWithRecordID: Bool {
        if case .acquire = self { true } else { false }
    }

    /// Encodes the command; a script by its digest, or whole for a node that does not have it.
    package func encode(into encoder: inout CommandEncoder, wholeScript: Bool) {
        encoder.begin()
        if let script {
            encoder.append(wholeScript ? "EVAL" : "EVALSHA")
            encoder.append(wholeScript ? script.text : script.digest)
        }
        switch self {
        case .acquire(let acquisition):
            encoder.append(keys: acquisition.record, acquisition.lock, acquisition.fence)
            encoder.append(acquisition.ownerToken.secretText)
            encoder.append(acquisition.ttlMilliseconds)
            encoder.append(Self.tokensPerGrant)
            encoder.append(acquisition.seeding.proposedMicroseconds)
            encoder.append(acquisition.seeding.toleranceMicroseconds)
            encoder.append(Self.counterLifeMilliseconds)
            encoder.append(Self.recordIDPlace)
        case .setIfAbsent(let key, let ownerToken, let ttlMilliseconds):
            encoder.append("SET")
            encoder.append(key)
            encoder.append(ownerToken.secretText)
            encoder.append("NX")
            encoder.append("PX")
            encoder.append(ttlMilliseconds)
        case .raise(let lock, let fence, let ownerToken, let blockEnd, let lifeMilliseconds):
            encoder.append(keys: lock, fence)
            encoder.append(ownerToken.secretText)
            encoder.append(blockEnd)
            encoder.append(lifeMilliseconds)
        case .extend(let lock, let ownerToken, let ttlMilliseconds):
            encoder.append(keys: lock)
            encoder.append(ownerToken.secretText)
            encoder.append(ttlMilliseconds)
        case .repair(let repair):
            encoder.append(keys: repair.lock, repair.fence)
            encoder.append(repair.ownerToken.secretText)
            encoder.append(repair.ttlMilliseconds)
            encoder.append(repair.blockEnd)
            encoder.append(repair.counterLifeMilliseconds)
        case .release(let lock, let ownerToken, let queue):
            if let queue { encoder.append(keys: lock, queue.queue) } else { encoder.append(keys: lock) }
            encoder.append(ownerToken.secretText)
            if let queue { encoder.append(queue.channelPrefix) }
        case .enqueue(let place):
            encoder.append(keys: place.lock, place.queue.queue, place.queue.expiry)
            encoder.append(place.client)
            encoder.append(place.ticket)
            encoder.append(place.lifeMilliseconds)
            encoder.append(Int64(place.isEvenIfFree ? 1 : 0))
        case .leaveQueue(let lock, let queue, let client):
            encoder.append(keys: lock, queue.queue, queue.expiry)
            encoder.append(client)
            encoder.append(queue.channelPrefix)
        case .read(let lock, let counting):
            if let counting {
                encoder.append(keys: lock, counting.fence, counting.queue)
            } else {
                encoder.append(keys: lock)
            }
        case .enrol(let record, let expected, let before, let after):
            encoder.append(keys: record)
            encoder.append(expected)
            encoder.append(before)
            encoder.append(after)
        case .replaceRecord(let record, let expected, let new):
            encoder.append(keys: record)
            encoder.append(expected)
            encoder.append(new)
        case .raiseByHand(let fence, let atLeast, let lifeMilliseconds):
            encoder.append(keys: fence)
            encoder.append(atLeast)
            encoder.append(lifeMilliseconds)
        case .time:
            encoder.append("TIME")
        case .plain(let arguments):
            for argument in arguments { encoder.append(argument) }
        }
    }

    /// What stands for the id until it is written in.
    private static let recordIDPlace = String(repeating: "0", count: RecordID.digitCount)

    /// Writes the id of one node's record into an encoded command that ends with it, before its line end.
    package static func write(_ id: RecordID, intoEnd command: UnsafeMutableRawBufferPointer) {
        let start = command.count - 2 - RecordID.digitCount
        for place in 0..<RecordID.digitCount {
            let digit = UInt8(truncatingIfNeeded: id.bits >> UInt64(4 * (RecordID.digitCount - 1 - place))) & 0xF
            command[start + place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
        }
    }
}

extension CommandEncoder {
    /// Adds the number of keys and the keys, as scripts expect them.
    fileprivate mutating func append(keys: String...) {
        append(Int64(keys.count))
        for key in keys { append(key) }
    }
}

extension RESPValue {
    /// Why this reply to a command is none of those that the command gives.
    var problem: String {
        error?.withoutEchoedArguments ?? "an answer that the command does not give"
    }

    /// The server's clock in an answer to TIME, in microseconds since 1970.
    var serverMicroseconds: Int64? {
        guard case .array(let parts) = self, parts.count == 2,
            let seconds = parts[0].decimalNumber, seconds < 1 << 33,
            let microseconds = parts[1].decimalNumber, microseconds < 1_000_000
        else { return nil }
        return seconds * 1_000_000 + microseconds
    }

    /// The number that a bulk string of up to 18 digits stands for.
    private var decimalNumber: Int64? {
        guard case .bulkString(let bytes) = self, (1...18).contains(bytes.count) else { return nil }
        var number: Int64 = 0
        for byte in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            number = number * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return number
    }
}

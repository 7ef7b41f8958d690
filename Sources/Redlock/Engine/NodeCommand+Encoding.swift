// SPDX-License-Identifier: Apache-2.0

package import Hiredis
package import LockCore

extension NodeCommand {
    /// Encodes the command; a script by its digest, or whole for a node that does not have it.
    package func encode(into encoder: inout CommandEncoder, wholeScript: Bool) {
        encoder.begin()
        if let script {
            encoder.append(wholeScript ? "EVAL" : "EVALSHA")
            encoder.append(wholeScript ? script.text : script.digest)
        }
        switch self {
        case .acquire(let acquisition), .acquireAll(let acquisition):
            encoder.append(acquisition)
            encoder.append(Self.recordIDPlace)
        case .acquireInTurn(let acquisition, let turn):
            encoder.append(acquisition, further: [turn.queue.queue, turn.queue.expiry, turn.queue.turn])
            encoder.append(turn)
            encoder.append(Self.recordIDPlace)
        case .acquireShared(let acquisition, let turn):
            let keys = acquisition.keys
            let queue = turn.queue
            encoder.append(keys: acquisition.record, keys.lock, keys.readers, queue.queue, queue.expiry, queue.turn)
            encoder.append(acquisition.ownerToken.secretText)
            encoder.append(acquisition.ttlMilliseconds)
            encoder.append(turn.member)
            encoder.append(turn.ticket)
            encoder.append(turn.milliseconds)
            encoder.append(turn.queue.channelPrefix)
            encoder.append(Self.recordIDPlace)
        case .acquireSlot(let acquisition, let slots, let turn, let first):
            let queue = turn.queue
            encoder.append(keys: acquisition.record, slots.agreement, queue.queue, queue.expiry, queue.turn)
            encoder.appendArguments(of: acquisition)
            encoder.append(slots.lockStart)
            encoder.append(slots.fenceStart)
            encoder.append(slots.end)
            encoder.append(Int64(slots.count))
            encoder.append(turn)
            encoder.append(Int64(first))
            encoder.append(Self.recordIDPlace)
        case .setIfAbsent(let key, let ownerToken, let ttlMilliseconds):
            encoder.append("SET")
            encoder.append(key)
            encoder.append(ownerToken.secretText)
            encoder.append("NX")
            encoder.append("PX")
            encoder.append(ttlMilliseconds)
        case .raise(let locks, let ownerToken, let blockEnd, let lifeMilliseconds):
            encoder.append(keyCount: 2 * locks.count)
            for keys in locks {
                encoder.append(keys.lock)
                encoder.append(keys.fence)
            }
            encoder.append(ownerToken.secretText)
            encoder.append(blockEnd)
            encoder.append(lifeMilliseconds)
        case .extend(let locks, let ownerToken, let ttlMilliseconds):
            encoder.append(keyCount: locks.count)
            for keys in locks { encoder.append(keys.lock) }
            encoder.append(ownerToken.secretText)
            encoder.append(ttlMilliseconds)
        case .extendShared(let keys, let ownerToken, let ttlMilliseconds):
            encoder.append(keys: keys.readers)
            encoder.append(ownerToken.secretText)
            encoder.append(ttlMilliseconds)
        case .repair(let repair):
            encoder.append(keyCount: 3 * repair.locks.count)
            for keys in repair.locks { encoder.append(keys) }
            encoder.append(repair.ownerToken.secretText)
            encoder.append(repair.ttlMilliseconds)
            encoder.append(repair.blockEnd)
            encoder.append(repair.counterLifeMilliseconds)
        case .repairShared(let keys, let ownerToken, let ttlMilliseconds):
            encoder.append(keys: keys.lock, keys.readers)
            encoder.append(ownerToken.secretText)
            encoder.append(ttlMilliseconds)
        case .release(let releases, let ownerToken, let turnMilliseconds, let first):
            encoder.append(keyCount: 3 * releases.count)
            for release in releases {
                encoder.append(release.keys.lock)
                encoder.append(release.queue.queue)
                encoder.append(release.queue.turn)
            }
            encoder.append(ownerToken.secretText)
            encoder.append(releases.first?.queue.channelPrefix ?? "")
            encoder.append(turnMilliseconds)
            encoder.append(first ?? "")
        case .releaseShared(let release, let ownerToken, let turnMilliseconds):
            encoder.append(keys: release.keys.readers, release.queue.queue, release.queue.turn)
            encoder.append(ownerToken.secretText)
            encoder.append(release.queue.channelPrefix)
            encoder.append(turnMilliseconds)
        case .releaseSlot(let slots, let queue, let ownerToken, let turnMilliseconds, let first):
            encoder.append(keys: queue.queue, queue.turn)
            encoder.append(ownerToken.secretText)
            encoder.append(queue.channelPrefix)
            encoder.append(turnMilliseconds)
            encoder.append(first ?? "")
            encoder.append(slots)
        case .releasePlain(let lock, let ownerToken):
            encoder.append(keys: lock)
            encoder.append(ownerToken.secretText)
        case .enqueue(let place):
            let queue = place.queue
            switch place.wanted {
            case .alone(let keys), .shared(let keys):
                encoder.append(keys: keys.lock, keys.readers, queue.queue, queue.expiry, queue.turn)
            case .slot: encoder.append(keys: queue.queue, queue.expiry, queue.turn)
            }
            encoder.append(place.member)
            encoder.append(place.ticket)
            encoder.append(place.lifeMilliseconds)
            encoder.append(place.isEvenIfFree)
            switch place.wanted {
            case .alone: break
            case .shared: encoder.append(queue.channelPrefix)
            case .slot(let slots): encoder.append(slots)
            }
        case .leaveQueue(let wanted, let queue, let member, let turnMilliseconds):
            switch wanted {
            case .alone(let keys), .shared(let keys):
                encoder.append(keys: keys.lock, queue.queue, queue.expiry, queue.turn)
            case .slot: encoder.append(keys: queue.queue, queue.expiry, queue.turn)
            }
            encoder.append(member)
            encoder.append(queue.channelPrefix)
            encoder.append(turnMilliseconds)
            if case .slot(let slots) = wanted { encoder.append(slots) }
        case .read(let keys, let queue):
            if let queue {
                encoder.append(keys: keys.lock, keys.fence, keys.readers, queue.queue)
            } else {
                encoder.append(keys: keys.lock)
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
    /// Adds the number of keys, as scripts expect it before them.
    fileprivate mutating func append(keyCount: Int) {
        append(Int64(keyCount))
    }

    /// Adds the number of keys and the keys, as scripts expect them.
    fileprivate mutating func append(keys: String...) {
        append(keyCount: keys.count)
        for key in keys { append(key) }
    }

    fileprivate mutating func append(_ keys: NodeCommand.LockKeys) {
        append(keys.lock)
        append(keys.fence)
        append(keys.readers)
    }

    fileprivate mutating func append(_ turn: NodeCommand.Turn) {
        append(turn.member)
        append(turn.ticket)
        append(turn.isAwaited)
        append(turn.milliseconds)
        append(turn.queue.channelPrefix)
    }

    /// Adds where the slots are that may be held.
    fileprivate mutating func append(_ slots: NodeCommand.Slots) {
        append(slots.lockStart)
        append(slots.end)
        append(Int64(slots.count))
    }

    fileprivate mutating func append(_ flag: Bool) {
        append(Int64(flag ? 1 : 0))
    }

    /// Adds what all acquisitions of locks have in common that one holder has alone, but for the id of the record.
    fileprivate mutating func append(_ acquisition: NodeCommand.Acquisition, further keys: [String] = []) {
        append(keyCount: 1 + 3 * acquisition.locks.count + keys.count)
        append(acquisition.record)
        for keys in acquisition.locks { append(keys) }
        for key in keys { append(key) }
        appendArguments(of: acquisition)
    }

    fileprivate mutating func appendArguments(of acquisition: NodeCommand.Acquisition) {
        append(acquisition.ownerToken.secretText)
        append(acquisition.ttlMilliseconds)
        append(NodeCommand.tokensPerGrant)
        append(acquisition.seeding.proposedMicroseconds)
        append(acquisition.seeding.toleranceMicroseconds)
        append(NodeCommand.counterLifeMilliseconds)
    }
}

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
        case .acquire(let acquisition):
            encoder.append(acquisition)
            encoder.append(tokenCountOf: acquisition)
            encoder.append(acquisition.seeding)
        case .acquireAll(let acquisition):
            encoder.append(acquisition)
            encoder.append(acquisition.seeding)
        case .acquireInTurn(let acquisition, let turn):
            encoder.append(acquisition, turn.queue)
            encoder.append(turn)
            encoder.append(tokenCountOf: acquisition)
            encoder.append(acquisition.seeding)
        case .acquireShared(let acquisition, let turn):
            encoder.append(keyCount: 6)
            encoder.append(acquisition.record)
            encoder.append(lockOf: acquisition.keys)
            encoder.append(readersOf: acquisition.keys)
            encoder.append(turn.queue)
            encoder.append(acquisition.ownerToken.secretText)
            encoder.append(acquisition.ttlMilliseconds)
            encoder.append(turn.member)
            encoder.append(turn.ticket)
            encoder.append(turn.milliseconds)
            encoder.append(channelPrefixOf: turn.queue)
            encoder.append(Self.recordIDPlace)
        case .acquireSlot(let acquisition, let slots, let turn, let first):
            encoder.append(keyCount: 5)
            encoder.append(acquisition.record)
            encoder.append(slots.agreement)
            encoder.append(turn.queue)
            encoder.appendArguments(of: acquisition)
            encoder.append(slots.lockStart)
            encoder.append(slots.fenceStart)
            encoder.append(slots.end)
            encoder.append(Int64(slots.count))
            encoder.append(turn)
            encoder.append(Int64(first))
            encoder.append(acquisition.seeding)
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
                encoder.append(lockOf: keys)
                encoder.append(fenceOf: keys)
            }
            encoder.append(ownerToken.secretText)
            encoder.append(blockEnd)
            encoder.append(lifeMilliseconds)
        case .extend(let locks, let ownerToken, let ttlMilliseconds),
            .setLife(let locks, let ownerToken, let ttlMilliseconds):
            encoder.append(keyCount: locks.count)
            for keys in locks { encoder.append(lockOf: keys) }
            encoder.append(ownerToken.secretText)
            encoder.append(ttlMilliseconds)
        case .extendShared(let keys, let ownerToken, let ttlMilliseconds),
            .setLifeShared(let keys, let ownerToken, let ttlMilliseconds):
            encoder.append(keyCount: 1)
            encoder.append(readersOf: keys)
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
            encoder.append(keyCount: 2)
            encoder.append(lockOf: keys)
            encoder.append(readersOf: keys)
            encoder.append(ownerToken.secretText)
            encoder.append(ttlMilliseconds)
        case .release(let releases, let ownerToken, let turnMilliseconds, let first):
            encoder.append(keyCount: 3 * releases.count)
            for release in releases {
                encoder.append(lockOf: release.keys)
                encoder.append(queueOf: release.queue)
                encoder.append(turnOf: release.queue)
            }
            encoder.append(ownerToken.secretText)
            if let queue = releases.first?.queue {
                encoder.append(turnMilliseconds, first ?? "-", queue.prefix, WaitingQueue.channelKind)
            }
        case .releaseShared(let release, let ownerToken, let turnMilliseconds):
            encoder.append(keyCount: 3)
            encoder.append(readersOf: release.keys)
            encoder.append(queueOf: release.queue)
            encoder.append(turnOf: release.queue)
            encoder.append(ownerToken.secretText)
            encoder.append(channelPrefixOf: release.queue)
            encoder.append(turnMilliseconds)
        case .releaseSlot(let slots, let queue, let ownerToken, let turnMilliseconds, let first):
            encoder.append(keyCount: 2)
            encoder.append(queueOf: queue)
            encoder.append(turnOf: queue)
            encoder.append(ownerToken.secretText)
            encoder.append(channelPrefixOf: queue)
            encoder.append(turnMilliseconds)
            encoder.append(first ?? "")
            encoder.append(slots)
        case .releasePlain(let lock, let ownerToken):
            encoder.append(keys: lock)
            encoder.append(ownerToken.secretText)
        case .enqueue(let place):
            switch place.wanted {
            case .alone(let keys), .shared(let keys):
                encoder.append(keyCount: 5)
                encoder.append(lockOf: keys)
                encoder.append(readersOf: keys)
            case .slot: encoder.append(keyCount: 3)
            }
            encoder.append(place.queue)
            encoder.append(place.member)
            encoder.append(place.ticket)
            encoder.append(place.lifeMilliseconds)
            encoder.append(place.isEvenIfFree)
            switch place.wanted {
            case .alone: break
            case .shared: encoder.append(channelPrefixOf: place.queue)
            case .slot(let slots): encoder.append(slots)
            }
        case .leaveQueue(let wanted, let queue, let member, let turnMilliseconds):
            switch wanted {
            case .alone(let keys), .shared(let keys):
                encoder.append(keyCount: 4)
                encoder.append(lockOf: keys)
            case .slot: encoder.append(keyCount: 3)
            }
            encoder.append(queue)
            encoder.append(member)
            encoder.append(channelPrefixOf: queue)
            encoder.append(turnMilliseconds)
            if case .slot(let slots) = wanted { encoder.append(slots) }
        case .read(let keys, let queue):
            encoder.append(keyCount: queue == nil ? 1 : 4)
            encoder.append(lockOf: keys)
            if let queue {
                encoder.append(fenceOf: keys)
                encoder.append(readersOf: keys)
                encoder.append(queueOf: queue)
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
        case .removeForeign(let keys):
            encoder.append(keyCount: 2)
            encoder.append(lockOf: keys)
            encoder.append(readersOf: keys)
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
    fileprivate static let recordIDPlace = String(repeating: "0", count: RecordID.digitCount)

    /// Writes the id of one node's record into an encoded command that ends with it, before its line end.
    package static func write(_ id: RecordID, intoEnd command: UnsafeMutableRawBufferPointer) {
        let place = UnsafeMutableRawBufferPointer(rebasing: command.dropLast(2).suffix(RecordID.digitCount))
        id.bits.storeHexadecimalDigits(in: place)
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

    fileprivate mutating func append(lockOf keys: NodeCommand.LockKeys) {
        append(keys.prefix, keys.lockKind, keys.name)
    }

    fileprivate mutating func append(readersOf keys: NodeCommand.LockKeys) {
        append(keys.prefix, keys.readersKind, keys.name)
    }

    fileprivate mutating func append(fenceOf keys: NodeCommand.LockKeys) {
        append(keys.prefix, keys.fenceKind, keys.name)
    }

    fileprivate mutating func append(_ keys: NodeCommand.LockKeys) {
        append(lockOf: keys)
        append(fenceOf: keys)
        append(readersOf: keys)
    }

    fileprivate mutating func append(queueOf queue: NodeCommand.WaitingQueue) {
        append(queue.prefix, queue.queueKind, queue.name)
    }

    fileprivate mutating func append(turnOf queue: NodeCommand.WaitingQueue) {
        append(queue.prefix, queue.turnKind, queue.name)
    }

    fileprivate mutating func append(channelPrefixOf queue: NodeCommand.WaitingQueue) {
        append(queue.prefix, NodeCommand.WaitingQueue.channelKind, "")
    }

    fileprivate mutating func append(_ queue: NodeCommand.WaitingQueue) {
        append(queueOf: queue)
        append(queue.prefix, queue.expiryKind, queue.name)
        append(turnOf: queue)
    }

    fileprivate mutating func append(_ turn: NodeCommand.Turn) {
        append(turn.member)
        append(turn.ticket)
        append(turn.isAwaited)
        append(turn.milliseconds)
        append(channelPrefixOf: turn.queue)
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
    fileprivate mutating func append(
        _ acquisition: NodeCommand.Acquisition,
        _ queue: NodeCommand.WaitingQueue? = nil
    ) {
        append(keyCount: 1 + 3 * acquisition.locks.count + (queue == nil ? 0 : 3))
        append(acquisition.record)
        for keys in acquisition.locks { append(keys) }
        if let queue { append(queue) }
        appendArguments(of: acquisition)
    }

    fileprivate mutating func appendArguments(of acquisition: NodeCommand.Acquisition) {
        append(acquisition.ownerToken.secretText)
        append(acquisition.ttlMilliseconds)
    }

    /// Adds how many tokens are to be taken, if that is not what the scripts take of themselves.
    fileprivate mutating func append(tokenCountOf acquisition: NodeCommand.Acquisition) {
        guard acquisition.tokenCount != NodeCommand.tokensPerGrant else { return }
        append(acquisition.tokenCount)
    }

    /// Adds what a counter begins with where it was lost, and room for the id of the record.
    fileprivate mutating func append(_ seeding: NodeCommand.Seeding) {
        append(max(0, seeding.proposedMicroseconds), seeding.toleranceMicroseconds, NodeCommand.recordIDPlace)
    }
}

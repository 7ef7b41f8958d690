// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock

/// The scripts of the package, line by line, but in Swift.
///
/// What a script has done when it fails stays done. Its numbers are doubles.
extension SimulatedServer {
    func run(_ command: NodeCommand, recordID: RecordID?) throws(CommandError) -> RESPValue {
        switch command {
        case .acquire(let acquisition):
            try acquire(acquisition, recordID: recordID ?? RecordID(bits: 0))
        case .raise(let lock, let fence, let ownerToken, let blockEnd, let lifeMilliseconds):
            try raise(lock, fence, ownerToken, blockEnd: blockEnd, lifeMilliseconds: lifeMilliseconds)
        case .extend(let lock, let ownerToken, let ttlMilliseconds):
            try extend(lock, ownerToken, ttlMilliseconds: ttlMilliseconds)
        case .repair(let repair): try self.repair(repair)
        case .release(let lock, let ownerToken, let queue): try release(lock, ownerToken, waking: queue)
        case .enqueue(let place): try enqueue(place)
        case .leaveQueue(let lock, let queue, let client): try leave(lock, queue, client)
        case .read(let lock, let counting): try read(lock, counting)
        case .enrol(let record, let expected, let before, let after):
            try enrol(record, expected: expected, before: before, after: after)
        case .replaceRecord(let record, let expected, let new): try replace(record, expected: expected, new: new)
        case .raiseByHand(let fence, let atLeast, let lifeMilliseconds):
            try raiseByHand(fence, atLeast: atLeast, lifeMilliseconds: lifeMilliseconds)
        case .setIfAbsent, .time, .plain: preconditionFailure("a command without a script")
        }
    }

    // MARK: Locks

    private func acquire(
        _ acquisition: NodeCommand.Acquisition,
        recordID: RecordID
    ) throws(CommandError) -> RESPValue {
        let head = RecordHead(try get(acquisition.record)?.string)
        guard head.id == recordID.bits || defects.contains(.acquireIgnoresRecord) else { return .integer(0) }
        if !defects.contains(.acquireIgnoresHeldKey), try exists(acquisition.lock) {
            let left = Double(try remainingLife(acquisition.lock))
            return .integer(LuaNumber.integer(left < 0 ? -9_007_199_254_740_991 : -1 - left))
        }
        let last = try count(acquisition, since: head.enrolled)
        if last > 9_007_199_253_692_416 {
            return .error("ERR the counter of fencing tokens is used up")
        }
        let isLasting = defects.contains(.acquireSetsKeyWithoutTTL)
        try set(
            acquisition.lock,
            acquisition.ownerToken.secretText,
            lifeMilliseconds: isLasting ? nil : acquisition.ttlMilliseconds
        )
        return .integer(LuaNumber.integer(last - Double(NodeCommand.tokensPerGrant) + 1))
    }

    /// Takes the next tokens; a counter that was lost goes on from what nobody had before.
    private func count(
        _ acquisition: NodeCommand.Acquisition,
        since enrolled: Double?
    ) throws(CommandError) -> Double {
        var reserve = NodeCommand.tokensPerGrant
        var last: Double
        if defects.contains(.acquireAnswersCounterWithoutRaising) {
            reserve = 0
            last = try number(get(acquisition.fence)) ?? 0
        } else {
            last = Double(try increment(acquisition.fence, by: reserve))
        }
        if defects.contains(.acquireDoesNotSeedLostCounter) { return last }
        guard let enrolled = enrolled ?? (defects.contains(.acquireIgnoresRecord) ? 0 : nil) else {
            throw .comparedWithNothing(9, "number with nil")
        }
        if last - Double(reserve) < enrolled {
            let now = Double(try currentMicroseconds())
            var proposal = Double(acquisition.seeding.proposedMicroseconds)
            if abs(proposal - now) > Double(acquisition.seeding.toleranceMicroseconds) { proposal = now }
            last = LuaNumber.maximum(last - Double(reserve), proposal, enrolled) + Double(reserve)
            try set(
                acquisition.fence,
                LuaNumber.text(last),
                lifeMilliseconds: NodeCommand.counterLifeMilliseconds
            )
        }
        return last
    }

    private func raise(
        _ lock: String,
        _ fence: String,
        _ ownerToken: OwnerToken,
        blockEnd: Int64,
        lifeMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        let isMine = try holds(lock, ownerToken)
        guard isMine || defects.contains(.raiseIgnoresOwner) else { return .integer(0) }
        if defects.contains(.raiseAnswersWithoutRaising) { return .integer(1) }
        guard let counter = try counter(fence) else { throw .comparedWithNothing(3, "nil with number") }
        if counter < Double(blockEnd) {
            try set(fence, .integer(blockEnd), lifeMilliseconds: lifeMilliseconds)
        } else {
            let left = Double(try remainingLife(fence))
            if left >= 0, left < Double(lifeMilliseconds) { try setLife(fence, lifeMilliseconds) }
        }
        return .integer(1)
    }

    private func extend(
        _ lock: String,
        _ ownerToken: OwnerToken,
        ttlMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        guard let owner = try get(lock)?.string else {
            guard defects.contains(.extendRecreatesMissingKey) else { return .integer(-2) }
            try set(lock, ownerToken.secretText, lifeMilliseconds: ttlMilliseconds)
            return .integer(ttlMilliseconds)
        }
        guard owner == ownerToken.secretText else { return .integer(-3) }
        let left = Double(protectedRemainingLife(lock) ?? -4)
        if left < Double(ttlMilliseconds) || defects.contains(.extendShortensLife) {
            try setLife(lock, ttlMilliseconds)
        }
        return .integer(LuaNumber.integer(left))
    }

    private func repair(_ repair: NodeCommand.Repair) throws(CommandError) -> RESPValue {
        if !defects.contains(.repairOverwritesForeignKey), try exists(repair.lock) { return .integer(0) }
        if !defects.contains(.repairDoesNotRaiseCounter) {
            guard let counter = try counter(repair.fence) else { throw .comparedWithNothing(3, "nil with number") }
            if counter < Double(repair.blockEnd) {
                try set(repair.fence, .integer(repair.blockEnd), lifeMilliseconds: repair.counterLifeMilliseconds)
            }
        }
        try set(repair.lock, repair.ownerToken.secretText, lifeMilliseconds: repair.ttlMilliseconds)
        return .integer(1)
    }

    private func release(
        _ lock: String,
        _ ownerToken: OwnerToken,
        waking queue: NodeCommand.WaitingQueue?
    ) throws(CommandError) -> RESPValue {
        let isMine = try holds(lock, ownerToken)
        guard isMine || defects.contains(.releaseDeletesForeignKey) else { return .integer(0) }
        let deleted: Int64 = try delete(lock)
        guard let queue else { return .integer(deleted) }
        return .integer(wakeTheFirst(of: queue) ? 2 : 1)
    }

    // MARK: Queues

    /// Whether somebody is woken; what fails on the way is not told.
    private func wakeTheFirst(of queue: NodeCommand.WaitingQueue) -> Bool {
        if defects.contains(.releaseWakesNobody) { return false }
        for _ in 0..<8 {
            guard let waiting = try? range(queue.queue, 4), let first = waiting.first,
                (try? removeScore(queue.queue, first)) != nil,
                let receivers = try? publish(queue.channelPrefix + first, "0 " + queue.queue)
            else { return false }
            guard receivers > 0 else { continue }
            for (place, client) in waiting.dropFirst().enumerated() {
                _ = try? publish(queue.channelPrefix + client, "\(place + 1) " + queue.queue)
            }
            return true
        }
        return false
    }

    private func enqueue(_ place: NodeCommand.Place) throws(CommandError) -> RESPValue {
        if try !exists(place.lock), !place.isEvenIfFree {
            _ = try removeScore(place.queue.queue, place.client)
            _ = try removeScore(place.queue.expiry, place.client)
            return .integer(0)
        }
        let now = Double(try currentMicroseconds() / 1_000)
        for gone in try range(place.queue.expiry, upTo: now, 8) {
            _ = try removeScore(place.queue.queue, gone)
            _ = try removeScore(place.queue.expiry, gone)
        }
        try addScore(place.queue.queue, Double(place.ticket), place.client)
        try addScore(place.queue.expiry, now + Double(place.lifeMilliseconds), place.client)
        try setLife(place.queue.queue, place.lifeMilliseconds)
        try setLife(place.queue.expiry, place.lifeMilliseconds)
        let left = try remainingLife(place.lock)
        let rank = try rank(place.queue.queue, place.client)
        return .array([.integer(LuaNumber.integer(Double(left))), rank.map(RESPValue.integer) ?? .null])
    }

    private func leave(
        _ lock: String,
        _ queue: NodeCommand.WaitingQueue,
        _ client: String
    ) throws(CommandError) -> RESPValue {
        _ = try removeScore(queue.expiry, client)
        if try removeScore(queue.queue, client) == 1 { return .integer(0) }
        if try exists(lock) { return .integer(0) }
        return .integer(wakeTheFirst(of: queue) ? 1 : 0)
    }

    private func read(_ lock: String, _ counting: NodeCommand.Counting?) throws(CommandError) -> RESPValue {
        let left = protectedRemainingLife(lock) ?? -3
        let waiting = counting.flatMap { try? count($0.queue) }
        let owner = try get(lock)?.string
        var counter: String?
        if let counting { counter = try get(counting.fence)?.string }
        return .array([
            owner.map(RESPValue.bulkText) ?? .null,
            .integer(LuaNumber.integer(Double(left))),
            counter.map(RESPValue.bulkText) ?? .null,
            waiting.map(RESPValue.integer) ?? .null,
        ])
    }

    // MARK: Records and counters

    private func enrol(
        _ record: String,
        expected: String,
        before: String,
        after: String
    ) throws(CommandError) -> RESPValue {
        let current = try get(record)?.string ?? ""
        guard current == expected || defects.contains(.enrolOverwritesForeignRecord) else { return .bulkText(current) }
        let digits = String(try currentMicroseconds())
        let time = String(repeating: "0", count: max(0, 16 - digits.utf8.count)) + digits
        let new = "\(before) \(time) \(after)"
        try set(record, new)
        return .bulkText(new)
    }

    private func replace(_ record: String, expected: String, new: String) throws(CommandError) -> RESPValue {
        guard try get(record)?.string == expected else { return .integer(0) }
        try set(record, new)
        return .integer(1)
    }

    private func raiseByHand(
        _ fence: String,
        atLeast: Int64,
        lifeMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        guard let counter = try counter(fence) else { throw .comparedWithNothing(2, "number with nil") }
        if counter >= Double(atLeast) { return .integer(LuaNumber.integer(counter)) }
        try set(fence, .integer(atLeast), lifeMilliseconds: lifeMilliseconds)
        return .integer(LuaNumber.integer(Double(atLeast)))
    }

    // MARK: What scripts have in common

    private func holds(_ lock: String, _ ownerToken: OwnerToken) throws(CommandError) -> Bool {
        try get(lock)?.string == ownerToken.secretText
    }

    /// The counter as a number: 0 if there is none, nil if it is no number.
    private func counter(_ fence: String) throws(CommandError) -> Double? {
        guard let value = try get(fence) else { return 0 }
        return number(value)
    }

    private func number(_ value: SimulatedKeys.Value?) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .text(let text): LuaNumber.number(text)
        case .scores, .collection, nil: nil
        }
    }

    /// PTTL by pcall; nil if it is refused.
    private func protectedRemainingLife(_ key: String) -> Int64? {
        try? remainingLife(key)
    }

    private func currentMicroseconds() throws(CommandError) -> Int64 {
        try admit(.time)
        return keys.now
    }
}

/// What a script reads in the text of a record, whatever that is.
private struct RecordHead {
    /// The first 16 bytes, if they are an id.
    var id: UInt64?
    /// The number in the bytes 18 to 33.
    var enrolled: Double?

    init(_ record: String?) {
        guard var record else { return }
        record.withUTF8 { bytes in
            guard bytes.count >= RecordID.digitCount else { return }
            id = Self.identifier(bytes[..<RecordID.digitCount])
            enrolled = Self.number(bytes[min(17, bytes.count)..<min(33, bytes.count)])
        }
    }

    /// Only lower case digits: a script compares character by character.
    private static func identifier(_ digits: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64? {
        var bits: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): bits = bits << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): bits = bits << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return bits
    }

    private static func number(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Double? {
        var number: Int64 = 0
        for digit in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else {
                return LuaNumber.number(String(decoding: text, as: UTF8.self))
            }
            number = 10 * number + Int64(digit - UInt8(ascii: "0"))
        }
        return text.isEmpty ? nil : Double(number)
    }
}

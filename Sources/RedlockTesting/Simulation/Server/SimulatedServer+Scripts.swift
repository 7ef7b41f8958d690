// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock

/// The scripts of the package, line by line, but in Swift.
///
/// What a script has done when it fails stays done. Its numbers are doubles.
extension SimulatedServer {
    func run(_ command: NodeCommand, recordID: RecordID?) throws(CommandError) -> RESPValue {
        let recordID = recordID ?? RecordID(bits: 0)
        switch command {
        case .acquire(let acquisition): return try acquire(acquisition, nil, recordID: recordID)
        case .acquireInTurn(let acquisition, let turn): return try acquire(acquisition, turn, recordID: recordID)
        case .acquireAll(let acquisition): return try acquireAll(acquisition, recordID: recordID)
        case .acquireShared(let acquisition, let turn): return try acquireShared(acquisition, turn, recordID: recordID)
        case .raise(let locks, let ownerToken, let blockEnd, let lifeMilliseconds):
            return try raise(locks, ownerToken, blockEnd: blockEnd, lifeMilliseconds: lifeMilliseconds)
        case .extend(let locks, let ownerToken, let ttlMilliseconds):
            return try extend(locks, ownerToken, ttlMilliseconds: ttlMilliseconds)
        case .extendShared(let keys, let ownerToken, let ttlMilliseconds):
            return try extendShared(keys, ownerToken, ttlMilliseconds: ttlMilliseconds)
        case .repair(let repair): return try self.repair(repair)
        case .repairShared(let keys, let ownerToken, let ttlMilliseconds):
            return try repairShared(keys, ownerToken, ttlMilliseconds: ttlMilliseconds)
        case .setLife(let locks, let ownerToken, let lifeMilliseconds):
            return try setLife(locks, ownerToken, lifeMilliseconds: lifeMilliseconds)
        case .setLifeShared(let keys, let ownerToken, let lifeMilliseconds):
            return try setLifeShared(keys, ownerToken, lifeMilliseconds: lifeMilliseconds)
        case .acquireSlot(let acquisition, let slots, let turn, let first):
            return try acquireSlot(acquisition, slots, turn, first: first, recordID: recordID)
        case .releaseSlot(let slots, let queue, let ownerToken, let turnMilliseconds, let first):
            return try releaseSlot(slots, queue, ownerToken, turnMilliseconds: turnMilliseconds, first: first)
        case .release(let releases, let ownerToken, let turnMilliseconds, let first):
            return try release(releases, ownerToken, turnMilliseconds: turnMilliseconds, first: first)
        case .releaseShared(let release, let ownerToken, let turnMilliseconds):
            return try releaseShared(release, ownerToken, turnMilliseconds: turnMilliseconds)
        case .releasePlain(let lock, let ownerToken): return try releasePlain(lock, ownerToken)
        case .enqueue(let place): return try enqueue(place)
        case .leaveQueue(let wanted, let queue, let member, let turnMilliseconds):
            return try leave(wanted, queue, member, turnMilliseconds: turnMilliseconds)
        case .read(let keys, let queue): return try read(keys, queue)
        case .enrol(let record, let expected, let before, let after):
            return try enrol(record, expected: expected, before: before, after: after)
        case .replaceRecord(let record, let expected, let new): return try replace(record, expected: expected, new: new)
        case .removeForeign(let keys): return try removeForeign(keys)
        case .raiseByHand(let fence, let atLeast, let lifeMilliseconds):
            return try raiseByHand(fence, atLeast: atLeast, lifeMilliseconds: lifeMilliseconds)
        case .setIfAbsent, .time, .plain: preconditionFailure("a command without a script")
        }
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
        guard let counter = try counter(fence) else { throw .comparedWithNothing("number with nil") }
        if counter >= Double(atLeast) { return .integer(LuaNumber.integer(counter)) }
        try set(fence, .integer(atLeast), lifeMilliseconds: lifeMilliseconds)
        return .integer(LuaNumber.integer(Double(atLeast)))
    }

    // MARK: What scripts have in common

    func holds(_ lock: String, _ ownerToken: OwnerToken) throws(CommandError) -> Bool {
        try get(lock)?.string == ownerToken.secretText
    }

    /// The counter as a number: 0 if there is none, nil if it is no number.
    func counter(_ fence: String) throws(CommandError) -> Double? {
        guard let value = try get(fence) else { return 0 }
        return number(value)
    }

    func number(_ value: SimulatedKeys.Value?) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .text(let text): LuaNumber.number(text)
        case .scores, .collection, nil: nil
        }
    }

    /// PTTL by pcall; nil if it is refused.
    func protectedRemainingLife(_ key: String) -> Int64? {
        try? remainingLife(key)
    }

    func currentMicroseconds() throws(CommandError) -> Int64 {
        try admit(.time)
        return keys.now
    }
}

/// What a script reads in the text of a record, whatever that is.
struct RecordHead {
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

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock

/// The scripts by which somebody has one of several slots.
extension SimulatedServer {
    private func number(_ slot: Int) -> String {
        let digits = String(slot)
        return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    }

    /// The first slot that is free, from a number on and round, or how long the first to be free is still held.
    func firstFree(_ slots: NodeCommand.Slots, from first: Int = 0) throws(CommandError) -> (number: Int?, left: Int64)
    {
        var left: Int64 = -1
        for step in 0..<max(0, slots.count) {
            let slot = (first + step) % slots.count
            let life = try remainingLife(slots.lockStart + number(slot) + slots.end)
            if life == -2 { return (slot, -2) }
            if life >= 0, left < 0 || life < left { left = life }
        }
        return (nil, left)
    }

    func acquireSlot(
        _ acquisition: NodeCommand.Acquisition,
        _ slots: NodeCommand.Slots,
        _ turn: NodeCommand.Turn,
        first: Int,
        recordID: RecordID
    ) throws(CommandError) -> RESPValue {
        let head = RecordHead(try get(acquisition.record)?.string)
        guard head.id == recordID.bits || defects.contains(.acquireIgnoresRecord) else { return .integer(0) }
        if let agreed = try otherAgreement(slots) { return .integer(agreed) }
        let (free, left) = try firstFree(slots, from: first)
        guard let slot = free ?? (defects.contains(.slotIgnoresHeldKey) ? 0 : nil) else {
            return .array([.integer(Self.refusal(left)), .integer(0)])
        }
        let whoseTurn = try get(turn.queue.turn)?.string
        if turn.isAwaited, whoseTurn != turn.member, let left = try lifeOfTurn(whoseTurn, before: turn) {
            return .array([.integer(LuaNumber.integer(-1 - Double(left))), .integer(0)])
        }
        let last = try count(acquisition, slots.fenceStart + number(slot) + slots.end, since: head.enrolled)
        if last > 9_007_199_253_692_416 {
            return .error("ERR the counter of fencing tokens is used up")
        }
        try set(
            slots.lockStart + number(slot) + slots.end,
            acquisition.ownerToken.secretText,
            lifeMilliseconds: acquisition.ttlMilliseconds
        )
        try set(slots.agreement, String(slots.count), lifeMilliseconds: NodeCommand.counterLifeMilliseconds)
        try endPlace(turn, whoseTurn)
        return .array([
            .integer(LuaNumber.integer(last - Double(NodeCommand.tokensPerGrant) + 1)), .integer(Int64(slot)),
        ])
    }

    /// How many slots there are, if not as many as the client believes, and one is held.
    private func otherAgreement(_ slots: NodeCommand.Slots) throws(CommandError) -> Int64? {
        let value = try get(slots.agreement)
        guard let agreed = value == nil ? Double(slots.count) : number(value), agreed != Double(slots.count),
            agreed >= 1, agreed <= 1_000, !defects.contains(.slotIgnoresAgreement)
        else { return nil }
        for slot in 0..<Int(agreed) where try exists(slots.lockStart + number(slot) + slots.end) {
            return LuaNumber.integer(agreed)
        }
        return nil
    }

    func releaseSlot(
        _ slots: NodeCommand.Slots,
        _ queue: NodeCommand.WaitingQueue,
        _ ownerToken: OwnerToken,
        turnMilliseconds: Int64,
        first: String?
    ) throws(CommandError) -> RESPValue {
        var isHeld = false
        for slot in 0..<max(0, slots.count) {
            let lock = slots.lockStart + number(slot) + slots.end
            guard try holds(lock, ownerToken) else { continue }
            let _: Int64 = try delete(lock)
            isHeld = true
        }
        guard isHeld else { return .integer(0) }
        return .integer(try wake(queue, turnMilliseconds: turnMilliseconds, named: first) ? 2 : 1)
    }
}

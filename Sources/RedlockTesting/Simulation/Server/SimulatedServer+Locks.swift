// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock

/// The scripts by which one holder has a lock alone.
extension SimulatedServer {
    /// The answer where a lock is held for another time, -1 for ever.
    static func refusal(_ left: Int64) -> Int64 {
        LuaNumber.integer(left < 0 ? -9_007_199_254_740_991 : -1 - Double(left))
    }

    private func isHeld(_ keys: NodeCommand.LockKeys) throws(CommandError) -> Bool {
        if defects.contains(.acquireIgnoresReaders) { return try exists(keys.lock) }
        return try exists(keys.lock, keys.readers)
    }

    private func lifeOfHolder(_ keys: NodeCommand.LockKeys) throws(CommandError) -> Int64 {
        let left = try remainingLife(keys.lock)
        return max(left, try remainingLife(keys.readers))
    }

    func acquire(
        _ acquisition: NodeCommand.Acquisition,
        _ turn: NodeCommand.Turn?,
        recordID: RecordID
    ) throws(CommandError) -> RESPValue {
        let keys = acquisition.locks[0]
        let head = RecordHead(try get(acquisition.record)?.string)
        guard head.id == recordID.bits || defects.contains(.acquireIgnoresRecord) else { return .integer(0) }
        if !defects.contains(.acquireIgnoresHeldKey), try isHeld(keys) {
            return .integer(Self.refusal(try lifeOfHolder(keys)))
        }
        var whoseTurn: String?
        if let turn {
            whoseTurn = try get(turn.queue.turn)?.string
            if turn.isAwaited, whoseTurn != turn.member, let left = try lifeOfTurn(whoseTurn, before: turn) {
                return .integer(LuaNumber.integer(-1 - Double(left)))
            }
        }
        let last = try count(acquisition, keys.fence, since: head.enrolled)
        if last > 9_007_199_253_692_416 {
            return .error("ERR the counter of fencing tokens is used up")
        }
        let isLasting = defects.contains(.acquireSetsKeyWithoutTTL)
        try set(
            keys.lock,
            acquisition.ownerToken.secretText,
            lifeMilliseconds: isLasting ? nil : acquisition.ttlMilliseconds
        )
        if let turn { try endPlace(turn, whoseTurn) }
        return .integer(LuaNumber.integer(last - Double(acquisition.tokenCount) + 1))
    }

    /// How long it is the turn of somebody else; nil if it is not.
    func lifeOfTurn(_ whoseTurn: String?, before turn: NodeCommand.Turn) throws(CommandError) -> Int64? {
        if whoseTurn != nil { return try remainingLife(turn.queue.turn) }
        let limit = (turn.member, Double(turn.ticket))
        let isWoken = try wake(turn.queue, turnMilliseconds: turn.milliseconds, before: limit)
        return isWoken ? turn.milliseconds : nil
    }

    func endPlace(_ turn: NodeCommand.Turn, _ whoseTurn: String?) throws(CommandError) {
        if whoseTurn == turn.member { let _: Int64 = try delete(turn.queue.turn) }
        _ = try? removeScore(turn.queue.queue, turn.member)
        _ = try? removeScore(turn.queue.expiry, turn.member)
    }

    /// Takes the next tokens; a counter that was lost goes on from what nobody had before.
    func count(
        _ acquisition: NodeCommand.Acquisition,
        _ fence: String,
        since enrolled: Double?
    ) throws(CommandError) -> Double {
        var reserve = acquisition.tokenCount
        var last: Double
        if defects.contains(.acquireAnswersCounterWithoutRaising) {
            reserve = 0
            last = try number(get(fence)) ?? 0
        } else {
            last = Double(try increment(fence, by: reserve))
        }
        if defects.contains(.acquireDoesNotSeedLostCounter) { return last }
        guard let enrolled = enrolled ?? (defects.contains(.acquireIgnoresRecord) ? 0 : nil) else {
            throw .reckonedWithText
        }
        if last - Double(reserve) < enrolled {
            let proposal = proposal(acquisition.seeding, now: Double(try currentMicroseconds()))
            last = LuaNumber.maximum(last - Double(reserve), proposal, enrolled) + Double(reserve)
            try set(fence, LuaNumber.text(last), lifeMilliseconds: NodeCommand.counterLifeMilliseconds)
        }
        return last
    }

    private func proposal(_ seeding: NodeCommand.Seeding, now: Double) -> Double {
        let proposal = Double(seeding.proposedMicroseconds)
        return abs(proposal - now) > Double(seeding.toleranceMicroseconds) ? now : proposal
    }

    func acquireAll(
        _ acquisition: NodeCommand.Acquisition,
        recordID: RecordID
    ) throws(CommandError) -> RESPValue {
        let head = RecordHead(try get(acquisition.record)?.string)
        guard head.id == recordID.bits || defects.contains(.acquireIgnoresRecord) else { return .integer(0) }
        for (place, keys) in acquisition.locks.enumerated() {
            guard try isHeld(keys), place == 0 || !defects.contains(.acquireAllLooksAtFirst) else { continue }
            return .array([.integer(Self.refusal(try lifeOfHolder(keys))), .integer(Int64(place + 1))])
        }
        let now = Double(try currentMicroseconds())
        let proposal = proposal(acquisition.seeding, now: now)
        var counters: [Double] = []
        var start = 0.0
        for keys in acquisition.locks {
            guard let counter = try counter(keys.fence) else { throw .notANumber(argument: 2) }
            counters.append(counter)
            guard let enrolled = head.enrolled ?? (defects.contains(.acquireIgnoresRecord) ? 0 : nil) else {
                throw .notANumber(argument: 3)
            }
            start = LuaNumber.maximum(start, counter, enrolled)
            if counter < enrolled { start = max(start, proposal) }
        }
        let reserve = Double(NodeCommand.tokensPerGrant)
        let last = start + reserve
        if last > 9_007_199_253_692_416 {
            return .error("ERR the counter of fencing tokens is used up")
        }
        let life = Double(NodeCommand.counterLifeMilliseconds) + max(0, ((last - now) / 1_000).rounded(.down))
        for (keys, counter) in zip(acquisition.locks, counters) {
            if counter == start {
                _ = try increment(keys.fence, by: NodeCommand.tokensPerGrant)
            } else if !defects.contains(.acquireAllRaisesHighestOnly) {
                try set(keys.fence, LuaNumber.text(last), lifeMilliseconds: LuaNumber.integer(life))
            }
        }
        for keys in acquisition.locks {
            try set(keys.lock, acquisition.ownerToken.secretText, lifeMilliseconds: acquisition.ttlMilliseconds)
        }
        return .array([.integer(LuaNumber.integer(last - reserve + 1)), .integer(0)])
    }

    func raise(
        _ locks: [NodeCommand.LockKeys],
        _ ownerToken: OwnerToken,
        blockEnd: Int64,
        lifeMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        for keys in locks {
            let isMine = try holds(keys.lock, ownerToken)
            guard isMine || defects.contains(.raiseIgnoresOwner) else { return .integer(0) }
        }
        if defects.contains(.raiseAnswersWithoutRaising) { return .integer(1) }
        for keys in locks {
            guard let counter = try counter(keys.fence) else { throw .comparedWithNothing("nil with number") }
            if counter < Double(blockEnd) {
                try set(keys.fence, .integer(blockEnd), lifeMilliseconds: lifeMilliseconds)
            } else {
                let left = Double(try remainingLife(keys.fence))
                if left >= 0, left < Double(lifeMilliseconds) { try setLife(keys.fence, lifeMilliseconds) }
            }
        }
        return .integer(1)
    }

    func extend(
        _ locks: [NodeCommand.LockKeys],
        _ ownerToken: OwnerToken,
        ttlMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        var worst: Int64 = 0
        for keys in locks {
            if let owner = try get(keys.lock)?.string {
                if owner != ownerToken.secretText { worst = -3 }
            } else if defects.contains(.extendRecreatesMissingKey) {
                try set(keys.lock, ownerToken.secretText, lifeMilliseconds: ttlMilliseconds)
            } else {
                worst = min(worst, -2)
            }
        }
        if worst < 0 { return .integer(worst) }
        var least: Int64?
        for keys in locks {
            let left = protectedRemainingLife(keys.lock) ?? -4
            if left < ttlMilliseconds || defects.contains(.extendShortensLife) {
                try setLife(keys.lock, ttlMilliseconds)
            }
            least = min(least ?? left, left)
        }
        return .integer(LuaNumber.integer(Double(least ?? 0)))
    }

    func repair(_ repair: NodeCommand.Repair) throws(CommandError) -> RESPValue {
        if !defects.contains(.repairOverwritesForeignKey) {
            for keys in repair.locks {
                let owner = try get(keys.lock)?.string
                if let owner, owner != repair.ownerToken.secretText { return .integer(0) }
                if try exists(keys.readers) { return .integer(0) }
            }
        }
        var outcome: Int64 = 0
        for keys in repair.locks {
            if !defects.contains(.repairDoesNotRaiseCounter) {
                guard let counter = try counter(keys.fence) else { throw .comparedWithNothing("nil with number") }
                if counter < Double(repair.blockEnd) {
                    try set(keys.fence, .integer(repair.blockEnd), lifeMilliseconds: repair.counterLifeMilliseconds)
                }
            }
            let left = try remainingLife(keys.lock)
            if left == -2 || defects.contains(.repairOverwritesForeignKey) {
                try set(keys.lock, repair.ownerToken.secretText, lifeMilliseconds: repair.ttlMilliseconds)
                outcome = 1
            } else if left < repair.ttlMilliseconds {
                try setLife(keys.lock, repair.ttlMilliseconds)
            }
        }
        return .integer(outcome)
    }

    func setLife(
        _ locks: [NodeCommand.LockKeys],
        _ ownerToken: OwnerToken,
        lifeMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        var outcome: Int64 = 1
        for keys in locks {
            if try holds(keys.lock, ownerToken) || defects.contains(.setLifeIgnoresOwner) {
                try setLife(keys.lock, lifeMilliseconds)
            } else {
                outcome = 0
            }
        }
        return .integer(outcome)
    }

    func release(
        _ releases: [NodeCommand.Release],
        _ ownerToken: OwnerToken,
        turnMilliseconds: Int64,
        first: String?
    ) throws(CommandError) -> RESPValue {
        var outcome: Int64 = 0
        for release in releases {
            let isMine = try holds(release.keys.lock, ownerToken)
            guard isMine || defects.contains(.releaseDeletesForeignKey) else { continue }
            let _: Int64 = try delete(release.keys.lock)
            let isWoken = try wake(release.queue, turnMilliseconds: turnMilliseconds, named: first)
            outcome = max(outcome, isWoken ? 2 : 1)
        }
        return .integer(outcome)
    }

    func releasePlain(_ lock: String, _ ownerToken: OwnerToken) throws(CommandError) -> RESPValue {
        guard try holds(lock, ownerToken) || defects.contains(.releaseDeletesForeignKey) else { return .integer(0) }
        return .integer(try delete(lock))
    }

    func read(_ keys: NodeCommand.LockKeys, _ queue: NodeCommand.WaitingQueue?) throws(CommandError) -> RESPValue {
        let left = protectedRemainingLife(keys.lock) ?? -3
        // In the order of the script, as looking deletes what has ended.
        let counter = queue == nil ? nil : (try? get(keys.fence))?.string
        let waiting = queue.flatMap { try? count($0.queue) }
        let shares = queue == nil ? [] : try self.shares(keys.readers)
        let owner = try get(keys.lock)?.string
        return .array([
            owner.map(RESPValue.bulkText) ?? .null,
            .integer(LuaNumber.integer(Double(left))),
            counter.map(RESPValue.bulkText) ?? .null,
            waiting.map(RESPValue.integer) ?? .null,
            .array(shares),
        ])
    }

    func removeForeign(_ keys: NodeCommand.LockKeys) throws(CommandError) -> RESPValue {
        var removed: Int64 = 0
        do throws(CommandError) {
            _ = try get(keys.lock)
        } catch {
            guard error.isWrongType else { throw error }
            removed += try delete(keys.lock)
        }
        do throws(CommandError) {
            _ = try count(keys.readers)
        } catch {
            guard error.isWrongType else { throw error }
            removed += try delete(keys.readers)
        }
        return .integer(removed)
    }

    private func shares(_ readers: String) throws(CommandError) -> [RESPValue] {
        guard try exists(readers) else { return [] }
        let now = Double(try currentMicroseconds() / 1_000)
        return try range(readers, above: now, 32).flatMap { member, end -> [RESPValue] in
            [.bulkText(member), .integer(LuaNumber.integer(end - now))]
        }
    }
}

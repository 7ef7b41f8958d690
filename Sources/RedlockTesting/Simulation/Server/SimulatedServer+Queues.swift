// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock

/// The scripts by which clients wait, and share.
extension SimulatedServer {
    /// Tells a member of a queue its rank; nil where that is refused.
    private func tell(_ queue: NodeCommand.WaitingQueue, _ member: String, _ rank: String) -> Int64? {
        let text = rank + " " + member.dropFirst(16) + " " + queue.queue
        return try? publish(queue.channelPrefix + member.prefix(16), text)
    }

    /// Whether a member wants to share.
    private func isShared(_ member: String) -> Bool { member.dropFirst(16).hasPrefix("s") }

    /// Wakes the first, or the first before a member with a ticket; whether somebody is woken.
    ///
    /// What fails on the way is mostly not told.
    func wake(
        _ queue: NodeCommand.WaitingQueue,
        turnMilliseconds: Int64,
        before limit: (member: String, ticket: Double)? = nil,
        named: String? = nil
    ) throws(CommandError) -> Bool {
        if defects.contains(.releaseWakesNobody) { return false }
        for attempt in 0..<8 {
            guard let waiting = try? range(queue.queue, 4), var first = waiting.first, first != limit?.member else {
                return false
            }
            if attempt == 0, let named, try isMember(named, of: queue.queue) { first = named }
            if let limit {
                guard let score = try? score(queue.queue, first), score < limit.ticket else { return false }
            }
            guard (try? removeScore(queue.queue, first)) != nil, let receivers = tell(queue, first, "0") else {
                return false
            }
            guard receivers > 0 else { continue }
            _ = try? set(queue.turn, first, lifeMilliseconds: turnMilliseconds)
            var areWoken = isShared(first)
            for (place, member) in waiting.filter({ $0 != first }).enumerated() {
                areWoken = areWoken && isShared(member)
                _ = tell(queue, member, areWoken ? "0" : String(place + 1))
            }
            return true
        }
        return false
    }

    /// ZSCORE by pcall.
    private func isMember(_ member: String, of queue: String) throws(CommandError) -> Bool {
        (try? score(queue, member)) != nil
    }

    func enqueue(_ place: NodeCommand.Place) throws(CommandError) -> RESPValue {
        let now = Double(try currentMicroseconds() / 1_000)
        for gone in try range(place.queue.expiry, upTo: now, 8) {
            _ = try removeScore(place.queue.queue, gone)
            _ = try removeScore(place.queue.expiry, gone)
        }
        let left =
            switch place.wanted {
            case .alone(let keys): try lifeOfWhatKeeps(keys, place)
            case .shared(let keys): try lifeOfWhatKeepsSharer(keys, place)
            case .slot(let slots): try lifeOfWhatKeeps(slots, place)
            }
        if left == -2, !place.isEvenIfFree {
            _ = try removeScore(place.queue.queue, place.member)
            _ = try removeScore(place.queue.expiry, place.member)
            return .integer(0)
        }
        try addScore(place.queue.queue, Double(place.ticket), place.member)
        try addScore(place.queue.expiry, now + Double(place.lifeMilliseconds), place.member)
        try setLife(place.queue.queue, place.lifeMilliseconds)
        try setLife(place.queue.expiry, place.lifeMilliseconds)
        let rank = try rank(place.queue.queue, place.member)
        return .array([.integer(LuaNumber.integer(Double(left))), rank.map(RESPValue.integer) ?? .null])
    }

    private func lifeOfWhatKeeps(
        _ keys: NodeCommand.LockKeys,
        _ place: NodeCommand.Place
    ) throws(CommandError) -> Int64 {
        var left = try remainingLife(keys.lock)
        left = max(left, try remainingLife(keys.readers))
        return left == -2 ? try lifeOfTurn(place) : left
    }

    private func lifeOfWhatKeeps(
        _ slots: NodeCommand.Slots,
        _ place: NodeCommand.Place
    ) throws(CommandError) -> Int64 {
        let (_, left) = try firstFree(slots)
        return left == -2 ? try lifeOfTurn(place) : left
    }

    /// How long it is the turn of somebody else, or -2.
    private func lifeOfTurn(_ place: NodeCommand.Place) throws(CommandError) -> Int64 {
        guard let turn = try get(place.queue.turn)?.string, turn != place.member else { return -2 }
        return try remainingLife(place.queue.turn)
    }

    private func lifeOfWhatKeepsSharer(
        _ keys: NodeCommand.LockKeys,
        _ place: NodeCommand.Place
    ) throws(CommandError) -> Int64 {
        let left = try remainingLife(keys.lock)
        guard left == -2 else { return left }
        let turn = try get(place.queue.turn)?.string
        if let turn, !isShared(turn) { return try remainingLife(place.queue.turn) }
        guard turn != place.member else { return left }
        for (member, ticket) in try range(withScores: place.queue.queue, 64) {
            if ticket >= Double(place.ticket) { break }
            guard !isShared(member) else { continue }
            if (tell(place.queue, member, "not yet") ?? 1) > 0 { return try remainingLife(keys.readers) }
            _ = try removeScore(place.queue.queue, member)
            _ = try removeScore(place.queue.expiry, member)
        }
        return left
    }

    func leave(
        _ wanted: NodeCommand.Wanted,
        _ queue: NodeCommand.WaitingQueue,
        _ member: String,
        turnMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        _ = try removeScore(queue.expiry, member)
        if try get(queue.turn)?.string == member { let _: Int64 = try delete(queue.turn) }
        let hasWaited = try removeScore(queue.queue, member) == 1
        switch wanted {
        case .alone(let keys), .shared(let keys):
            if try exists(keys.lock) { return .integer(0) }
            if hasWaited {
                guard let first = try range(queue.queue, 1).first, isShared(first) else { return .integer(0) }
            }
        case .slot(let slots):
            if hasWaited { return .integer(0) }
            if try firstFree(slots).number == nil { return .integer(0) }
        }
        return .integer(try wake(queue, turnMilliseconds: turnMilliseconds) ? 1 : 0)
    }

    // MARK: Sharing

    func acquireShared(
        _ acquisition: NodeCommand.SharedAcquisition,
        _ turn: NodeCommand.Turn,
        recordID: RecordID
    ) throws(CommandError) -> RESPValue {
        let keys = acquisition.keys
        let head = RecordHead(try get(acquisition.record)?.string)
        guard head.id == recordID.bits || defects.contains(.acquireIgnoresRecord) else { return .integer(0) }
        if !defects.contains(.sharerIgnoresHeldKey), try exists(keys.lock) {
            return .integer(Self.refusal(try remainingLife(keys.lock)))
        }
        let whoseTurn = try get(turn.queue.turn)?.string
        if let whoseTurn, !isShared(whoseTurn) {
            return .integer(LuaNumber.integer(-1 - Double(try remainingLife(turn.queue.turn))))
        }
        if whoseTurn != turn.member, let left = try lifeOfOneBefore(turn, keys) {
            return .integer(LuaNumber.integer(-1 - Double(left)))
        }
        let now = Double(try currentMicroseconds() / 1_000)
        try removeScores(keys.readers, upTo: now)
        try addShare(keys.readers, acquisition.ownerToken, until: now + Double(acquisition.ttlMilliseconds))
        try endPlace(turn, whoseTurn)
        for _ in 0..<8 {
            guard let next = (try? range(turn.queue.queue, 1))?.first, isShared(next) else { break }
            _ = try? removeScore(turn.queue.queue, next)
            if (tell(turn.queue, next, "0") ?? 1) > 0 { break }
        }
        return .integer(1)
    }

    /// How long one who wants the lock alone keeps it from one who wants to share it; nil if nobody does.
    private func lifeOfOneBefore(
        _ turn: NodeCommand.Turn,
        _ keys: NodeCommand.LockKeys
    ) throws(CommandError) -> Int64? {
        for (member, ticket) in try range(withScores: turn.queue.queue, 64) {
            if ticket >= Double(turn.ticket) { break }
            guard !isShared(member) else { continue }
            let left = try remainingLife(keys.readers)
            if (tell(turn.queue, member, left > 0 ? "not yet" : "0") ?? 1) > 0 {
                if left > 0 { return left }
                _ = try removeScore(turn.queue.queue, member)
                try set(turn.queue.turn, member, lifeMilliseconds: turn.milliseconds)
                return turn.milliseconds
            }
            _ = try removeScore(turn.queue.queue, member)
        }
        return nil
    }

    /// Adds one who shares; takes it out again where the key would not end.
    private func addShare(_ readers: String, _ ownerToken: OwnerToken, until end: Double) throws(CommandError) {
        try addScore(readers, end, ownerToken.secretText)
        guard let last = try lastScore(readers) else { return }
        do throws(CommandError) {
            try setEnd(readers, last)
        } catch {
            _ = try removeScore(readers, ownerToken.secretText)
            throw error
        }
    }

    /// Has the key end with the last of those who share; whether anybody is left.
    private func settle(_ readers: String) throws(CommandError) -> Bool {
        guard let last = try lastScore(readers) else { return false }
        try setEnd(readers, last)
        return true
    }

    func extendShared(
        _ keys: NodeCommand.LockKeys,
        _ ownerToken: OwnerToken,
        ttlMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        let end = try score(keys.readers, ownerToken.secretText)
        guard let end = end ?? (defects.contains(.extendRecreatesMissingKey) ? 0 : nil) else { return .integer(-2) }
        let now = Double(try currentMicroseconds() / 1_000)
        let left = end - now
        if left <= 0, !defects.contains(.extendRecreatesMissingKey) { return .integer(-2) }
        if left < Double(ttlMilliseconds) {
            try addShare(keys.readers, ownerToken, until: now + Double(ttlMilliseconds))
        }
        return .integer(LuaNumber.integer(max(0, left)))
    }

    func setLifeShared(
        _ keys: NodeCommand.LockKeys,
        _ ownerToken: OwnerToken,
        lifeMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        let end = try score(keys.readers, ownerToken.secretText)
        guard let end = end ?? (defects.contains(.setLifeIgnoresOwner) ? .infinity : nil) else { return .integer(0) }
        let now = Double(try currentMicroseconds() / 1_000)
        guard end - now > 0 else { return .integer(0) }
        try addShare(keys.readers, ownerToken, until: now + Double(lifeMilliseconds))
        return .integer(1)
    }

    func repairShared(
        _ keys: NodeCommand.LockKeys,
        _ ownerToken: OwnerToken,
        ttlMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        if !defects.contains(.repairOverwritesForeignKey), try exists(keys.lock) { return .integer(0) }
        let now = Double(try currentMicroseconds() / 1_000)
        try removeScores(keys.readers, upTo: now)
        try addShare(keys.readers, ownerToken, until: now + Double(ttlMilliseconds))
        return .integer(1)
    }

    func releaseShared(
        _ release: NodeCommand.Release,
        _ ownerToken: OwnerToken,
        turnMilliseconds: Int64
    ) throws(CommandError) -> RESPValue {
        guard try removeScore(release.keys.readers, ownerToken.secretText) > 0 else { return .integer(0) }
        let now = Double(try currentMicroseconds() / 1_000)
        if defects.contains(.oneSharerReleasesAll) { let _: Int64 = try delete(release.keys.readers) }
        try removeScores(release.keys.readers, upTo: now)
        if try settle(release.keys.readers) { return .integer(1) }
        return .integer(try wake(release.queue, turnMilliseconds: turnMilliseconds) ? 2 : 1)
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore

/// What a Redis server does with the key and the counter of one lock, on a clock that may be wrong.
///
/// The key has no life of its own here: it expires whenever the test says so.
struct CountingNode {
    /// How long a counter lives: much shorter than a real one, and longer than the clocks are apart.
    static let counterLifeMicroseconds: Int64 = 3_000_000

    private let number: Int
    private let clockErrorMicroseconds: Int64
    private let seeds: Bool
    private(set) var record: NodeRecord
    var counter: Int64?
    private var counterExpiry = Int64.max
    private var key: Int?
    /// The counter as it stands in an old file.
    private var savedCounter: Int64?

    init(number: Int, clockErrorMicroseconds: Int64, seeds: Bool) {
        self.number = number
        self.clockErrorMicroseconds = clockErrorMicroseconds
        self.seeds = seeds
        record = Self.record(id: 0, serverMicroseconds: 0, wallMicroseconds: 0, quarantineMilliseconds: 0)
    }

    private static func record(
        id: UInt64,
        serverMicroseconds: Int64,
        wallMicroseconds: Int64,
        quarantineMilliseconds: Int64
    ) -> NodeRecord {
        NodeRecord(
            id: RecordID(bits: id),
            reason: .noRecord,
            serverMicroseconds: serverMicroseconds,
            wallMicroseconds: wallMicroseconds,
            quarantineMilliseconds: quarantineMilliseconds,
            marker: nil,
            facts: ServerFacts(),
            membership: Membership(node: "", members: [""], maximumTTLMilliseconds: timing.ttlMilliseconds)
        )
    }

    private static let timing = FencingWorld.timing

    func microseconds(at now: Instant) -> Int64 {
        now.nanoseconds / 1_000 + clockErrorMicroseconds
    }

    mutating func enrol(id: UInt64, wallMicroseconds: Int64, isNew: Bool, at now: Instant) {
        let quarantine = NodeRecord.quarantineMilliseconds(
            maximumTTLMilliseconds: Self.timing.ttlMilliseconds,
            drift: .standard
        )
        record = Self.record(
            id: id,
            serverMicroseconds: microseconds(at: now),
            wallMicroseconds: wallMicroseconds,
            quarantineMilliseconds: isNew ? 0 : quarantine
        )
    }

    func hasVote(wallMicroseconds: Int64, at now: Instant) -> Bool {
        let remaining = record.quarantineRemainingMicroseconds(
            serverMicroseconds: microseconds(at: now),
            wallMicroseconds: wallMicroseconds
        )
        return remaining == 0
    }

    mutating func acquire(
        _ ownerToken: Int,
        _ recordID: RecordID,
        proposedMicroseconds: Int64,
        at now: Instant
    ) -> AcquireRound.Answer {
        guard record.id == recordID else { return .refused }
        guard key == nil else { return .held }
        expireCounter(at: now)
        if seeds, (counter ?? 0) < record.serverMicroseconds {
            let time = microseconds(at: now)
            let isFar = abs(proposedMicroseconds - time) > Self.timing.ttlMilliseconds * 1_000 / 4
            counter = max(counter ?? 0, isFar ? time : proposedMicroseconds, record.serverMicroseconds)
            counterExpiry = time + Self.counterLifeMicroseconds
        }
        // Now and then the server writes its file.
        if ownerToken % 7 == 0 { savedCounter = counter }
        let token = (counter ?? 0) + 1
        counter = token
        key = ownerToken
        return .granted(token: token)
    }

    mutating func raise(to token: Int64, for ownerToken: Int, at now: Instant) -> AcquireRound.RaiseAnswer {
        guard key == ownerToken else { return .gone }
        expireCounter(at: now)
        counter = max(counter ?? 0, token)
        counterExpiry = max(counterExpiry, microseconds(at: now) + Self.counterLifeMicroseconds)
        return .raised
    }

    mutating func release(_ ownerToken: Int) {
        if key == ownerToken { key = nil }
    }

    mutating func expireKey() {
        key = nil
    }

    mutating func loseData(restoring: Bool) {
        key = nil
        counter = restoring ? savedCounter : nil
    }

    private mutating func expireCounter(at now: Instant) {
        if microseconds(at: now) >= counterExpiry { counter = nil }
    }
}

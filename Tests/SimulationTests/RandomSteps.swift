// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock
import RedlockSimulation
import RedlockTesting

/// Steps at random, of a kind that often meet in the same keys.
struct RandomSteps {
    var random: SeededRandom
    /// The record that was written last.
    private var record = ""

    static let recordIDs = [0x89ab_cdef_0123_4567, 0x1234_5678_9012_3456].map { RecordID(bits: $0) }

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
    }

    // MARK: Material

    private mutating func one<Element>(of elements: Element...) -> Element {
        elements[Int.random(in: elements.indices, using: &random)]
    }

    private mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    private mutating func resource() -> String { one(of: "a", "b", "c") }

    private mutating func ownerToken() -> OwnerToken {
        guard let token = OwnerToken(secretText: one(of: "0123:first", "0123:second", "4567:third", "7")) else {
            preconditionFailure("a token that is none")
        }
        return token
    }

    private mutating func ttlMilliseconds() -> Int64 {
        chance(90)
            ? one(of: 1, 5, 100, 10_000, 30_000)
            : one(of: 0, -1, -5, 1 << 52, 1 << 62, .max, .min, .max - 1_700_000_000_000)
    }

    private mutating func counter(around microseconds: Int64) -> Int64 {
        if chance(60) { return microseconds + Int64.random(in: -20...20, using: &random) }
        return one(
            of: 0,
            1,
            5,
            1000,
            -5,
            1 << 53,
            (1 << 53) + 1,
            9_007_199_253_692_416,
            9_007_199_253_692_415,
            .max,
            .min
        )
    }

    private mutating func garbage() -> String {
        one(
            of: "abc",
            "007",
            " 1",
            "1 ",
            "1e3",
            "",
            "-0",
            "0",
            "-5",
            "12.7",
            "0x10",
            "0x",
            "+5",
            "inf",
            "nan",
            "1e400",
            "9007199253692415",
            "9007199253692416",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775806",
            "-9223372036854775808",
            "9223372036854775808",
            "2e15",
            "-1e3",
            "\t8\n",
            "1,5"
        )
    }

    private mutating func recordText(at microseconds: Int64) -> String {
        let id = "\(one(of: Self.recordIDs[0], Self.recordIDs[0], Self.recordIDs[1]))"
        if chance(75) {
            let enrolled = microseconds - one(of: 0, 1, 1_000_000, 100_000_000, -50_000_000)
            return "\(id) \(enrolled) reason=new"
        }
        return one(
            of: "",
            "abc",
            id,
            id + " ",
            id + " 5",
            id.uppercased() + " 1800000000000000",
            id + " 000000000001.500 x",
            id + " nan              x",
            id + "  1800000000000000 x",
            id + " 18000000000000x0 x",
            id + " inf",
            id + " 0x00000000000010 x",
            id + " 9999999999999999 x"
        )
    }

    // MARK: Steps

    /// What clients send.
    mutating func clientStep(at microseconds: Int64) throws -> Step {
        let isWhole = chance(70)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<35:
            let recordID = chance(85) ? Self.recordIDs[0] : one(of: Self.recordIDs[1], RecordID(bits: 0))
            return try .command(acquisition(at: microseconds), isWhole: isWhole, recordID: recordID)
        case 35..<80: return try .command(stepOfHolder(at: microseconds), isWhole: isWhole)
        case 80..<86: return try recordStep(isWhole: isWhole, at: microseconds)
        case 86..<90:
            let command = NodeCommand.setIfAbsent(
                key: Driven.keys(resource()).lock,
                ownerToken: ownerToken(),
                ttlMilliseconds: ttlMilliseconds()
            )
            return try .command(command)
        default:
            let keys = Driven.keys(resource())
            return try plainStep(one(of: keys.lock, keys.fence, "node", "none"))
        }
    }

    /// Of whoever has a lock, thinks so, or waits for one.
    private mutating func stepOfHolder(at microseconds: Int64) -> NodeCommand {
        let name = resource()
        let keys = Driven.keys(name)
        let queue = Driven.queue(name)
        switch Int.random(in: 0..<96, using: &random) {
        case 0..<12: return release(name)
        case 12..<34: return queueStep(name, at: microseconds)
        case 34..<43: return .extend(locks(), ownerToken: ownerToken(), ttlMilliseconds: ttlMilliseconds())
        case 43..<49: return .extendShared(keys, ownerToken: ownerToken(), ttlMilliseconds: ttlMilliseconds())
        case 49..<60:
            return .raise(
                locks(),
                ownerToken: ownerToken(),
                blockEnd: counter(around: microseconds),
                lifeMilliseconds: ttlMilliseconds()
            )
        case 60..<70:
            let repair = NodeCommand.Repair(
                locks: locks(),
                ownerToken: ownerToken(),
                ttlMilliseconds: ttlMilliseconds(),
                blockEnd: counter(around: microseconds),
                counterLifeMilliseconds: ttlMilliseconds()
            )
            return .repair(repair)
        case 70..<73: return .repairShared(keys, ownerToken: ownerToken(), ttlMilliseconds: ttlMilliseconds())
        case 73..<84: return .read(keys, waiting: chance(70) ? queue : nil)
        case 90..<93: return .setLife(locks(), ownerToken: ownerToken(), lifeMilliseconds: ttlMilliseconds())
        case 93..<96: return .setLifeShared(keys, ownerToken: ownerToken(), lifeMilliseconds: ttlMilliseconds())
        default:
            return .raiseByHand(
                fence: keys.fence,
                atLeast: counter(around: microseconds),
                lifeMilliseconds: ttlMilliseconds()
            )
        }
    }

    private mutating func release(_ name: String) -> NodeCommand {
        let one = NodeCommand.Release(keys: Driven.keys(name), queue: Driven.queue(name))
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3: return .releaseShared(one, ownerToken: ownerToken(), turnMilliseconds: turnMilliseconds())
        case 6..<9:
            return .releaseSlot(
                slots(name),
                Driven.queue("slots-" + name),
                ownerToken: ownerToken(),
                turnMilliseconds: turnMilliseconds(),
                first: chance(30) ? member() : nil
            )
        case 3..<5: return .releasePlain(lock: one.keys.lock, ownerToken: ownerToken())
        case 5: return Driven.release("a", "b", by: ownerToken())
        case 9: return .removeForeign(one.keys)
        default:
            return .release(
                [one],
                ownerToken: ownerToken(),
                turnMilliseconds: turnMilliseconds(),
                first: chance(30) ? member() : nil
            )
        }
    }

    /// One lock, or several.
    private mutating func locks() -> [NodeCommand.LockKeys] {
        (chance(80) ? [resource()] : one(of: ["a", "b"], ["a", "b", "c"], ["b", "c"])).map(Driven.keys)
    }

    private mutating func acquisition(at microseconds: Int64) -> NodeCommand {
        let distance: Int64 = one(of: 0, 1, -1, 1_000, 7_500_000, -7_500_000, 7_500_001, 86_400_000_000)
        let seeding = NodeCommand.Seeding(
            proposedMicroseconds: chance(5) ? 1 << 53 : microseconds + distance,
            toleranceMicroseconds: 7_500_000
        )
        let name = resource()
        let kind = Int.random(in: 0..<100, using: &random)
        if kind < 20 {
            let acquisition = NodeCommand.SharedAcquisition(
                record: "node",
                keys: Driven.keys(name),
                ownerToken: ownerToken(),
                ttlMilliseconds: ttlMilliseconds()
            )
            return .acquireShared(acquisition, turn(name, at: microseconds))
        }
        let acquisition = NodeCommand.Acquisition(
            record: "node",
            locks: kind < 35 ? locks() : [Driven.keys(name)],
            ownerToken: ownerToken(),
            ttlMilliseconds: ttlMilliseconds(),
            seeding: seeding,
            // Of several locks and of slots, always the same.
            tokenCount: kind < 50 ? NodeCommand.tokensPerGrant : one(of: NodeCommand.tokensPerGrant, 64, 256)
        )
        if kind < 35 { return .acquireAll(acquisition) }
        if kind < 50 {
            return .acquireSlot(
                acquisition,
                slots(name),
                turn("slots-" + name, at: microseconds),
                first: one(of: 0, 0, 0, 1, 2)
            )
        }
        return kind < 65 ? .acquireInTurn(acquisition, turn(name, at: microseconds)) : .acquire(acquisition)
    }

    private mutating func slots(_ name: String) -> NodeCommand.Slots {
        NodeCommand.Slots(
            agreement: "slots:\(name)",
            lockStart: "slot:",
            fenceStart: "slot-fence:",
            end: ":\(name)",
            count: one(of: 2, 2, 2, 2, 1, 3, 12)
        )
    }

    private mutating func turn(_ name: String, at microseconds: Int64) -> NodeCommand.Turn {
        NodeCommand.Turn(
            queue: Driven.queue(name),
            member: member(),
            ticket: ticket(around: microseconds),
            isAwaited: chance(70),
            milliseconds: turnMilliseconds()
        )
    }

    /// Of the clients that wait, the second hears what is published to it; the others are gone.
    private mutating func member() -> String {
        String(repeating: one(of: "1", "2", "2", "3"), count: 16) + one(of: "x", "x", "s", "a7")
    }

    private mutating func ticket(around microseconds: Int64) -> Int64 {
        chance(80) ? microseconds + one(of: 0, 1, -1, 1_000) : one(of: 0, -1, 5, 1 << 53)
    }

    private mutating func turnMilliseconds() -> Int64 { one(of: 1, 50, 50, 10_000) }

    private mutating func queueStep(_ name: String, at microseconds: Int64) -> NodeCommand {
        let member = member()
        let isSlot = chance(45)
        let queue = isSlot ? "slots-" + name : name
        let keys = Driven.keys(name)
        let wanted: NodeCommand.Wanted = isSlot ? .slot(slots(name)) : chance(40) ? .shared(keys) : .alone(keys)
        if chance(30) {
            return .leaveQueue(
                wanted,
                Driven.queue(queue),
                member: member,
                turnMilliseconds: turnMilliseconds()
            )
        }
        return .enqueue(
            NodeCommand.Place(
                wanted: wanted,
                queue: Driven.queue(queue),
                member: member,
                ticket: ticket(around: microseconds),
                lifeMilliseconds: ttlMilliseconds(),
                isEvenIfFree: chance(40)
            )
        )
    }

    private mutating func recordStep(isWhole: Bool, at microseconds: Int64) throws -> Step {
        let expected = one(of: "", record, record, "another")
        if chance(50) {
            let command = NodeCommand.enrol(
                record: "node",
                expected: expected,
                before: "\(Self.recordIDs[0])",
                after: "reason=new"
            )
            return try .command(command, isWhole: isWhole)
        }
        record = recordText(at: microseconds)
        return try .command(.replaceRecord(record: "node", expected: expected, new: record), isWhole: isWhole)
    }

    private mutating func plainStep(_ key: String) throws -> Step {
        let marker = "return '\(one(of: Self.recordIDs[0], Self.recordIDs[1]))'"
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return try .command(.time)
        case 1: return try .plain("GET", key)
        case 2: return try .plain("SET", "probe", "1", "PX", "1000")
        case 3: return try .plain("SCAN", "0", "MATCH", "lock\\:*", "COUNT", "500")
        case 4: return try .plain("PING")
        case 5:
            return try .plain("CONFIG", "GET", one(of: "*appendfsync*", "no-such-setting"))
        case 6: return try .plain("SCRIPT", "LOAD", marker)
        case 7: return try .plain("EVALSHA", Self.digests[marker] ?? "", "0")
        case 8:
            return try .plain(
                "SCRIPT",
                "LOAD",
                one(of: Script.standard[0], Script.standard[4], Script.compatible[2]).text
            )
        default: return try .plain("INFO", "commandstats")
        }
    }

    /// By the scripts that servers are known by.
    private static let digests = [
        "return '89abcdef01234567'": "0e42b0fb8ecd4327d08c6774bb706d0d0d5a0dca",
        "return '1234567890123456'": "c14194b1bcfe59493a294d8ce21f57bb660569ec",
    ]

    /// What operators and other programs do.
    mutating func outsideStep(at microseconds: Int64) throws -> Step {
        let name = resource()
        let queue = one(of: "queue:\(name)", "queue-expiry:\(name)", "turn:\(name)", "readers:\(name)")
        let slot = one(
            of: "slots:\(name)",
            "slots:\(name)",
            "slot:000:\(name)",
            "slot:001:\(name)",
            "slot-fence:000:\(name)"
        )
        let key = one(of: "lock:\(name)", "fence:\(name)", "fence:\(name)", "fence:\(name)", "node", queue, slot)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<40:
            record = recordText(at: microseconds)
            return try .plain("SET", "node", record)
        case 40..<60:
            return try chance(50) ? .plain("SET", key, garbage()) : .plain("SET", key, garbage(), "PX", "5000")
        case 60..<70: return try .plain("SET", "fence:\(name)", String(counter(around: microseconds)), "PX", "5000")
        // A lock that never ends.
        case 70..<75: return try .plain("SET", "lock:\(name)", ownerToken().secretText)
        case 75..<81:
            return try .outside(["DEL", key], one(of: ["RPUSH", key, "x"], ["HSET", key, "x", "y"])) {
                $0.putCollection(at: key)
            }
        case 81..<92: return try .outside(["DEL", key]) { $0.evict(key) }
        case 92..<97: return try .outside(["SCRIPT", "FLUSH"]) { $0.flushScripts() }
        default: return try .outside(["FLUSHALL"]) { $0.flushAll() }
        }
    }

    mutating func step(at microseconds: Int64) throws -> Step {
        try chance(85) ? clientStep(at: microseconds) : outsideStep(at: microseconds)
    }

    /// By how much the clock moves before the next steps, in microseconds.
    mutating func clockMove() -> Int64 {
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<9: 0
        case 9..<11: Int64.random(in: 1...999, using: &random)
        case 11..<14: 1_000 * Int64.random(in: 1...6, using: &random)
        case 14..<17: 1_000 * Int64.random(in: 1...12_000, using: &random)
        case 17: 1_000_000 * Int64.random(in: 1...60, using: &random)
        case 18: -1_000 * Int64.random(in: 1...15_000, using: &random)
        default: one(of: 8, -8) * 86_400_000_000
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting
import Testing

@Suite
struct NodeRecordTests {
    private static let example: NodeRecord = {
        var facts = ServerFacts()
        facts.runID = "f3b1"
        facts.hasAppendOnlyFile = true
        facts.fsyncPolicy = "always"
        facts.suspendsFsyncDuringRewrite = false
        facts.evictedKeys = 7
        return NodeRecord(
            id: RecordID(bits: 0x89AB_CDEF_0123_4567),
            reason: .restarted,
            serverMicroseconds: 1_767_225_600_000_000,
            wallMicroseconds: 1_767_225_600_000_123,
            quarantineMilliseconds: 31_302,
            marker: nil,
            facts: facts,
            membership: Membership(node: "b:1", members: ["b:1", "a:1"], maximumTTLMilliseconds: 30_000)
        )
    }()

    private static let exampleText =
        "89abcdef01234567 1767225600000000 reason=restarted wall=1767225600000123 quarantine=31302 maximum-ttl=30000 "
        + "run=f3b1 marker=- former-history=- durable=yes evicted=7 node=b:1 members=a:1,b:1"

    /// The text of the example with one part replaced.
    private func example(_ part: String, _ replacement: String) -> String {
        Self.exampleText.replacing(part, with: replacement, maxReplacements: 1)
    }

    // MARK: Text

    @Test
    func textCanBeReadByAPerson() {
        #expect(Self.example.text == Self.exampleText)
        #expect(NodeRecord(text: Self.exampleText) == Self.example)
    }

    /// Whatever the values and the names, the text gives them back, the fixed places are where scripts look for them,
    /// and the two parts that an enroller sends are the text around the server's time.
    @Test
    func textRoundTrip() {
        var random = SeededRandom(seed: 30)
        for _ in 0..<3_000 {
            let record = randomRecord(&random)
            let text = record.text
            guard let read = NodeRecord(text: text) else { return recordIssue("nothing was read from \(text)") }
            guard read == record else { return recordIssue("\(read) was read from \(text)") }
            let bytes = Array(text.utf8)
            let id = String(decoding: bytes[0..<16], as: UTF8.self)
            let time = String(decoding: bytes[17..<33], as: UTF8.self)
            guard id == record.id.description, Int64(time) == record.serverMicroseconds,
                bytes[16] == UInt8(ascii: " "), bytes[33] == UInt8(ascii: " ")
            else { return recordIssue("the places are wrong in \(text)") }
            let (before, after) = record.textAroundServerTime
            guard text == "\(before) \(time) \(after)" else { return recordIssue("\(before), \(after) in \(text)") }
        }
    }

    private func randomRecord(_ random: inout SeededRandom) -> NodeRecord {
        func number(upTo limit: Int64) -> Int64 {
            // All orders of magnitude, and the limit itself.
            let bits = Int64.random(in: 0...53, using: &random)
            return bits == 53 ? limit : min(limit, Int64.random(in: 0...(1 << bits), using: &random))
        }
        let members = (0..<Int.random(in: 1...7, using: &random)).map { _ in randomName(&random) }
        var record = NodeRecord(
            id: RecordID(bits: random.next() >> UInt64.random(in: 0...64, using: &random)),
            reason: [.noRecord, .restarted, .promoted, .evicted, .clockJumped, .requested].randomElement(using: &random)
                ?? .requested,
            serverMicroseconds: number(upTo: 1 << 53),
            wallMicroseconds: number(upTo: 1 << 53),
            quarantineMilliseconds: number(upTo: 1 << 42),
            marker: Bool.random(using: &random) ? randomName(&random) : nil,
            facts: ServerFacts(),
            membership: Membership(
                node: members.randomElement(using: &random) ?? "",
                members: members,
                maximumTTLMilliseconds: number(upTo: 1 << 40)
            )
        )
        if Bool.random(using: &random) { record.runID = randomName(&random) }
        if Bool.random(using: &random) { record.formerReplicationID = randomName(&random) }
        record.isDurable = Bool.random(using: &random)
        record.evictedKeys = number(upTo: 1 << 53)
        return record
    }

    /// Whatever separates values, what looks as if it did, and marks that join with the character before them.
    private func randomName(_ random: inout SeededRandom) -> String {
        let pieces = [
            "a", "7", " ", ",", "=", "%", "%2", "%2C", ":", "/", "-", "\n", "\r\n", "\0", "\u{7F}", "\u{A0}", "é",
            "e\u{301}", "\u{301}", "\u{200D}", "👩‍👩‍👧", "🇩🇪", "漢", "\u{FFFD}", "\u{2028}", "redis://10.0.0.1:6379",
        ]
        let name = (0..<Int.random(in: 0...5, using: &random)).compactMap { _ in pieces.randomElement(using: &random) }
        // A line alone stands for what is not known.
        return name == ["-"] ? "" : name.joined()
    }

    @Test
    func membersStandInAnOrderOfTheirOwn() {
        let names = ["c", "a b", "b,", "%"]
        let records = orders(count: names.count).map { order in
            Membership(node: "c", members: order.map { names[$0] }, maximumTTLMilliseconds: 1).members
        }
        #expect(Set(records).count == 1)
    }

    /// A later version may write more.
    @Test
    func furtherValuesAreSkipped() {
        #expect(NodeRecord(text: Self.exampleText + " zone=west mood= more=a=b") == Self.example)
    }

    // MARK: What is no record

    @Test(arguments: [
        ("89abcdef01234567", "89ABCDEF01234567"), ("89abcdef01234567", "+9abcdef01234567"),
        ("89abcdef01234567", "9abcdef01234567"), ("89abcdef01234567", "089abcdef01234567"),
        ("89abcdef01234567", "89abcdef0123456g"), ("89abcdef01234567 ", ""),
        ("89abcdef01234567 ", "89abcdef01234567  "),
        (" 1767225600000000", " 767225600000000"), (" 1767225600000000", " 01767225600000000"),
        (" 1767225600000000", " +767225600000000"), (" 1767225600000000", " -767225600000000"),
        (" 1767225600000000", " 1767225600000000\u{301}"), (" reason=restarted", ""), ("restarted", "unheard_of"),
        ("wall=1767225600000123", "wall="), ("wall=", "wall=-"), ("wall=", "wall=+"), ("wall=", "wall=0x"),
        (" quarantine=31302", ""), (" maximum-ttl=30000", ""), (" run=f3b1", ""), (" marker=-", ""),
        (" former-history=-", ""), (" durable=yes", ""), (" evicted=7", ""), (" node=b:1", ""),
        (" members=a:1,b:1", ""), ("durable=yes", "durable"), ("yes", "yes "),
    ])
    func malformedTextIsNoRecord(part: String, replacement: String) {
        let text = example(part, replacement)
        #expect(text != Self.exampleText && NodeRecord(text: text) == nil, "\(text)")
    }

    @Test(arguments: ["", " ", "  ", "89abcdef01234567", "89abcdef01234567 1767225600000000", "\0", "=", "\u{301}"])
    func fragmentIsNoRecord(text: String) {
        #expect(NodeRecord(text: text) == nil)
    }

    /// Numbers come from outside, and what is computed from them must stay within 64 bits.
    @Test(arguments: [
        (" 1767225600000000", " ", Int64(1) << 53), ("wall=1767225600000123", "wall=", 1 << 53),
        ("quarantine=31302", "quarantine=", 1 << 42), ("maximum-ttl=30000", "maximum-ttl=", 1 << 40),
        ("evicted=7", "evicted=", 1 << 53),
    ])
    func hugeNumbersAreRefused(part: String, name: String, greatest: Int64) {
        #expect(NodeRecord(text: example(part, name + "\(greatest)")) != nil)
        for number in ["\(greatest + 1)", "\(Int64.max)", "9223372036854775808", String(repeating: "9", count: 99)] {
            #expect(NodeRecord(text: example(part, name + number)) == nil, "\(name)\(number)")
        }
    }

    @Test
    func mutatedTextNeverCrashesAndNeverLies() {
        var random = SeededRandom(seed: 31)
        let alphabet = Array(" =,%-+0123456789abcdefxyz\n\0\u{7F}é\u{301}".utf8) + [0x80, 0xC3, 0xFF]
        let text =
            "89abcdef01234567 1767225600000000 reason=evicted wall=1 quarantine=2 maximum-ttl=3 run=4 marker=- "
            + "former-history=6 durable=no evicted=5 node=a members=a,b"
        var readable = 0
        for _ in 0..<200_000 {
            var bytes = Array(text.utf8)
            for _ in 0...random.next() % 4 {
                let place = Int(random.next() % UInt64(bytes.count))
                let byte = alphabet[Int(random.next() % UInt64(alphabet.count))]
                switch random.next() % 8 {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(byte, at: place)
                case 2: bytes.removeSubrange(place...)
                case 3: bytes += bytes[place...]
                default: bytes[place] = byte
                }
                if bytes.isEmpty { break }
            }
            guard let record = NodeRecord(text: String(decoding: bytes, as: UTF8.self)) else { continue }
            readable += 1
            // What was read can be written and read again, and its numbers can be counted with.
            guard NodeRecord(text: record.text) == record else { return recordIssue("\(record)") }
        }
        #expect(readable > 1_000, "\(readable) were records all the same")
    }

    // MARK: Quarantine

    private func exercise(_ record: NodeRecord) {
        let extremes: [Int64] = [.max / 1_000, 0, .min / 1_000]
        for extreme in extremes {
            let remaining = record.quarantineRemainingMicroseconds(
                serverMicroseconds: extreme,
                wallMicroseconds: extreme
            )
            if remaining < 0 { recordIssue("\(remaining) µs remain of \(record)") }
        }
        for drift in [ClockDrift.standard, .strict, ClockDrift(rate: 500_000, constantNanoseconds: 2_000_000)] {
            var next = record
            next.quarantineMilliseconds = NodeRecord.quarantineMilliseconds(
                maximumTTLMilliseconds: record.maximumTTLMilliseconds,
                drift: drift
            )
            if NodeRecord(text: next.text) != next { recordIssue("the next record would be unreadable: \(next)") }
        }
    }

    @Test
    func greatestNumbersCanBeCountedWith() {
        var record = Self.example
        record.serverMicroseconds = 1 << 53
        record.wallMicroseconds = 1 << 53
        record.quarantineMilliseconds = 1 << 42
        record.maximumTTLMilliseconds = 1 << 40
        exercise(record)
    }

    /// The longest TTL, what the clocks may be apart by then, and a second.
    @Test(arguments: [
        (30_000, ClockDrift.standard, 31_302), (30_000, .strict, 35_802), (1, .standard, 1_003), (0, .standard, 1_002),
    ])
    func quarantineOutlastsTheLongestTTL(ttl: Int64, drift: ClockDrift, expected: Int64) {
        #expect(NodeRecord.quarantineMilliseconds(maximumTTLMilliseconds: ttl, drift: drift) == expected)
    }

    /// Both clocks must have passed the end, as either may have jumped.
    @Test
    func quarantineEndsByBothClocks() {
        let record = Self.example
        let length = record.quarantineMilliseconds * 1_000
        let cases: [(Int64, Int64, Int64)] = [
            (0, 0, length), (length, 0, length), (0, length, length), (length, length - 1, 1), (length - 1, length, 1),
            (length, length, 0), (length + 1, length + 1, 0), (3 * length, 2 * length, 0), (-7, 0, length + 7),
            (2 * length, -5, length + 5),
        ]
        for (byServer, byWall, expected) in cases {
            let remaining = record.quarantineRemainingMicroseconds(
                serverMicroseconds: record.serverMicroseconds + byServer,
                wallMicroseconds: record.wallMicroseconds + byWall
            )
            #expect(remaining == expected, "\(byServer) µs later by the server's clock, \(byWall) by the wall's")
        }
    }

    /// Also where the clocks went back since: nothing was forgotten.
    @Test
    func withoutQuarantineNothingRemains() {
        var record = Self.example
        record.quarantineMilliseconds = 0
        #expect(record.quarantineRemainingMicroseconds(serverMicroseconds: 0, wallMicroseconds: 0) == 0)
    }
}

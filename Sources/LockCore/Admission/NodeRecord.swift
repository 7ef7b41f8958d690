// SPDX-License-Identifier: Apache-2.0

/// What tells one enrolment of a node from every other: 64 random bits, written as 16 hexadecimal digits.
package struct RecordID: Hashable, Sendable, CustomStringConvertible {
    /// How many digits an id has.
    package static let digitCount = 16

    /// The bits.
    package let bits: UInt64

    /// The id of the given bits.
    package init(bits: UInt64) {
        self.bits = bits
    }

    /// Only what `description` gives: a script on the node compares character by character.
    fileprivate init?(_ text: ArraySlice<UInt8>) {
        guard text.count == Self.digitCount else { return nil }
        var bits: UInt64 = 0
        for character in text {
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): bits = bits << 4 | UInt64(character - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): bits = bits << 4 | UInt64(character - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        self.bits = bits
    }

    /// The 16 digits.
    package var description: String {
        let digits = String(bits, radix: 16)
        return String(repeating: "0", count: Self.digitCount - digits.count) + digits
    }
}

/// What a client expects of every node's record: the place of the node among the nodes that it was given.
package struct Membership: Hashable, Sendable {
    /// The name of the node that the record lies on.
    package let node: String

    /// The names of all nodes, in an order that does not depend on how they were listed.
    package let members: [String]

    /// The longest TTL that the client may ask for.
    package let maximumTTLMilliseconds: Int64

    /// The membership of one node of a list.
    package init(node: String, members: [String], maximumTTLMilliseconds: Int64) {
        self.node = node
        self.members = members.sorted()
        self.maximumTTLMilliseconds = maximumTTLMilliseconds
    }
}

/// The record that a node keeps of its own enrolment.
///
/// It is one line of text, so that a person can read it and a script on the node can compare its first characters:
///
///     89abcdef01234567 1767225600000000 reason=restarted wall=1767225600000123 quarantine=31302 …
///
/// First the id and the server's time at the enrolment, both of a fixed length; the rest are names and values. A node
/// without its record has lost its data, and one with another id than a client admitted was enrolled anew since then.
package struct NodeRecord: Hashable, Sendable {
    /// The id of this enrolment.
    package var id: RecordID

    /// Why the node was enrolled.
    package var reason: EnrolmentReason

    /// The server's clock at the enrolment, in microseconds since 1970.
    package var serverMicroseconds: Int64

    /// The enroller's wall clock at the enrolment, in microseconds since 1970.
    package var wallMicroseconds: Int64

    /// How long after the enrolment the node has no vote.
    package var quarantineMilliseconds: Int64

    /// The longest TTL that a client of these nodes may ask for.
    package var maximumTTLMilliseconds: Int64

    /// The server process that was enrolled; nil if the enroller was not allowed to know.
    package var runID: String?

    /// The digest of a script that only this server process has in its memory; nil if the enroller could not load one.
    package var marker: String?

    /// The history that the server had copied before it became a master; nil if it had copied none.
    package var formerReplicationID: String?

    /// Whether the server kept every write on disk before it answered.
    package var isDurable: Bool

    /// How many keys the server process had evicted.
    package var evictedKeys: Int64

    /// The name of the node that the record lies on.
    package var node: String

    /// The names of all nodes of the set, sorted.
    package var members: [String]

    /// The record of a server as it is now.
    package init(
        id: RecordID,
        reason: EnrolmentReason,
        serverMicroseconds: Int64,
        wallMicroseconds: Int64,
        quarantineMilliseconds: Int64,
        marker: String?,
        facts: ServerFacts,
        membership: Membership
    ) {
        self.id = id
        self.reason = reason
        self.serverMicroseconds = serverMicroseconds
        self.wallMicroseconds = wallMicroseconds
        self.quarantineMilliseconds = quarantineMilliseconds
        self.maximumTTLMilliseconds = membership.maximumTTLMilliseconds
        self.runID = facts.runID
        self.marker = marker
        self.formerReplicationID = facts.formerReplicationID
        self.isDurable = facts.isDurable
        self.evictedKeys = facts.evictedKeys ?? 0
        self.node = membership.node
        self.members = membership.members
    }

    /// How much longer the node has no vote; zero when the quarantine is over.
    ///
    /// By the server's clock and by the reader's wall clock: both must have passed the end, as either may have jumped.
    package func quarantineRemainingMicroseconds(serverMicroseconds: Int64, wallMicroseconds: Int64) -> Int64 {
        let length = quarantineMilliseconds * 1_000
        guard length > 0, !isPlanted(.quarantineSkipped) else { return 0 }
        let byServer = self.serverMicroseconds + length - serverMicroseconds
        let byWall = self.wallMicroseconds + length - wallMicroseconds
        return max(0, byServer, byWall)
    }

    /// How long a node must have no vote, so that every lease that it may have forgotten has ended: the longest TTL, by
    /// a clock that may run fast or slow, and a second more for commands that are still on their way.
    package static func quarantineMilliseconds(maximumTTLMilliseconds: Int64, drift: ClockDrift) -> Int64 {
        maximumTTLMilliseconds + drift.nanoseconds(forTTLNanoseconds: maximumTTLMilliseconds * 1_000_000) / 1_000_000
            + 1_000
    }
}

// MARK: Text

extension NodeRecord {
    /// How many digits the server's time has in the text.
    package static let timeDigitCount = 16

    /// The text without the server's time, which the node fills in: what stands before it and what stands behind it.
    package var textAroundServerTime: (before: String, after: String) {
        let values: [(String, String)] = [
            ("reason", reason.rawValue),
            ("wall", "\(wallMicroseconds)"),
            ("quarantine", "\(quarantineMilliseconds)"),
            ("maximum-ttl", "\(maximumTTLMilliseconds)"),
            ("run", runID.map(Self.escaped) ?? "-"),
            ("marker", marker.map(Self.escaped) ?? "-"),
            ("former-history", formerReplicationID.map(Self.escaped) ?? "-"),
            ("durable", isDurable ? "yes" : "no"),
            ("evicted", "\(evictedKeys)"),
            ("node", Self.escaped(node)),
            ("members", members.map(Self.escaped).joined(separator: ",")),
        ]
        return (id.description, values.map { "\($0)=\($1)" }.joined(separator: " "))
    }

    /// The record as it stands on the node.
    package var text: String {
        let digits = String(serverMicroseconds)
        let padding = String(repeating: "0", count: max(0, Self.timeDigitCount - digits.count))
        let (before, after) = textAroundServerTime
        return "\(before) \(padding)\(digits) \(after)"
    }

    /// The record that a node keeps; nil if the text is none.
    package init?(text: String) {
        // By bytes: a name may begin with a mark that would make one character with the separator before it.
        let words = Self.split(Array(text.utf8)[...], at: UInt8(ascii: " "))
        guard words.count >= 2, let id = RecordID(words[0]),
            words[1].count == Self.timeDigitCount, let serverMicroseconds = Self.number(words[1])
        else { return nil }
        // There are few of them, so that looking through all is quicker than hashing names.
        var values: [(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)] = []
        for word in words.dropFirst(2) {
            guard let separator = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            values.append((word[..<separator], word[(separator + 1)...]))
        }
        // Of two values with one name, the last counts.
        func value(_ name: StaticString) -> ArraySlice<UInt8>? {
            name.withUTF8Buffer { name in values.last { $0.name.elementsEqual(name) }?.value }
        }
        func number(_ name: StaticString) -> Int64? { value(name).flatMap(Self.number) }
        func optional(_ name: StaticString) -> String?? {
            value(name).map { $0.elementsEqual("-".utf8) ? nil : Self.unescaped($0) }
        }
        guard let reason = value("reason").flatMap({ EnrolmentReason(rawValue: String(decoding: $0, as: UTF8.self)) }),
            let wallMicroseconds = number("wall"), let quarantineMilliseconds = number("quarantine"),
            let maximumTTLMilliseconds = number("maximum-ttl"), let runID = optional("run"),
            let marker = optional("marker"), let formerReplicationID = optional("former-history"),
            let durable = value("durable"), let evictedKeys = number("evicted"), let node = value("node"),
            let members = value("members")
        else { return nil }
        // A record is data from outside: what is computed from its numbers must not overflow, and the quarantine of the
        // longest TTL must stand in a record again.
        guard [serverMicroseconds, wallMicroseconds, evictedKeys].allSatisfy({ $0 <= 1 << 53 }),
            maximumTTLMilliseconds <= 1 << 40, quarantineMilliseconds <= 1 << 42
        else { return nil }
        self.id = id
        self.reason = reason
        self.serverMicroseconds = serverMicroseconds
        self.wallMicroseconds = wallMicroseconds
        self.quarantineMilliseconds = quarantineMilliseconds
        self.maximumTTLMilliseconds = maximumTTLMilliseconds
        self.runID = runID
        self.marker = marker
        self.formerReplicationID = formerReplicationID
        self.isDurable = durable.elementsEqual("yes".utf8)
        self.evictedKeys = evictedKeys
        self.node = Self.unescaped(node)
        self.members = Self.split(members, at: UInt8(ascii: ",")).map(Self.unescaped)
    }

    private static func split(_ text: ArraySlice<UInt8>, at separator: UInt8) -> [ArraySlice<UInt8>] {
        text.split(separator: separator, omittingEmptySubsequences: false)
    }

    /// A number of digits only.
    private static func number(_ text: ArraySlice<UInt8>) -> Int64? {
        guard !text.isEmpty else { return nil }
        var number: Int64 = 0
        for digit in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (tenfold, overflows) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = tenfold.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
            guard !overflows, !overflowsToo else { return nil }
            number = sum
        }
        return number
    }

    /// Names may have characters that separate values in the text; those are written as `%` and two digits.
    private static func escaped(_ name: String) -> String {
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            if byte > 0x20, byte != UInt8(ascii: "%"), byte != UInt8(ascii: ","), byte != 0x7F {
                bytes.append(byte)
            } else {
                bytes.append(UInt8(ascii: "%"))
                for digit in [byte >> 4, byte & 0xF] {
                    bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10)
                }
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) -> String {
        guard text.contains(UInt8(ascii: "%")) else { return String(decoding: text, as: UTF8.self) }
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

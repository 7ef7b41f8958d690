// SPDX-License-Identifier: Apache-2.0

internal import RedisTransport

/// What a lock's key holds in Redis: 128 random bits, fresh for every attempt, a label that people can read, and who holds
/// it since when.
///
/// Whoever knows the token can extend and release the lock, so it is a secret: printing it shows the label alone.
public struct OwnerToken: Hashable, Sendable {
    /// The token as it stands in Redis; U+001F separates what stands behind the label.
    ///
    /// Keep it out of logs and of the arguments of processes.
    public let secretText: String

    /// The token that somebody kept, or nil if the text is empty, over 4096 bytes, or has control characters other than
    /// U+001F.
    public init?(secretText: String) {
        guard (1...4096).contains(secretText.utf8.count) else { return nil }
        let parts = secretText.unicodeScalars.split(separator: "\u{1F}")
        guard !parts.contains(where: { String($0).containsControlCharacters }) else { return nil }
        self.secretText = secretText
    }

    /// A fresh token.
    ///
    /// The time comes last, so that the text ends with a digit: nobody who trims it changes it.
    ///
    /// - Parameters:
    ///   - identity: who makes the attempt; without it, the token does not tell the time either.
    ///   - wallMilliseconds: when the attempt began, since 1970.
    init(
        highBits: UInt64,
        lowBits: UInt64,
        label: String,
        note: String? = nil,
        identity: ClientIdentity? = nil,
        wallMilliseconds: Int64 = 0
    ) {
        let note = note ?? ""
        let noteOpening = note.isEmpty ? "" : Self.noteOpening
        let fields = identity?.fields ?? ""
        let length = label.utf8.count + noteOpening.utf8.count + note.utf8.count + fields.utf8.count
        // A number of 64 bits has 20 digits at most.
        secretText = String(unsafeUninitializedCapacity: Self.digitCount + 1 + length + 20) { text in
            var writer = TokenWriter(text: text)
            writer.appendHexadecimal(highBits)
            writer.appendHexadecimal(lowBits)
            writer.append(separator)
            writer.append(label)
            writer.append(noteOpening)
            writer.append(note)
            writer.append(fields)
            if identity != nil { writer.appendDecimal(UInt64(max(0, wallMilliseconds))) }
            return writer.count
        }
    }

    /// Another token of the same attempt, which says the same of its holder.
    func remade(highBits: UInt64, lowBits: UInt64) -> OwnerToken {
        let rest = String(secretText.utf8.dropFirst(Self.digitCount + 1)) ?? ""
        return OwnerToken(highBits: highBits, lowBits: lowBits, label: rest)
    }

    /// 128 bits in hexadecimal digits.
    private static let digitCount = 32
    private static let noteOpening = OwnerField.note.opening

    /// The readable label, or nil if another kind of client wrote the token.
    public var label: String? {
        Self.label(of: secretText)
    }

    /// The readable part of what a key holds; nil unless the value has the form that this package writes.
    static func label(of value: String) -> String? {
        let bytes = value.utf8
        guard let end = bytes.index(bytes.startIndex, offsetBy: digitCount, limitedBy: bytes.endIndex),
            end < bytes.endIndex, bytes[end] == separator
        else { return nil }
        let start = bytes.index(after: end)
        return String(value[start..<(bytes[start...].firstIndex(of: OwnerField.separator) ?? bytes.endIndex)])
    }

    /// What stands behind the label of what a key holds, as far as it is known; the first of each kind counts.
    static func fields(of value: String) -> [OwnerField: Substring] {
        guard label(of: value) != nil else { return [:] }
        var fields: [OwnerField: Substring] = [:]
        // Whoever wrote the value may have meant harm: more fields than anybody has a use for are not looked at.
        let parts = Substring(value).utf8.split(separator: OwnerField.separator, maxSplits: 32)
        for part in parts.dropFirst().prefix(31) {
            guard let end = part.firstIndex(of: UInt8(ascii: "=")),
                let field = OwnerField(rawValue: String(part[..<end]) ?? ""), fields[field] == nil
            else { continue }
            fields[field] = Substring(part[part.index(after: end)...])
        }
        return fields
    }
}

/// What stands between the random part of an owner token and its label.
private let separator = UInt8(ascii: ":")

extension OwnerToken: CustomStringConvertible, CustomReflectable {
    /// The label; never the secret.
    public var description: String { "owner token of \(label ?? "another client")" }

    /// Shows the label alone.
    public var customMirror: Mirror { Mirror(self, children: ["label": label ?? ""]) }
}

/// Writes an owner token from its beginning to its end.
private struct TokenWriter {
    let text: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(text: UnsafeMutableBufferPointer<UInt8>) {
        self.text = text
    }

    mutating func append(_ byte: UInt8) {
        text[count] = byte
        count += 1
    }

    mutating func append(_ part: String) {
        var part = part
        part.withUTF8 { count = text[count...].initialize(fromContentsOf: $0) }
    }

    mutating func appendHexadecimal(_ bits: UInt64) {
        let place = UnsafeMutableBufferPointer(rebasing: text[count..<count + 16])
        bits.storeHexadecimalDigits(in: UnsafeMutableRawBufferPointer(place))
        count += 16
    }

    mutating func appendDecimal(_ number: UInt64) {
        let start = count
        var rest = number
        repeat {
            append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        text[start..<count].reverse()
    }
}

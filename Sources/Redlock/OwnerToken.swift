// SPDX-License-Identifier: Apache-2.0

internal import RedisTransport

/// What a lock's key holds in Redis: 128 random bits, fresh for every attempt, and a label that people can read.
///
/// Whoever knows the token can extend and release the lock, so it is a secret: printing it shows the label alone.
public struct OwnerToken: Hashable, Sendable {
    /// The token as it stands in Redis.
    ///
    /// Keep it out of logs and of the arguments of processes.
    public let secretText: String

    /// The token that somebody kept, or nil if the text is empty, over 4096 bytes, or has control characters.
    public init?(secretText: String) {
        guard (1...4096).contains(secretText.utf8.count), !secretText.containsControlCharacters else { return nil }
        self.secretText = secretText
    }

    /// A fresh token.
    init(highBits: UInt64, lowBits: UInt64, label: String) {
        var label = label
        secretText = label.withUTF8 { label in
            String(unsafeUninitializedCapacity: Self.digitCount + 1 + label.count) { text in
                for place in 0..<Self.digitCount {
                    let bits = place < 16 ? highBits : lowBits
                    let digit = UInt8(truncatingIfNeeded: bits >> UInt64(60 - 4 * (place % 16))) & 0xF
                    text[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                }
                text[Self.digitCount] = separator
                for (place, byte) in label.enumerated() { text[Self.digitCount + 1 + place] = byte }
                return Self.digitCount + 1 + label.count
            }
        }
    }

    /// 128 bits in hexadecimal digits.
    private static let digitCount = 32

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
        return String(value[bytes.index(after: end)...])
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

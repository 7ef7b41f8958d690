// SPDX-License-Identifier: Apache-2.0

/// What other clients know a client by, to hand a lock to it; see `Lease.release(to:)`.
///
/// It is random, another one for each client, and no secret. Tell it to others by whatever way they share.
public struct ClientIdentifier: Hashable, Sendable, Codable, CustomStringConvertible {
    /// 16 hexadecimal digits.
    public let rawValue: String

    init(bits: UInt64) {
        let digits = String(bits, radix: 16)
        rawValue = String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The identifier that somebody told; nil for a text that is none.
    public init?(_ text: String) {
        guard text.utf8.count == 16, text.utf8.allSatisfy(Self.isDigit) else { return nil }
        rawValue = text
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// Reads the digits.
    ///
    /// - Throws: `DecodingError` for what is no identifier.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let identifier = ClientIdentifier(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not the identifier of a client")
        }
        self = identifier
    }

    /// Writes the digits.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }

    /// The digits.
    public var description: String { rawValue }
}

extension RedlockClient {
    /// What other clients know this one by.
    public var identifier: ClientIdentifier { engine.identifier }
}

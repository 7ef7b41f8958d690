// SPDX-License-Identifier: Apache-2.0

/// One reply of a Redis server, as RESP2 knows them.
public enum RESPValue: Hashable, Sendable {
    /// A status such as `OK`. Bytes that are not UTF-8 are replaced by U+FFFD.
    case simpleString(String)

    /// An error of the server, its code first (`ERR ...`, `NOSCRIPT ...`). Bytes that are not UTF-8 are replaced by
    /// U+FFFD. The text comes from the server: escape it before logging.
    case error(String)

    /// A signed 64-bit integer.
    case integer(Int64)

    /// A binary safe string.
    case bulkString([UInt8])

    /// The null bulk string or the null array; RESP2 gives them one meaning.
    case null

    /// Several replies in one; may be empty and may be nested.
    case array([RESPValue])
}

extension RESPValue {
    /// The text of a status or of a bulk string; `nil` for every other reply, and for a bulk string that is not UTF-8.
    public var string: String? {
        switch self {
        case .simpleString(let text): text
        case .bulkString(let bytes): String(validating: bytes, as: UTF8.self)
        case .error, .integer, .null, .array: nil
        }
    }

    /// The number of an integer reply; `nil` for every other reply, also for digits in a bulk string.
    public var integer: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }

    /// The elements of an array reply; `nil` for every other reply.
    public var array: [RESPValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The text of an error reply; `nil` for every other reply.
    public var error: String? {
        if case .error(let text) = self { text } else { nil }
    }
}

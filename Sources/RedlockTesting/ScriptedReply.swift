// SPDX-License-Identifier: Apache-2.0

/// A reply in the second version of the Redis protocol.
public enum ScriptedReply: Sendable, Hashable {
    /// A status such as `OK`.
    case status(String)
    /// An error, which by custom begins with a word in capitals: `ERR unknown command`.
    case error(String)
    /// A whole number.
    case integer(Int)
    /// Text with its length before it.
    case text(String)
    /// The absence of a value.
    case null
    /// Several replies.
    case array([ScriptedReply])

    /// `OK`.
    public static let ok = ScriptedReply.status("OK")

    /// The reply as it goes over the wire.
    public var encoded: String {
        switch self {
        case .status(let text): "+\(text)\r\n"
        case .error(let text): "-\(text)\r\n"
        case .integer(let number): ":\(number)\r\n"
        case .text(let text): "$\(text.utf8.count)\r\n\(text)\r\n"
        case .null: "$-1\r\n"
        case .array(let elements): "*\(elements.count)\r\n" + elements.map(\.encoded).joined()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Why a stream of replies cannot be read any further.
///
/// The connection it came from must be closed: what follows in the
/// stream can no longer be told apart from the reply that failed.
package struct ReplyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kinds of failure.
    package enum Code: Sendable, Hashable {
        /// The bytes are not RESP2.
        case protocolViolation

        /// The reply is larger than the ``ReplyLimits`` allow.
        case limitExceeded

        /// There was no memory for the reply.
        case outOfMemory
    }

    /// The kind of failure.
    package let code: Code

    /// What happened, safe to log: control characters are escaped, and text of the server is cut short.
    package let message: String

    /// The same as ``message``.
    package var description: String { message }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension ReplyError {
    /// Text that may hold bytes of the server, made safe to log: printable ASCII only, at most 100 bytes of the original.
    static func loggable(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes.prefix(100) {
            if byte >= 0x20 && byte < 0x7f {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                text += digits.utf8.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
            }
        }
        return text
    }
}

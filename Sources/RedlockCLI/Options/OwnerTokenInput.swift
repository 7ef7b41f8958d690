// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// The owner token of `extend` and `release`: from REDLOCK_TOKEN or standard input, never from the arguments, which
/// every user of the machine can see.
enum OwnerTokenInput {
    static func read(_ reporter: Reporter) throws -> OwnerToken {
        if let text = ProcessInfo.processInfo.environment["REDLOCK_TOKEN"] { return try parse(text) }
        let line = isatty(STDIN_FILENO) == 0 ? try line(from: STDIN_FILENO, reporter) : []
        guard !line.allSatisfy(isBlank) else {
            throw UsageError("no owner token; put what `redlock acquire` printed into REDLOCK_TOKEN or standard input")
        }
        return try parse(String(decoding: line, as: UTF8.self))
    }

    /// Reads up to the end of the first line that is not blank; a pipe may stay open for long after.
    ///
    /// Says so if there is nothing to read for a while.
    private static func line(from descriptor: Int32, _ reporter: Reporter) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var hasSaidSo = false
        // One byte more than any token has, so that a wrong file is not read whole.
        while bytes.count <= 4_096 {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&request, 1, hasSaidSo ? -1 : 500) == 0 {
                reporter.report(.warning("waiting for the owner token on standard input; or put it into REDLOCK_TOKEN"))
                hasSaidSo = true
                continue
            }
            let count = Foundation.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw CommandFailure(systemError: errno, "standard input cannot be read") }
            if count == 0 { break }
            bytes += buffer.prefix(count)
            let line = bytes.drop(while: isBlank)
            if let end = line.firstIndex(of: UInt8(ascii: "\n")) { return Array(line[..<end]) }
        }
        return bytes
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n")].contains(byte)
    }

    /// What separates the parts of an owner token, and its picture: a terminal shows nothing of the former, so that who
    /// copies from there would lose it.
    private static let (separator, separatorPicture) = ("\u{1F}", "\u{241F}") as (Unicode.Scalar, Unicode.Scalar)

    /// The token as it is shown on a terminal; `parse` takes it as well.
    static func visible(_ token: OwnerToken) -> String {
        replacing(separator, by: separatorPicture, in: token.secretText)
    }

    /// - Throws: `UsageError` that does not show the text, which is secret.
    static func parse(_ text: String) throws -> OwnerToken {
        var trimmed = text.withoutBlankEnds
        // A label may have the picture in it, but no token of this version comes without the separator.
        if !trimmed.unicodeScalars.contains(separator) {
            trimmed = replacing(separatorPicture, by: separator, in: trimmed)
        }
        guard !trimmed.isEmpty, let token = OwnerToken(secretText: trimmed) else {
            throw UsageError("the owner token is not one; it is what `redlock acquire` printed")
        }
        return token
    }

    private static func replacing(_ old: Unicode.Scalar, by new: Unicode.Scalar, in text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == old ? new : $0 }))
    }
}

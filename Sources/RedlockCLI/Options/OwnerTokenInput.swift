// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// The owner token of `extend` and `release`: from REDLOCK_TOKEN or standard input, never from the arguments, which
/// everybody on the machine can see.
enum OwnerTokenInput {
    static func read() throws -> OwnerToken {
        if let text = ProcessInfo.processInfo.environment["REDLOCK_TOKEN"] { return try parse(text) }
        guard isatty(STDIN_FILENO) == 0 else {
            throw UsageError("no owner token; put what `redlock acquire` printed into REDLOCK_TOKEN or standard input")
        }
        // One byte more than any token has, so that a wrong file is not read whole.
        let data = (try? FileHandle.standardInput.read(upToCount: 4_096)) ?? Data()
        return try parse(String(decoding: data, as: UTF8.self))
    }

    /// What separates the parts of an owner token, and its picture: a terminal shows nothing of the former, so that who
    /// copies from there would lose it.
    private static let (separator, separatorPicture) = ("\u{1F}", "\u{241F}")

    /// The token as it is shown on a terminal; `parse` takes it as well.
    static func visible(_ token: OwnerToken) -> String {
        token.secretText.replacingOccurrences(of: separator, with: separatorPicture)
    }

    /// - Throws: `UsageError` that does not show the text, which is secret.
    static func parse(_ text: String) throws -> OwnerToken {
        var trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        // A label may have the picture in it, but no token of this version comes without the separator.
        if !trimmed.contains(separator) {
            trimmed = trimmed.replacingOccurrences(of: separatorPicture, with: separator, options: .literal)
        }
        guard !trimmed.isEmpty, let token = OwnerToken(secretText: trimmed) else {
            throw UsageError("the owner token is not one; it is what `redlock acquire` printed")
        }
        return token
    }
}

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

    /// - Throws: `UsageError` that does not show the text, which is secret.
    static func parse(_ text: String) throws -> OwnerToken {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !trimmed.isEmpty, let token = OwnerToken(secretText: trimmed) else {
            throw UsageError("the owner token is not one; it is what `redlock acquire` printed")
        }
        return token
    }
}

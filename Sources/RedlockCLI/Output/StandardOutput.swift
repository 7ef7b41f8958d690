// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Standard output, for results.
enum StandardOutput {
    /// Writes one line; false if it could not be written whole.
    static func write(_ line: String) -> Bool {
        (try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))) != nil
    }

    /// Whether it is a pipe or a socket, and nobody reads at its other end any more.
    static var hasNoReader: Bool {
        var request = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        return poll(&request, 1, 0) > 0 && request.revents & Int16(POLLERR) != 0
    }

    /// Writes one line of many.
    ///
    /// - Returns: false if nobody reads them any more.
    static func writeLine(_ line: String) throws(CommandFailure) -> Bool {
        if write(line) { return true }
        if hasNoReader { return false }
        throw CommandFailure(exitCode: ExitStatus.systemError, "a line could not be written to standard output")
    }

    /// Writes the line that a command was run for.
    static func writeResult(_ line: String) throws(CommandFailure) {
        guard write(line) else {
            throw CommandFailure(exitCode: ExitStatus.systemError, "the result could not be written to standard output")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Standard output, for results.
enum StandardOutput {
    /// Writes one line; false if it could not be written whole.
    static func write(_ line: String) -> Bool {
        write(line + "\n", to: STDOUT_FILENO)
    }

    /// Writes a text, and waits while it cannot; false if it could not be written whole.
    static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while let start = rest.baseAddress, !rest.isEmpty {
                let count = Foundation.write(descriptor, start, rest.count)
                if count < 0, errno == EAGAIN {
                    // Its other end made it one that does not block.
                    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&request, 1, -1)
                } else if count < 0, errno != EINTR {
                    return false
                }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(max(count, 0)))
            }
            return true
        }
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

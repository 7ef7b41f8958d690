// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Reads the commands that a client sends: arrays of bulk strings, or words on a line.
struct CommandParser {
    private var received = ByteBuffer()

    mutating func append(_ bytes: ByteBuffer) {
        received.discardReadBytes()
        received.writeImmutableBuffer(bytes)
    }

    /// The next whole command, or nil if it has not arrived yet.
    ///
    /// Arguments that are not UTF-8 are repaired.
    mutating func next() throws(ScriptedConnectionError) -> [String]? {
        var rest = received
        guard let line = try readLine(&rest) else { return nil }
        guard line.hasPrefix("*") else {
            received = rest
            return line.split(separator: " ").map(String.init)
        }
        guard let count = Int(line.dropFirst()), count >= 0 else { throw .notACommand(line) }
        var arguments: [String] = []
        for _ in 0..<count {
            guard let header = try readLine(&rest) else { return nil }
            guard header.hasPrefix("$"), let length = Int(header.dropFirst()), length >= 0 else {
                throw .notACommand(header)
            }
            guard let argument = rest.readString(length: length), let end = rest.readString(length: 2) else {
                return nil
            }
            guard end == "\r\n" else { throw .notACommand(header) }
            arguments.append(argument)
        }
        received = rest
        return arguments
    }

    private func readLine(_ bytes: inout ByteBuffer) throws(ScriptedConnectionError) -> String? {
        guard let end = bytes.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = bytes.readString(length: end + 1 - bytes.readerIndex) ?? ""
        guard line.hasSuffix("\r\n") else { throw .notACommand(line) }
        return String(line.dropLast())
    }
}

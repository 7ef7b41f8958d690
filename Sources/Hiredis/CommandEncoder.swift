// SPDX-License-Identifier: Apache-2.0

import CHiredis

/// Why a command could not be encoded.
///
/// The encoder stays usable.
public enum CommandEncodingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The arguments have this many bytes together, more than ``CommandEncoder/maximumCommandBytes``.
    case tooLarge(byteCount: Int)

    /// There was no memory for the encoded command.
    case outOfMemory

    /// What happened, safe to log.
    public var description: String {
        switch self {
        case .tooLarge(let byteCount):
            "a command of \(byteCount) bytes is larger than the \(CommandEncoder.maximumCommandBytes) that are allowed"
        case .outOfMemory:
            "there is no memory to encode a command"
        }
    }
}

/// Encodes commands for a Redis server, one after the other, in storage that it uses again and again.
///
/// Arguments are counted bytes, so any byte may be part of them: line ends, NUL and percent signs mean nothing.
///
/// ```swift
/// var encoder = CommandEncoder()
/// encoder.begin()
/// encoder.append("GET")
/// encoder.append(name)
/// try encoder.withEncoded { bytes in connection.write(bytes) }
/// ```
public struct CommandEncoder: ~Copyable {
    /// The most bytes that the arguments of one command may have together: what a Redis server takes by default.
    public static let maximumCommandBytes = 512 * 1024 * 1024

    /// All arguments, one behind the other.
    private var bytes: [UInt8] = []
    private var lengths: [Int] = []
    /// Where the arguments are while hiredis formats them; meaningless otherwise.
    private var starts: [UnsafePointer<CChar>?] = []

    /// What an idle encoder keeps: one huge command must not hold its memory for ever.
    private static let keptByteCount = 64 * 1024

    /// Creates an encoder without arguments.
    public init() {}

    /// Forgets the arguments of the command before.
    public mutating func begin() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= CommandEncoder.keptByteCount)
        lengths.removeAll(keepingCapacity: true)
    }

    /// Adds an argument: the text as UTF-8.
    public mutating func append(_ argument: String) {
        bytes.append(contentsOf: argument.utf8)
        lengths.append(argument.utf8.count)
    }

    /// Adds an argument.
    public mutating func append(_ argument: [UInt8]) {
        bytes.append(contentsOf: argument)
        lengths.append(argument.count)
    }

    /// Adds an argument; the bytes are copied.
    public mutating func append(_ argument: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: argument)
        lengths.append(argument.count)
    }

    /// Adds an argument: the number in decimal digits.
    public mutating func append(_ argument: Int64) {
        let start = bytes.endIndex
        var rest = argument.magnitude
        repeat {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            bytes.append(UInt8(ascii: "0") + UInt8(digit))
            rest = quotient
        } while rest > 0
        if argument < 0 {
            bytes.append(UInt8(ascii: "-"))
        }
        bytes[start...].reverse()
        lengths.append(bytes.endIndex - start)
    }

    /// Runs `body` on the command as a server expects it.
    ///
    /// The bytes are only valid inside `body`. The arguments stay, so the command may be encoded again.
    ///
    /// - Returns: what `body` returns.
    /// - Throws: ``CommandEncodingError``, and what `body` throws.
    public mutating func withEncoded<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        precondition(!lengths.isEmpty, "a command needs at least its name")
        guard bytes.count <= CommandEncoder.maximumCommandBytes else {
            throw CommandEncodingError.tooLarge(byteCount: bytes.count)
        }
        var command: sds?
        let count = format(into: &command)
        guard count >= 0, let command else { throw CommandEncodingError.outOfMemory }
        defer { redisFreeSdsCommand(command) }
        return try body(UnsafeRawBufferPointer(start: command, count: count))
    }

    /// The length of the formatted command, or a negative number if there was no memory.
    private mutating func format(into command: inout sds?) -> Int {
        bytes.withUnsafeBytes { bytes in
            starts.removeAll(keepingCapacity: true)
            var start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            for length in lengths {
                starts.append(start)
                start = start?.advanced(by: length)
            }
            // An `int` in hiredis 0.14, a `long long` in 1.x.
            return Int(redisFormatSdsCommandArgv(&command, Int32(starts.count), &starts, lengths))
        }
    }
}

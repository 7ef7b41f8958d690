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
    private var bytes = Scratch()
    private var lengths: [Int] = []
    /// Where the arguments are while hiredis formats them; meaningless otherwise, and never shorter than `lengths`.
    private var starts: [UnsafePointer<CChar>?] = []

    /// Creates an encoder without arguments.
    public init() {}

    /// Forgets the arguments of the command before.
    public mutating func begin() {
        bytes.removeAll()
        lengths.removeAll(keepingCapacity: true)
    }

    /// Adds an argument: the text as UTF-8.
    public mutating func append(_ argument: String) {
        var argument = argument
        argument.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Adds an argument.
    public mutating func append(_ argument: [UInt8]) {
        argument.withUnsafeBytes { append($0) }
    }

    /// Adds an argument: the number in decimal digits.
    public mutating func append(_ argument: Int64) {
        // The longest number has a sign and 19 digits.
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var start = digits.endIndex
            var rest = argument.magnitude
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            if argument < 0 {
                start -= 1
                digits[start] = UInt8(ascii: "-")
            }
            append(UnsafeRawBufferPointer(rebasing: digits[start...]))
        }
    }

    /// Adds an argument; the bytes are copied.
    public mutating func append(_ argument: UnsafeRawBufferPointer) {
        bytes.append(argument)
        lengths.append(argument.count)
    }

    /// Runs `body` on the command as a server expects it.
    ///
    /// The bytes are only valid inside `body`, which may change them. The arguments stay, so the command may be encoded again. A command
    /// without any argument is a programmer error.
    ///
    /// - Returns: what `body` returns.
    /// - Throws: ``CommandEncodingError``, and what `body` throws.
    public mutating func withEncoded<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> Result
    ) throws -> Result {
        precondition(!lengths.isEmpty, "a command needs at least its name")
        guard bytes.count <= CommandEncoder.maximumCommandBytes else {
            throw CommandEncodingError.tooLarge(byteCount: bytes.count)
        }
        var start = UnsafePointer(bytes.start)
        for (index, length) in lengths.enumerated() {
            if index < starts.count {
                starts[index] = start
            } else {
                starts.append(start)
            }
            start += length
        }
        var command: sds?
        // The count is an `int` in hiredis 0.14 and a `long long` in 1.x; it is negative if there was no memory.
        let count = Int(redisFormatSdsCommandArgv(&command, Int32(lengths.count), &starts, lengths))
        guard count >= 0, let command else { throw CommandEncodingError.outOfMemory }
        defer { redisFreeSdsCommand(command) }
        return try body(UnsafeMutableRawBufferPointer(start: command, count: count))
    }
}

/// Bytes that are gathered again and again in the same memory.
///
/// Not private: the compiler, optimising other modules, refers to the type and then does not find a private one.
struct Scratch: ~Copyable {
    private(set) var start: UnsafeMutablePointer<CChar>
    private(set) var count = 0
    private var capacity: Int

    /// What an idle scratch keeps at most: one huge command must not hold its memory for ever.
    private static let keptCapacity = 64 * 1024
    private static let initialCapacity = 512

    init() {
        capacity = Scratch.initialCapacity
        start = .allocate(capacity: capacity)
    }

    deinit {
        start.deallocate()
    }

    mutating func removeAll() {
        count = 0
        if capacity > Scratch.keptCapacity {
            move(toCapacity: Scratch.initialCapacity)
        }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count > capacity - count {
            move(toCapacity: max(count + bytes.count, 2 * capacity))
        }
        UnsafeMutableRawBufferPointer(start: start + count, count: bytes.count).copyMemory(from: bytes)
        count += bytes.count
    }

    private mutating func move(toCapacity newCapacity: Int) {
        let newStart = UnsafeMutablePointer<CChar>.allocate(capacity: newCapacity)
        newStart.initialize(from: start, count: count)
        start.deallocate()
        start = newStart
        capacity = newCapacity
    }
}

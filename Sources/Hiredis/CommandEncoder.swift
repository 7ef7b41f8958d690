// SPDX-License-Identifier: Apache-2.0

/// Why a command could not be encoded.
///
/// The encoder stays usable.
package enum CommandEncodingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The command has this many bytes, more than ``CommandEncoder/maximumCommandBytes``.
    case tooLarge(byteCount: Int)

    /// What happened, safe to log.
    package var description: String {
        switch self {
        case .tooLarge(let byteCount):
            "a command of \(byteCount) bytes is larger than the \(CommandEncoder.maximumCommandBytes) that are allowed"
        }
    }
}

/// Encodes commands for a Redis server, one after the other, in storage that it uses again and again.
///
/// Arguments are counted bytes, so any byte may be part of them: line ends, NUL and percent signs mean nothing. What comes
/// out is what `redisFormatSdsCommandArgv` of hiredis makes; that needs several times the instructions, as it copies every
/// argument twice and formats each length as text with the general means for that.
///
/// ```swift
/// var encoder = CommandEncoder()
/// encoder.begin()
/// encoder.append("GET")
/// encoder.append(name)
/// try encoder.withEncoded { bytes in connection.write(bytes) }
/// ```
package struct CommandEncoder: ~Copyable {
    /// The most bytes that one command may have: what a Redis server takes of arguments by default.
    package static let maximumCommandBytes = 512 * 1024 * 1024

    /// Room for the number of arguments, which is known last and stands first.
    private static let headerCapacity = lengthCapacity
    /// A sign of the protocol, the longest number there is, and a line end.
    private static let lengthCapacity = 1 + 19 + 2

    /// The arguments as a server expects them, behind room for their number.
    private var bytes = Scratch()
    private var argumentCount = 0

    /// Creates an encoder without arguments.
    package init() {
        begin()
    }

    /// Forgets the arguments of the command before.
    package mutating func begin() {
        bytes.removeAll(butFor: CommandEncoder.headerCapacity)
        argumentCount = 0
    }

    /// Adds an argument: the text as UTF-8.
    package mutating func append(_ argument: String) {
        beginArgument(byteCount: argument.utf8.count)
        bytes.append(argument)
        bytes.appendLineEnd()
    }

    /// Adds one argument that is made of several texts, as if they had been put together before.
    package mutating func append(_ first: String, _ second: String, _ third: String) {
        beginArgument(byteCount: first.utf8.count + second.utf8.count + third.utf8.count)
        bytes.append(first)
        bytes.append(second)
        bytes.append(third)
        bytes.appendLineEnd()
    }

    /// Adds one argument that is made of two numbers and a text, with spaces between.
    package mutating func append(_ first: Int64, _ second: Int64, _ text: String) {
        beginArgument(byteCount: first.decimalByteCount + second.decimalByteCount + text.utf8.count + 2)
        bytes.append(decimal: first)
        bytes.append(UInt8(ascii: " "))
        bytes.append(decimal: second)
        bytes.append(UInt8(ascii: " "))
        bytes.append(text)
        bytes.appendLineEnd()
    }

    /// Adds one argument that is made of a number and two texts, with spaces between; the second text comes in two parts.
    package mutating func append(_ number: Int64, _ first: String, _ secondStart: String, _ secondEnd: String) {
        let secondByteCount = secondStart.utf8.count + secondEnd.utf8.count
        beginArgument(byteCount: number.decimalByteCount + first.utf8.count + secondByteCount + 2)
        bytes.append(decimal: number)
        bytes.append(UInt8(ascii: " "))
        bytes.append(first)
        bytes.append(UInt8(ascii: " "))
        bytes.append(secondStart)
        bytes.append(secondEnd)
        bytes.appendLineEnd()
    }

    /// Adds an argument.
    package mutating func append(_ argument: [UInt8]) {
        argument.withUnsafeBytes { append($0) }
    }

    /// Adds an argument; the bytes are copied.
    package mutating func append(_ argument: UnsafeRawBufferPointer) {
        beginArgument(byteCount: argument.count)
        bytes.append(argument)
        bytes.appendLineEnd()
    }

    /// Adds an argument: the number in decimal digits.
    package mutating func append(_ argument: Int64) {
        beginArgument(byteCount: argument.decimalByteCount)
        bytes.append(decimal: argument)
        bytes.appendLineEnd()
    }

    /// Notes that an argument of so many bytes follows, and makes room for it and its line end.
    private mutating func beginArgument(byteCount: Int) {
        argumentCount += 1
        bytes.reserve(CommandEncoder.lengthCapacity + byteCount + 2)
        bytes.appendLength(byteCount, behind: UInt8(ascii: "$"))
    }

    /// Runs `body` on the command as a server expects it.
    ///
    /// The bytes are only valid inside `body`, which may change them. The arguments stay, so the command may be encoded
    /// again. A command without any argument is a programmer error.
    ///
    /// - Returns: what `body` returns.
    /// - Throws: ``CommandEncodingError``, and what `body` throws.
    package mutating func withEncoded<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> Result
    ) throws -> Result {
        precondition(argumentCount > 0, "a command needs at least its name")
        let headerCount = 1 + Int64(argumentCount).decimalByteCount + 2
        let start = CommandEncoder.headerCapacity - headerCount
        guard bytes.count - start <= CommandEncoder.maximumCommandBytes else {
            throw CommandEncodingError.tooLarge(byteCount: bytes.count - start)
        }
        bytes.overwrite(at: start) { header in
            header.appendLength(argumentCount, behind: UInt8(ascii: "*"))
        }
        return try body(UnsafeMutableRawBufferPointer(rebasing: bytes.all[start...]))
    }
}

extension Int64 {
    /// How many bytes the number has in decimal digits, with its sign.
    fileprivate var decimalByteCount: Int {
        var count = self < 0 ? 2 : 1
        // Ten to the power of 19, which is more than any magnitude, is no more than an unsigned number can be.
        var limit: UInt64 = 10
        while magnitude >= limit {
            limit *= 10
            count += 1
        }
        return count
    }
}

/// Bytes that are gathered again and again in the same memory.
///
/// Whoever appends has reserved the room before.
///
/// Not private: the compiler, optimising other modules, refers to the type and then does not find a private one.
struct Scratch: ~Copyable {
    private var start: UnsafeMutableRawPointer
    private(set) var count = 0
    private var capacity: Int

    /// What an idle scratch keeps at most: one huge command must not hold its memory for ever.
    private static let keptCapacity = 64 * 1024
    private static let lineEnd = (UInt16(UInt8(ascii: "\r")) << 8 | UInt16(UInt8(ascii: "\n"))).bigEndian
    private static let initialCapacity = 512

    init() {
        capacity = Scratch.initialCapacity
        start = .allocate(byteCount: capacity, alignment: 1)
    }

    deinit {
        start.deallocate()
    }

    var all: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: start, count: count) }

    /// Forgets all bytes, but for so many at the front that are to be written later.
    mutating func removeAll(butFor headerCount: Int) {
        if capacity > Scratch.keptCapacity {
            count = 0
            move(toCapacity: Scratch.initialCapacity)
        }
        count = headerCount
    }

    /// Makes room for so many bytes more.
    mutating func reserve(_ byteCount: Int) {
        if byteCount > capacity - count { move(toCapacity: max(count + byteCount, 2 * capacity)) }
    }

    mutating func append(_ byte: UInt8) {
        start.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.baseAddress else { return }
        (start + count).copyMemory(from: first, byteCount: bytes.count)
        count += bytes.count
    }

    mutating func append(_ text: String) {
        let appended: Void? = text.utf8.withContiguousStorageIfAvailable { append(UnsafeRawBufferPointer($0)) }
        if appended == nil { for byte in text.utf8 { append(byte) } }
    }

    /// Adds a sign of the protocol, a length and a line end.
    mutating func appendLength(_ length: Int, behind sign: UInt8) {
        append(sign)
        // Nearly all of them have one digit or two.
        if length < 100 {
            if length >= 10 { append(UInt8(ascii: "0") + UInt8(length / 10)) }
            append(UInt8(ascii: "0") + UInt8(length % 10))
        } else {
            append(decimal: Int64(length))
        }
        appendLineEnd()
    }

    mutating func append(decimal number: Int64) {
        let end = count + number.decimalByteCount
        var place = end
        var rest = number.magnitude
        repeat {
            place -= 1
            let digit = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            start.storeBytes(of: digit, toByteOffset: place, as: UInt8.self)
            rest /= 10
        } while rest > 0
        if number < 0 { start.storeBytes(of: UInt8(ascii: "-"), toByteOffset: place - 1, as: UInt8.self) }
        count = end
    }

    mutating func appendLineEnd() {
        start.storeBytes(of: Scratch.lineEnd, toByteOffset: count, as: UInt16.self)
        count += 2
    }

    /// Writes over bytes that are there.
    mutating func overwrite(at offset: Int, _ write: (inout Scratch) -> Void) {
        let end = count
        count = offset
        write(&self)
        count = end
    }

    private mutating func move(toCapacity newCapacity: Int) {
        let newStart = UnsafeMutableRawPointer.allocate(byteCount: newCapacity, alignment: 1)
        newStart.copyMemory(from: start, byteCount: count)
        start.deallocate()
        start = newStart
        capacity = newCapacity
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis

/// What a command answers, to a client or to a script; errors are thrown.
enum Reply {
    case integer(Int64)
    case text(String)
    /// The text of a number.
    case digits(Int64)
    case status(String)
    case null
    case array([Reply])

    static func score(_ score: Double) -> Reply {
        LuaNumber.writtenAsInteger(score).map(Reply.digits) ?? .text(LuaNumber.text(score))
    }

    /// The answer as a client gets it.
    var respValue: RESPValue {
        switch self {
        case .integer(let number): .integer(number)
        case .text(let text): .bulkString(Array(text.utf8))
        case .digits(let number): .bulkString(number.withDecimalDigits { $0.copied })
        case .status(let text): .simpleString(text)
        case .null: .null
        case .array(let elements): .array(elements.map { $0.respValue })
        }
    }
}

extension Int64 {
    /// Runs the body on the decimal digits of the number, behind its sign.
    func withDecimalDigits<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { bytes in
            var place = bytes.count
            var rest = magnitude
            repeat {
                place -= 1
                bytes[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            if self < 0 {
                place -= 1
                bytes[place] = UInt8(ascii: "-")
            }
            return body(UnsafeRawBufferPointer(rebasing: bytes[place...]))
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes in memory of their own.
    var copied: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { copy, copiedCount in
            UnsafeMutableRawBufferPointer(copy).copyMemory(from: self)
            copiedCount = count
        }
    }
}

/// Why a command failed: what the server answers, its code first.
struct CommandError: Error {
    let text: String

    static let noScript = CommandError(text: "NOSCRIPT No matching script. Please use EVAL.")
    static let wrongType = CommandError(
        text: "WRONGTYPE Operation against a key holding the wrong kind of value"
    )
    static let notAnInteger = CommandError(text: "ERR value is not an integer or out of range")
    static let notAFloat = CommandError(text: "ERR value is not a valid float")
    static let noRange = CommandError(text: "ERR min or max is not a float")
    static let overflow = CommandError(text: "ERR increment or decrement would overflow")
    static let syntax = CommandError(text: "ERR syntax error")

    static func invalidLife(_ command: String) -> CommandError {
        CommandError(text: "ERR invalid expire time in '\(command)' command")
    }

    static func unknownCommand(_ name: String) -> CommandError {
        CommandError(text: "ERR unknown command '\(name)' of a simulated server")
    }

    static func wordCount(_ command: Command) -> CommandError {
        CommandError(text: "ERR wrong number of arguments for '\(command.rawValue.lowercased())' command")
    }
}

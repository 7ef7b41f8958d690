// SPDX-License-Identifier: Apache-2.0

import Hiredis

/// What a reader made of some bytes: the replies, and the error that ended them if there was one.
struct Outcome: Equatable {
    var replies: [RESPValue] = []
    var error: ReplyError?
}

/// Feeds `bytes` to a new reader in pieces of the given lengths (what is left over in one last piece) and takes all
/// replies after every piece.
func read(
    _ bytes: some Collection<UInt8>,
    pieces lengths: [Int] = [],
    limits: ReplyLimits = .lockTraffic
) -> Outcome {
    let reader = ReplyReader(limits: limits)
    var outcome = Outcome()
    var rest = Array(bytes)[...]
    do throws(ReplyError) {
        for length in lengths {
            try reader.take(rest.prefix(length), into: &outcome)
            rest = rest.dropFirst(length)
        }
        try reader.take(rest, into: &outcome)
    } catch {
        outcome.error = error
    }
    return outcome
}

func read(_ text: String, pieces lengths: [Int] = [], limits: ReplyLimits = .lockTraffic) -> Outcome {
    read(text.utf8, pieces: lengths, limits: limits)
}

extension ReplyReader {
    func feed(_ bytes: ArraySlice<UInt8>) throws(ReplyError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(ReplyError) in try feed(UnsafeRawBufferPointer(bytes)) }
    }

    func feed(_ text: String) throws(ReplyError) {
        try feed(Array(text.utf8)[...])
    }

    fileprivate func take(_ bytes: ArraySlice<UInt8>, into outcome: inout Outcome) throws(ReplyError) {
        try feed(bytes)
        while let reply = try next() {
            outcome.replies.append(reply)
        }
    }
}

extension RESPValue {
    static func bulk(_ text: String) -> RESPValue {
        .bulkString(Array(text.utf8))
    }

    /// The reply as a server sends it.
    var encoded: [UInt8] {
        switch self {
        case .simpleString(let text): Array("+\(text)\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .integer(let number): Array(":\(number)\r\n".utf8)
        case .bulkString(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + Array("\r\n".utf8)
        case .null: Array("$-1\r\n".utf8)
        case .array(let elements): Array("*\(elements.count)\r\n".utf8) + elements.flatMap(\.encoded)
        }
    }

    /// A reply with everything that RESP2 has, at most `depth` arrays deep.
    static func random(depth: Int, using generator: inout some RandomNumberGenerator) -> RESPValue {
        func number(_ range: ClosedRange<Int>) -> Int {
            Int.random(in: range, using: &generator)
        }
        switch number(0...(depth > 0 ? 6 : 4)) {
        case 0: return .simpleString(["", "OK", "a status of more than fifteen bytes"][number(0...2)])
        case 1: return .error(["ERR", "NOSCRIPT No matching script."][number(0...1)])
        case 2: return .integer(Int64(number(.min ... .max) >> number(0...63)))
        case 3: return .null
        case 4: return .bulkString((0..<number(0...40)).map { _ in UInt8(number(0...255)) })
        default: return .array((0..<number(0...4)).map { _ in random(depth: depth - 1, using: &generator) })
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import CHiredis

/// Puts one reply together from the calls that hiredis makes while it reads.
///
/// It lives at a fixed address, which hiredis carries as `privdata`: a call from C reaches it without reference counting.
struct ReplyBuilder {
    private struct OpenArray {
        var elements: [RESPValue]
        var missingCount: Int
    }

    /// Why the reader was told to stop; hiredis itself would only know it as "out of memory".
    private(set) var refusal: ReplyError?

    private let limits: ReplyLimits
    private var openArrays: [OpenArray] = []
    private var finished: RESPValue?

    init(limits: ReplyLimits) {
        self.limits = limits
    }

    /// Hands over the reply that is complete; `nil` if none is.
    mutating func takeFinished() -> RESPValue? {
        finished.take()
    }

    private mutating func add(_ value: consuming RESPValue) {
        while !openArrays.isEmpty {
            let last = openArrays.count - 1
            openArrays[last].elements.append(value)
            openArrays[last].missingCount -= 1
            guard openArrays[last].missingCount == 0 else { return }
            value = .array(openArrays.removeLast().elements)
        }
        finished = value
    }

    private mutating func refuse(_ code: ReplyError.Code, _ message: String) -> Bool {
        refusal = ReplyError(code, message)
        return false
    }

    private mutating func refuseNewerType() -> Bool {
        refuse(.protocolViolation, ReplyBuilder.newerTypeMessage)
    }

    static let newerTypeMessage = "the server sent a RESP3 type, but this connection speaks RESP2"
}

// MARK: - What hiredis calls

extension ReplyBuilder {
    /// The functions that hiredis calls for every item it has read.
    ///
    /// hiredis 1.x has two more, for doubles and booleans. Left empty, such an item reaches no builder, so its reply never
    /// gets complete here although hiredis says so; that is how ``ReplyReader`` knows it.
    static var functions: redisReplyObjectFunctions {
        var functions = redisReplyObjectFunctions()
        functions.createString = { task, bytes, count in
            ReplyBuilder.build(task) { $0.addString(UnsafeRawBufferPointer(start: bytes, count: count), type: $1) }
        }
        functions.createArray = { task, count in
            // An `int` in hiredis 0.14, a `size_t` in 1.x.
            ReplyBuilder.build(task) { $0.openArray(count: Int(count), type: $1) }
        }
        functions.createInteger = { task, number in
            ReplyBuilder.build(task) { $0.addInteger(number, type: $1) }
        }
        functions.createNil = { task in
            ReplyBuilder.build(task) { $0.addNull(type: $1) }
        }
        return functions
    }

    /// Runs `step` on the builder of `task`.
    ///
    /// The result tells hiredis to go on (not NULL; it never looks behind the pointer) or to stop (NULL).
    @inline(__always)
    private static func build(
        _ task: UnsafePointer<redisReadTask>?,
        _ step: (inout ReplyBuilder, Int32) -> Bool
    ) -> UnsafeMutableRawPointer? {
        guard let task, let privateData = task.pointee.privdata else { return nil }
        let builder = privateData.assumingMemoryBound(to: ReplyBuilder.self)
        return step(&builder.pointee, task.pointee.type) ? privateData : nil
    }

    private mutating func addString(_ bytes: UnsafeRawBufferPointer, type: Int32) -> Bool {
        switch type {
        case REDIS_REPLY_STRING:
            return addBulkString(bytes)
        case REDIS_REPLY_STATUS:
            guard ReplyBuilder.isLine(bytes) else { return refuseBrokenLine() }
            add(.simpleString(String(decoding: bytes, as: UTF8.self)))
            return true
        case REDIS_REPLY_ERROR:
            guard ReplyBuilder.isLine(bytes) else { return refuseBrokenLine() }
            add(.error(String(decoding: bytes, as: UTF8.self)))
            return true
        default:
            return refuseNewerType()
        }
    }

    private mutating func addBulkString(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count <= limits.maximumReplyBytes else {
            return refuse(.limitExceeded, limits.messageForReply(ofAtLeast: bytes.count))
        }
        // hiredis calls only when the two bytes behind the string have arrived too, but 0.14 does not look at them.
        guard let start = bytes.baseAddress,
            start.load(fromByteOffset: bytes.count, as: UInt8.self) == UInt8(ascii: "\r"),
            start.load(fromByteOffset: bytes.count + 1, as: UInt8.self) == UInt8(ascii: "\n")
        else {
            return refuse(.protocolViolation, "a bulk string of \(bytes.count) bytes does not end with CRLF")
        }
        add(.bulkString([UInt8](bytes)))
        return true
    }

    private mutating func openArray(count: Int, type: Int32) -> Bool {
        guard type == REDIS_REPLY_ARRAY else { return refuseNewerType() }
        guard count <= limits.maximumArrayElements else {
            return refuse(
                .limitExceeded,
                "the server announced an array of \(count) elements, more than \(limits.maximumArrayElements)"
            )
        }
        guard openArrays.count < limits.maximumDepth else {
            return refuse(.limitExceeded, "the server nested arrays deeper than \(limits.maximumDepth)")
        }
        guard count > 0 else {
            add(.array([]))
            return true
        }
        var elements: [RESPValue] = []
        // The count is only an announcement, so a generous limit must not become memory before the elements come.
        elements.reserveCapacity(min(count, ReplyLimits.lockTraffic.maximumArrayElements))
        openArrays.append(OpenArray(elements: elements, missingCount: count))
        return true
    }

    private mutating func addInteger(_ number: Int64, type: Int32) -> Bool {
        guard type == REDIS_REPLY_INTEGER else { return refuseNewerType() }
        add(.integer(number))
        return true
    }

    private mutating func addNull(type: Int32) -> Bool {
        // The nulls of RESP2 are a string or an array of length -1; RESP3 has a type of its own.
        guard type == REDIS_REPLY_STRING || type == REDIS_REPLY_ARRAY else { return refuseNewerType() }
        add(.null)
        return true
    }

    /// Whether a status or an error is one line.
    ///
    /// hiredis lets a CR or LF of its own pass, and no server sends one: it is a sign that the stream is out of step.
    private static func isLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
        for byte in bytes where byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n") {
            return false
        }
        return true
    }

    private mutating func refuseBrokenLine() -> Bool {
        refuse(.protocolViolation, "a status or an error holds a lone CR or LF")
    }
}

extension ReplyLimits {
    /// The message for a reply that is too long.
    func messageForReply(ofAtLeast count: Int) -> String {
        "a reply has at least \(count) bytes, more than the \(maximumReplyBytes) that are allowed"
    }
}

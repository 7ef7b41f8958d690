// SPDX-License-Identifier: Apache-2.0

import CHiredis

/// Reads replies out of the bytes that arrive on one connection, in whatever pieces they come.
///
/// It is not thread-safe: it belongs to its connection. After the first error it is dead, and every later call throws
/// that error again.
package final class ReplyReader {
    private let limits: ReplyLimits
    private let reader: UnsafeMutablePointer<redisReader>?
    // hiredis keeps the addresses of both for as long as the reader lives.
    private let builder: UnsafeMutablePointer<ReplyBuilder>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>

    /// The bytes fed that are not part of a reply that `next()` has returned.
    private var pendingByteCount = 0
    private var failure: ReplyError?

    /// The most bytes that may wait to be read: hiredis 0.14 counts its buffer in `int`.
    private static let maximumPendingByteCount = 1 << 30

    /// Creates a reader.
    ///
    /// It never fails; if there was no memory for it, its first use throws ``ReplyError/Code/outOfMemory``.
    package init(limits: ReplyLimits = .lockTraffic) {
        self.limits = limits
        builder = .allocate(capacity: 1)
        builder.initialize(to: ReplyBuilder(limits: limits))
        functions = .allocate(capacity: 1)
        functions.initialize(to: ReplyBuilder.functions)
        reader = redisReaderCreateWithFunctions(functions)
        reader?.pointee.privdata = UnsafeMutableRawPointer(builder)
    }

    deinit {
        if let reader {
            redisReaderFree(reader)
        }
        builder.deinitialize(count: 1)
        builder.deallocate()
        functions.deinitialize(count: 1)
        functions.deallocate()
    }

    /// Takes over a copy of bytes that arrived.
    ///
    /// Call `next()` until it returns `nil` before feeding again; the limits are checked there, so what one call feeds
    /// is held whatever it is.
    ///
    /// - Throws: `outOfMemory`; `limitExceeded` if 1 GiB waits to be read; or the error that the reader died of.
    package func feed(_ bytes: UnsafeRawBufferPointer) throws(ReplyError) {
        let reader = try usableReader()
        guard bytes.count <= ReplyReader.maximumPendingByteCount - pendingByteCount else {
            throw die(ReplyError(.limitExceeded, "more than 1 GiB of replies waits to be read"))
        }
        guard redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count) == REDIS_OK
        else {
            throw die(errorOfReader(reader))
        }
        pendingByteCount += bytes.count
    }

    /// The next complete reply, or `nil` if more bytes are needed.
    ///
    /// - Throws: `protocolViolation`, `limitExceeded` or `outOfMemory`; the connection must then be closed.
    package func next() throws(ReplyError) -> RESPValue? {
        let reader = try usableReader()
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &reply) == REDIS_OK else {
            throw die(builder.pointee.refusal ?? errorOfReader(reader))
        }
        guard reply != nil else {
            try checkUnfinishedReply(reader)
            return nil
        }
        let unreadByteCount = reader.pointee.len - reader.pointee.pos
        let replyByteCount = pendingByteCount - unreadByteCount
        pendingByteCount = unreadByteCount
        guard replyByteCount <= limits.maximumReplyBytes else {
            throw die(ReplyError(.limitExceeded, limits.messageForReply(ofAtLeast: replyByteCount)))
        }
        guard let value = builder.pointee.takeFinished() else {
            throw die(ReplyError(.protocolViolation, ReplyBuilder.newerTypeMessage))
        }
        return value
    }

    /// Refuses a reply that is too long already, or that has announced to become it: a bulk string whose announced
    /// length is never sent would otherwise be waited for, and buffered, without end.
    private func checkUnfinishedReply(_ reader: UnsafeMutablePointer<redisReader>) throws(ReplyError) {
        let unread = UnsafeRawBufferPointer(
            start: reader.pointee.buf?.advanced(by: reader.pointee.pos),
            count: reader.pointee.len - reader.pointee.pos
        )
        var expectedByteCount = unread.count
        if let task = redlock_reader_current_task(reader), task.pointee.type == REDIS_REPLY_STRING {
            // hiredis has read the type byte, and stays in front of the length until the whole string is there.
            expectedByteCount = max(expectedByteCount, ReplyReader.announcedLength(unread) ?? 0)
        }
        guard expectedByteCount <= limits.maximumReplyBytes - (pendingByteCount - unread.count) else {
            throw die(ReplyError(.limitExceeded, limits.messageForReply(ofAtLeast: expectedByteCount)))
        }
    }

    /// The number in front of the first CR; `nil` if there is no CR yet, or no such number.
    ///
    /// hiredis itself refuses what is no number, as soon as the line is complete.
    private static func announcedLength(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var length = 0
        for byte in bytes {
            if byte == UInt8(ascii: "\r") { return length }
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (product, productOverflows) = length.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflows) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            guard !productOverflows, !sumOverflows else { return nil }
            length = sum
        }
        return nil
    }

    /// What hiredis itself says about the error it stopped at.
    private func errorOfReader(_ reader: UnsafeMutablePointer<redisReader>) -> ReplyError {
        if reader.pointee.err == REDIS_ERR_OOM {
            return ReplyError(.outOfMemory, "there is no memory for a reply")
        }
        let text = String(cString: redlock_reader_error_text(reader))
        return ReplyError(
            .protocolViolation,
            "the answer is not a Redis reply (\(ReplyError.loggable(text.utf8))); check that a Redis server listens there"
        )
    }

    private func usableReader() throws(ReplyError) -> UnsafeMutablePointer<redisReader> {
        if let failure {
            throw failure
        }
        guard let reader else {
            throw die(ReplyError(.outOfMemory, "there is no memory for a reply reader"))
        }
        return reader
    }

    private func die(_ error: ReplyError) -> ReplyError {
        failure = error
        return error
    }
}

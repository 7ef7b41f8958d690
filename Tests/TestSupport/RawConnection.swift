// SPDX-License-Identifier: Apache-2.0

import Foundation
package import Hiredis

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A blocking connection to a server's Unix socket, for many commands in one write.
package final class RawConnection {
    /// Why nothing came of it.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let descriptor: Int32
    private let reader = ReplyReader(limits: ReplyLimits(maximumReplyBytes: 1 << 20))
    private var chunk = [UInt8](repeating: 0, count: 64 * 1024)

    /// - Throws: `Failure`.
    package init(path: String) throws {
        #if canImport(Glibc)
            let type = Int32(SOCK_STREAM.rawValue)
        #else
            let type = SOCK_STREAM
        #endif
        descriptor = socket(AF_UNIX, type, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
        // A server that hangs fails a test; it does not hold it up.
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    /// Sends encoded commands and waits for their answers.
    ///
    /// The commands must be few enough for the buffers of the socket, as all are sent before any answer is read.
    package func exchange(_ commands: [UInt8], replyCount: Int) throws -> [RESPValue] {
        try send(commands)
        var replies: [RESPValue] = []
        while replies.count < replyCount {
            if let reply = try reader.next() {
                replies.append(reply)
                continue
            }
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else {
                throw Failure(description: "the server gave \(replies.count) of \(replyCount) answers")
            }
            try chunk.withUnsafeBytes { try reader.feed(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        return replies
    }

    /// Sends encoded commands whose answers nobody waits for.
    package func send(_ commands: [UInt8]) throws {
        var rest = commands[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure(description: "cannot write: \(String(cString: strerror(errno)))") }
            rest = rest.dropFirst(count)
        }
    }

    /// Sends one command and waits for its answer.
    @discardableResult
    package func send(_ arguments: String...) throws -> RESPValue {
        try exchange(Self.encoded(arguments), replyCount: 1)[0]
    }

    /// A command as servers expect it.
    package static func encoded(_ arguments: [String]) throws -> [UInt8] {
        var encoder = CommandEncoder()
        encoder.begin()
        for argument in arguments { encoder.append(argument) }
        return try encoder.withEncoded { Array($0) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// One connection to a server's Unix socket, with a deadline for everything; blocking, so only for use off the pool.
///
/// The socket lies in the server's own directory: an answer on it proves that it is this server that answers, which an
/// answer on a TCP port does not.
struct ControlSocket: ~Copyable {
    enum Reply: Equatable {
        case text(String)
        case error(String)
        case none
    }

    struct Failure: Error {
        var text: String
    }

    static let maximumPathLengthBytes = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private let descriptor: Int32
    private let deadline: ContinuousClock.Instant
    private var received: [UInt8] = []

    init(path: String, timeout: Duration) throws(Failure) {
        deadline = .now + timeout
        descriptor = openStreamSocket(AF_UNIX)
        guard descriptor >= 0 else { throw Failure(text: "no socket: \(errorText(errno))") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result != 0 { throw Failure(text: "cannot connect to \(path): \(errorText(errno))") }
    }

    deinit {
        closeDescriptor(descriptor)
    }

    mutating func send(_ arguments: [String]) throws(Failure) -> Reply {
        var bytes = Array("*\(arguments.count)\r\n".utf8)
        for argument in arguments {
            bytes += Array("$\(argument.utf8.count)\r\n\(argument)\r\n".utf8)
        }
        var start = 0
        while start < bytes.count {
            try wait(for: Int16(POLLOUT))
            let count = bytes[start...].withUnsafeBytes { sendWithoutSignal(descriptor, $0) }
            if count < 0 && !mayTryAgain { throw Failure(text: "cannot write: \(errorText(errno))") }
            start += max(count, 0)
        }
        return try reply()
    }

    /// Arrays become lines, which is enough for a person and a test.
    private mutating func reply() throws(Failure) -> Reply {
        let header = try line()
        let rest = String(header.dropFirst())
        switch header.first {
        case "+", ":": return .text(rest)
        case "-": return .error(rest)
        case "$":
            guard let count = Int(rest), count >= 0 else { return .none }
            while received.count < count + 2 { try receiveMore() }
            let text = String(decoding: received.prefix(count), as: UTF8.self)
            received.removeFirst(count + 2)
            return .text(text)
        case "*":
            guard let count = Int(rest), count >= 0 else { return .none }
            var lines: [String] = []
            for _ in 0..<count {
                switch try reply() {
                case .text(let text), .error(let text): lines.append(text)
                case .none: lines.append("")
                }
            }
            return .text(lines.joined(separator: "\n"))
        default:
            throw Failure(text: "answered something that is not the Redis protocol")
        }
    }

    private mutating func line() throws(Failure) -> String {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let text = String(decoding: received[..<end], as: UTF8.self)
                received.removeFirst(end + 1)
                return text.hasSuffix("\r") ? String(text.dropLast()) : text
            }
            try receiveMore()
        }
    }

    private mutating func receiveMore() throws(Failure) {
        try wait(for: Int16(POLLIN))
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &chunk, chunk.count)
        if count == 0 { throw Failure(text: "closed the connection") }
        if count < 0 && !mayTryAgain { throw Failure(text: "cannot read: \(errorText(errno))") }
        received += chunk.prefix(max(count, 0))
    }

    private var mayTryAgain: Bool { errno == EINTR || errno == EAGAIN }

    private func wait(for events: Int16) throws(Failure) {
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw Failure(text: "did not answer in time") }
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            if poll(&entry, 1, Int32(clamping: Int64(left / .milliseconds(1)) + 1)) > 0 { return }
        }
    }
}

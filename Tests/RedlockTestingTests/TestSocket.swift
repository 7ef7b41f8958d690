// SPDX-License-Identifier: Apache-2.0

import RedlockTesting

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A plain socket on loopback that blocks no thread: what client and server see, told by the system and by nobody else.
final class TestSocket: Sendable {
    enum Ending: Error, Hashable {
        case endOfStream
        case systemError(CInt)
        case timedOut(received: String)

        static let refused = systemError(ECONNREFUSED)
        static let reset = systemError(ECONNRESET)
    }

    private let descriptor: CInt

    private init(descriptor: CInt) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(descriptor)
    }

    static func connected(to port: Int) async throws -> TestSocket {
        let socket = TestSocket(descriptor: newDescriptor())
        if withAddress(port: port, { connect(socket.descriptor, $0, $1) }) != 0 {
            try await socket.retry {
                withAddress(port: port) { connect(socket.descriptor, $0, $1) } == 0 || errno == EISCONN ? 0 : -1
            }
        }
        return socket
    }

    static func listening() throws -> (socket: TestSocket, port: Int) {
        let socket = TestSocket(descriptor: newDescriptor())
        guard withAddress(port: 0, { bind(socket.descriptor, $0, $1) }) == 0, listen(socket.descriptor, 64) == 0 else {
            throw Ending.systemError(errno)
        }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(socket.descriptor, $0, &length)
            }
        }
        return (socket, Int(UInt16(bigEndian: address.sin_port)))
    }

    func accepted() async throws -> TestSocket {
        TestSocket(descriptor: CInt(try await retry(for: .seconds(600)) { Int(accept(descriptor, nil, nil)) }))
    }

    func send(_ text: String) async throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = try await retry {
                rest.withUnsafeBytes { systemSend(descriptor, $0.baseAddress, $0.count) }
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Some bytes, as soon as there are any; throws at the end of the stream.
    func receiveSome(atMost limit: Int = 65_536, within timeout: Duration = .seconds(10)) async throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = try await retry(for: timeout) { recv(descriptor, &bytes, bytes.count, 0) }
        guard count > 0 else { throw Ending.endOfStream }
        return Array(bytes.prefix(count))
    }

    /// Exactly so many bytes.
    func receive(_ count: Int, within timeout: Duration = .seconds(10)) async throws -> String {
        var bytes: [UInt8] = []
        let deadline = ContinuousClock.now + timeout
        while bytes.count < count {
            do {
                let rest = ContinuousClock.now.duration(to: deadline)
                bytes += try await receiveSome(atMost: count - bytes.count, within: rest)
            } catch Ending.timedOut {
                throw Ending.timedOut(received: String(decoding: bytes, as: UTF8.self))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Everything until the stream ends, and how it ended.
    func receiveAll(within timeout: Duration = .seconds(10)) async throws -> (text: String, ending: Ending) {
        var bytes: [UInt8] = []
        do {
            while true {
                bytes += try await receiveSome(within: timeout)
            }
        } catch let ending as Ending {
            return (String(decoding: bytes, as: UTF8.self), ending)
        }
    }

    /// Whether nothing arrives for a while.
    func isSilent(for duration: Duration) async throws -> Bool {
        do {
            _ = try await receiveSome(within: duration)
            return false
        } catch Ending.timedOut {
            return true
        }
    }

    func endSending() {
        shutdown(descriptor, CInt(SHUT_WR))
    }

    @discardableResult
    private func retry(for timeout: Duration = .seconds(10), _ call: () -> Int) async throws -> Int {
        let deadline = ContinuousClock.now + timeout
        while true {
            let result = call()
            if result >= 0 {
                return result
            }
            guard [EAGAIN, EINPROGRESS, EALREADY, EINTR].contains(errno) else { throw Ending.systemError(errno) }
            guard ContinuousClock.now < deadline else { throw Ending.timedOut(received: "") }
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}

private func newDescriptor() -> CInt {
    #if canImport(Darwin)
        let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        var enabled: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &enabled, socklen_t(MemoryLayout<CInt>.size))
        return descriptor
    #elseif canImport(Musl)
        return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
    #else
        return socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    #endif
}

private func systemSend(_ descriptor: CInt, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    #if canImport(Darwin)
        send(descriptor, bytes, count, 0)
    #else
        send(descriptor, bytes, count, CInt(MSG_NOSIGNAL))
    #endif
}

private func withAddress(port: Int, _ call: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            call($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// Runs `body` with a server that sends back what it receives, until the client ends its stream.
func withEchoServer(_ body: @escaping @Sendable (_ port: Int) async throws -> Void) async throws {
    let (listener, port) = try TestSocket.listening()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            await withTaskGroup(of: Void.self) { connections in
                while let connection = try? await listener.accepted() {
                    connections.addTask {
                        while let bytes = try? await connection.receiveSome(within: .seconds(600)) {
                            try? await connection.send(String(decoding: bytes, as: UTF8.self))
                        }
                    }
                }
            }
        }
        defer { group.cancelAll() }
        try await body(port)
    }
}

/// Runs `body` with a fault proxy in front of an echo server.
func withProxiedEcho(_ body: @escaping @Sendable (FaultProxy) async throws -> Void) async throws {
    try await withEchoServer { port in
        try await withFaultProxy(target: .init(port: port)) { proxy in
            try await body(proxy)
        }
    }
}

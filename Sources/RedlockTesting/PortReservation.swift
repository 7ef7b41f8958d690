// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A loopback port that stays ours while nobody listens on it.
///
/// The socket is bound and never listens: the kernel refuses those who connect, gives the port to nobody else, and lets
/// a listener of ours come and go beside it. A port that is merely closed could be somebody else's a moment later.
struct PortReservation: Sendable {
    let port: Int
    private let descriptor: CInt

    init() throws {
        #if canImport(Darwin)
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
            // macOS lets two sockets share an address with this option only.
            let sharing = SO_REUSEPORT
        #elseif canImport(Musl)
            let descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
            let sharing = SO_REUSEADDR
        #else
            let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            let sharing = SO_REUSEADDR
        #endif
        guard descriptor >= 0 else { throw PortReservationError(errorNumber: errno) }
        #if canImport(Darwin)
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        #endif

        var enabled: CInt = 1
        let loopback = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let isBound = loopback.withSockAddr { address, size in
            setsockopt(descriptor, SOL_SOCKET, sharing, &enabled, socklen_t(MemoryLayout<CInt>.size)) == 0
                && bind(descriptor, address, socklen_t(size)) == 0
        }
        guard isBound, let port = Self.port(of: descriptor) else {
            let errorNumber = errno
            close(descriptor)
            throw PortReservationError(errorNumber: errorNumber)
        }
        self.descriptor = descriptor
        self.port = port
    }

    /// The port of a bound socket.
    ///
    /// Read from the bytes of the address, as its type is only known where none of NIO's C modules is: on every system,
    /// the port is the third byte and the fourth.
    private static func port(of descriptor: CInt) -> Int? {
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { bytes in
            var length = socklen_t(bytes.count)
            guard let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                getsockname(descriptor, address, &length) == 0
            else { return nil }
            return Int(bytes[2]) << 8 | Int(bytes[3])
        }
    }

    func release() {
        close(descriptor)
    }
}

/// The system gave no port.
struct PortReservationError: Error, CustomStringConvertible {
    let errorNumber: CInt

    var description: String {
        "no port on 127.0.0.1 could be had from the system: \(String(cString: strerror(errorNumber)))"
    }
}

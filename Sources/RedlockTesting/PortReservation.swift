// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

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
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        var port: UInt16 = 0
        let failed = address.withSockAddr { pointer, size in
            setsockopt(descriptor, SOL_SOCKET, sharing, &enabled, socklen_t(MemoryLayout<CInt>.size)) != 0
                || bind(descriptor, pointer, socklen_t(size)) != 0
                || !Self.readPort(of: descriptor, size: size, into: &port)
        }
        if failed {
            let errorNumber = errno
            close(descriptor)
            throw PortReservationError(errorNumber: errorNumber)
        }
        self.descriptor = descriptor
        self.port = Int(port)
    }

    /// Whether the system told the port that it chose.
    private static func readPort(of descriptor: CInt, size: Int, into port: inout UInt16) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: size, alignment: MemoryLayout<sockaddr>.alignment) { address in
            guard let start = address.baseAddress else { return false }
            var length = socklen_t(size)
            guard getsockname(descriptor, start.assumingMemoryBound(to: sockaddr.self), &length) == 0 else {
                return false
            }
            // Behind the two bytes of the family, most significant byte first, on every system.
            port = UInt16(bigEndian: address.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            return true
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

// SPDX-License-Identifier: Apache-2.0

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
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                setsockopt(descriptor, SOL_SOCKET, sharing, &enabled, socklen_t(MemoryLayout<CInt>.size)) != 0
                    || bind(descriptor, pointer, length) != 0
                    || getsockname(descriptor, pointer, &length) != 0
            }
        }
        if failed {
            let errorNumber = errno
            close(descriptor)
            throw PortReservationError(errorNumber: errorNumber)
        }
        self.descriptor = descriptor
        self.port = Int(UInt16(bigEndian: address.sin_port))
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

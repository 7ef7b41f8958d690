// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// Chooses ports on 127.0.0.1 that nobody listens on.
///
/// A port is free only at the moment of the look; who starts a server on it must be ready to lose the race.
enum PortChooser {
    // Below the ranges of outgoing connections (Linux 32768 and up, macOS 49152 and up), see `LocalRedisPorts.free`.
    private static let range = 10_000..<32_000
    // Ports of this process' sets, killed servers included: they come back on their port.
    private static let reserved = Mutex<Set<Int>>([])

    /// A free port that no set of this process uses, chosen at random so that processes do not race for the same.
    static func reserveAny() throws(LocalRedisError) -> Int {
        for _ in 0..<1_000 {
            let port = Int.random(in: range)
            if reserve(port) { return port }
        }
        throw LocalRedisError(.portTaken, "no free port was found between \(range.lowerBound) and \(range.upperBound)")
    }

    /// Whether the port was free, and is now reserved.
    static func reserve(_ port: Int) -> Bool {
        reserved.withLock { ports in
            if ports.contains(port) || !isFree(port) { return false }
            ports.insert(port)
            return true
        }
    }

    static func giveBack(_ port: Int) {
        reserved.withLock { _ = $0.remove(port) }
    }

    private static func isFree(_ port: Int) -> Bool {
        guard let number = UInt16(exactly: port), number > 0 else { return false }
        let descriptor = openStreamSocket(AF_INET)
        guard descriptor >= 0 else { return false }
        defer { closeDescriptor(descriptor) }
        // As the server does: connections that linger after a close do not make a port taken.
        var yes: Int32 = 1
        _ = setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}

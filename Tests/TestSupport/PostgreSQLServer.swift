// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A PostgreSQL server of its own, in a folder of its own, that ends with the process that started it.
package final class PostgreSQLServer: Sendable {
    /// What stands in the way of a server.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let port: Int
    /// The process of the server itself.
    package let processID: Int32
    private let folder: URL
    private let process: Process
    private let lifeline: Pipe

    /// The connection string, over TCP without TLS.
    package var url: String { "host=127.0.0.1 port=\(port) user=redlock dbname=postgres sslmode=disable" }

    /// The last lines of what the server wrote.
    package var log: String {
        let text = (try? String(contentsOf: folder.appending(path: "log"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(20).joined(separator: "\n")
    }

    fileprivate init(settings: [String], certificates: Certificates?) async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "redlock-postgresql-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        port = try Self.freePort()
        let programs = try Self.folderOfPrograms()
        // The server runs for nobody who could change the machine.
        let asUser = getuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups" : ""
        var settings =
            ["port=\(port)", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=50"] + settings
        if let certificates {
            for name in ["server.crt", "server.key"] {
                try FileManager.default.copyItem(atPath: certificates.path(name), toPath: folder.path + "/" + name)
            }
            settings += ["ssl=on", "ssl_cert_file=\(folder.path)/server.crt", "ssl_key_file=\(folder.path)/server.key"]
        }
        let script = """
            set -e
            cd "$1"
            if [ -n "\(asUser)" ]; then chown -R postgres:postgres "$1"; fi
            chmod 700 "$1"
            if [ -e server.key ]; then chmod 600 server.key; fi
            \(asUser) '\(programs)/initdb' -D "$1/data" -A trust -U redlock --no-sync --no-locale -E UTF8 >initdb.log 2>&1
            \(asUser) '\(programs)/postgres' -D "$1/data" \(settings.map { "-c '\($0)'" }.joined(separator: " ")) \
                </dev/null >log 2>&1 &
            echo $! >pid.new
            mv pid.new pid
            # The other end of standard input is held by whoever wants the server.
            read -r _ || true
            kill -CONT "$(cat pid)" 2>/dev/null || true
            kill -QUIT "$(cat pid)" 2>/dev/null || true
            wait
            """
        process = Process()
        lifeline = Pipe()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", script, "sh", folder.path]
        process.standardInput = lifeline
        try process.run()
        let pidFile = folder.appending(path: "pid")
        let answers = "'\(programs)/pg_isready' -q -h 127.0.0.1 -p \(port)"
        for _ in 0..<600 {
            if let text = try? String(contentsOf: pidFile, encoding: .utf8),
                let number = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), Self.shell(answers)
            {
                processID = number
                return
            }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        try? lifeline.fileHandleForWriting.close()
        var reason = ""
        for name in ["initdb.log", "log"] {
            reason += (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? ""
        }
        try? FileManager.default.removeItem(at: folder)
        throw Failure(description: "no PostgreSQL server: \(reason)")
    }

    fileprivate func stop() {
        try? lifeline.fileHandleForWriting.close()
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    private static func freePort() throws -> Int {
        let socket = try Socket()
        defer { socket.close() }
        return try socket.boundPort()
    }

    /// Where `initdb` and `postgres` are; packages do not put them into the search path.
    private static func folderOfPrograms() throws -> String {
        let debian = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: debian)) ?? []
        let folders =
            versions.sorted { ($0 as NSString).intValue > ($1 as NSString).intValue }.map { "\(debian)/\($0)/bin" }
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        guard let folder = folders.first(where: { FileManager.default.isExecutableFile(atPath: "\($0)/initdb") }) else {
            throw Failure(description: "there is no initdb: install postgresql")
        }
        return folder
    }

    private static func shell(_ command: String) -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

/// A socket that finds out a port nobody uses.
private struct Socket {
    private let descriptor: CInt

    init() throws {
        #if canImport(Glibc)
            descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        #else
            descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        guard descriptor >= 0 else { throw PostgreSQLServer.Failure(description: "no socket") }
    }

    func boundPort() throws -> Int {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, size) == 0 && getsockname(descriptor, pointer, &size) == 0
            }
        }
        guard isBound else { throw PostgreSQLServer.Failure(description: "no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    func close() {
        #if canImport(Glibc)
            _ = Glibc.close(descriptor)
        #else
            _ = Darwin.close(descriptor)
        #endif
    }
}

/// Starts a PostgreSQL server, runs `body` with it, and ends and removes it.
///
/// - Parameters:
///   - settings: what to set, as `name=value`.
///   - certificates: has the server offer TLS with them.
package func withPostgreSQL<Result>(
    settings: [String] = ["fsync=off"],
    certificates: Certificates? = nil,
    _ body: (PostgreSQLServer) async throws -> Result
) async throws -> Result {
    let server = try await PostgreSQLServer(settings: settings, certificates: certificates)
    defer { server.stop() }
    return try await body(server)
}

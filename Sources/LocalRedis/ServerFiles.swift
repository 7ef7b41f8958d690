// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The files of one server, all in its directory.
struct ServerFiles: Sendable {
    /// What a later process needs to find the server again.
    struct Record: Codable {
        var port: Int
        var process: ProcessIdentity?
        var startedAt: Date?
    }

    let directory: String
    var configuration: String { directory + "/redis.conf" }
    var log: String { directory + "/redis.log" }
    var socket: String { directory + "/redis.sock" }
    private var record: String { directory + "/server.json" }

    func create() throws {
        guard socket.utf8.count <= ControlSocket.maximumPathLengthBytes else {
            throw LocalRedisError(
                .directory,
                "the path \(socket) is longer than the \(ControlSocket.maximumPathLengthBytes) bytes a Unix socket may "
                    + "have; choose a shorter directory"
            )
        }
        try createPrivateDirectory(directory)
    }

    func removeData() throws {
        for name in ["appendonlydir", "dump.rdb"] where FileManager.default.fileExists(atPath: directory + "/" + name) {
            try FileManager.default.removeItem(atPath: directory + "/" + name)
        }
    }

    func write(_ record: Record) throws {
        try writePrivately(JSONEncoder().encode(record), to: self.record)
    }

    func readRecord() throws -> Record {
        guard let data = FileManager.default.contents(atPath: record),
            let result = try? JSONDecoder().decode(Record.self, from: data)
        else { throw LocalRedisError(.directory, "\(record) is missing or is not the record of a server") }
        return result
    }

    func writeConfiguration(port: Int, options: LocalRedisOptions) throws {
        var lines = [
            "bind 127.0.0.1",
            "port \(options.tls == nil ? port : 0)",
            "unixsocket \(Self.quoted(socket))",
            "unixsocketperm 700",
            "dir \(Self.quoted(directory))",
            "daemonize no",
            "save \"\"",
        ]
        switch options.persistence {
        case .none: lines.append("appendonly no")
        case .appendOnlyAlways: lines += ["appendonly yes", "appendfsync always", "no-appendfsync-on-rewrite no"]
        }
        if let tls = options.tls {
            lines += [
                "tls-port \(port)",
                "tls-cert-file \(Self.quoted(tls.certificateFile))",
                "tls-key-file \(Self.quoted(tls.keyFile))",
                "tls-ca-cert-file \(Self.quoted(tls.certificateAuthorityFile))",
                "tls-auth-clients \(tls.requiresClientCertificate ? "yes" : "no")",
            ]
        }
        lines += options.extraConfiguration
        try writePrivately(Data((lines.joined(separator: "\n") + "\n").utf8), to: configuration)
    }

    var logLengthBytes: Int {
        fileSize(log) ?? 0
    }

    /// What the server said since the log had the given length.
    func logText(fromByte start: Int) -> String {
        let data = FileManager.default.contents(atPath: log) ?? Data()
        return String(decoding: data.dropFirst(start), as: UTF8.self)
    }

    /// The last lines of a log, fit for an error message: the server quotes configuration lines that it refuses, and
    /// they may hold a password.
    static func tail(of text: String, lineCount: Int = 6) -> String {
        let secretWords = ["pass", "auth", "user"]
        return text.split(separator: "\n").suffix(lineCount).map { line in
            let mayHoldSecret =
                line.hasPrefix(">>>") && secretWords.contains { line.lowercased().firstRange(of: $0) != nil }
            return mayHoldSecret ? "  >>> (a line that may hold a secret)" : "  \(line)"
        }.joined(separator: "\n")
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                result += "\\" + String(UnicodeScalar(byte))
            case 0x20..<0x7f:
                result += String(UnicodeScalar(byte))
            default:
                let digits = String(byte, radix: 16)
                result += "\\x" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return result + "\""
    }
}

/// A path as it stands in a URL.
func percentEncodedPath(_ path: String) -> String {
    path.utf8.map { byte in
        let character = Character(UnicodeScalar(byte))
        guard byte >= 0x80 || !(character.isLetter || character.isNumber || "/-._~".contains(character)) else {
            return String(character)
        }
        return (byte < 0x10 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
    }.joined()
}

/// Why something could not be done with a file, in the words of the system.
func fileErrorText(_ error: any Error) -> String {
    let cause = (error as? CocoaError)?.underlying ?? error
    return (cause as? POSIXError).map { errorText($0.code.rawValue) } ?? "\(error)"
}

func createPrivateDirectory(_ path: String) throws {
    do {
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
    } catch {
        throw LocalRedisError(.directory, "the directory \(path) cannot be created: \(fileErrorText(error))")
    }
}

/// Writes a file that only its user can read, at no moment half written or readable by others.
func writePrivately(_ data: Data, to path: String) throws {
    let temporary = "\(path).\(getpid()).new"
    func failure(_ number: Int32) -> LocalRedisError {
        LocalRedisError(.directory, "the file \(path) cannot be written: \(errorText(number))")
    }
    let descriptor = openDescriptor(temporary, O_WRONLY | O_CREAT | O_TRUNC)
    guard descriptor >= 0 else { throw failure(errno) }
    defer { closeDescriptor(descriptor) }
    var rest = data[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno != EINTR { throw failure(errno) }
        rest = rest.dropFirst(max(count, 0))
    }
    guard rename(temporary, path) == 0 else { throw failure(errno) }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Why a command could not be started, in the words and with the exit codes of a shell.
///
/// The system says "no such file" of a script whose interpreter is missing as well, so the file is looked at.
struct StartFailure {
    private let error: Int32
    private let program: String
    private let searchPath: String

    init(_ error: Int32, program: [UInt8], environment: [[UInt8]]) {
        self.error = error
        self.program = String(decoding: program, as: UTF8.self)
        let prefix = Array("PATH=".utf8)
        let path = environment.first { $0.starts(with: prefix) }?.dropFirst(prefix.count)
        searchPath = path.map { String(decoding: $0, as: UTF8.self) } ?? "/usr/local/bin:/usr/bin:/bin"
    }

    var failure: CommandFailure {
        switch error {
        case ENOENT:
            guard let file = fileThatWasFound else {
                return CommandFailure(exitCode: ExitStatus.notFound, "\(program): command not found")
            }
            return CommandFailure(
                exitCode: ExitStatus.notExecutable,
                "\(program) cannot be executed: \(Self.lackOf(Self.firstLine(of: file)))"
            )
        case EAGAIN, ENOMEM, EMFILE, ENFILE:
            return CommandFailure(systemError: error, "\(program) cannot be started")
        default:
            return CommandFailure(
                exitCode: ExitStatus.notExecutable,
                "\(program) cannot be executed: \(SystemError.text(of: error))"
            )
        }
    }

    /// The file that the system tried to execute; nil if there is none of that name.
    private var fileThatWasFound: String? {
        let candidates =
            program.contains { $0 == "/" }
            ? [program]
            : searchPath.split(separator: ":", omittingEmptySubsequences: false).map { folder in
                folder.isEmpty ? program : "\(folder)/\(program)"
            }
        return program.isEmpty ? nil : candidates.first { access($0, X_OK) == 0 }
    }

    /// The first line of a script without the two characters that it begins with; nil for what is no script.
    private static func firstLine(of file: String) -> [UInt8]? {
        // Reading could block, were the file a pipe.
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Longer lines are cut off by the system as well.
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 2, buffer.starts(with: Array("#!".utf8)) else { return nil }
        return Array(buffer[2..<count].prefix { $0 != UInt8(ascii: "\n") })
    }

    /// What the file needs and the system does not have.
    private static func lackOf(_ line: [UInt8]?) -> String {
        guard let line else { return "the program that loads it is missing (is it of another system or architecture?)" }
        if line.last == UInt8(ascii: "\r") {
            return "its first line ends with CR LF, as on Windows; save it with LF alone (sed -i 's/\\r$//')"
        }
        let interpreter = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace).first ?? ""
        return "its interpreter \"\(interpreter)\" is missing; see its first line"
    }
}

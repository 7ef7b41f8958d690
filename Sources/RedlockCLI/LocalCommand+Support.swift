// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Dispatch
import Foundation
import LocalRedis

extension LocalCommand {
    /// Where the set of servers lives.
    struct SetOptions: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "The directory of the servers; several sets can live in several directories.",
                discussion: "By default $XDG_STATE_HOME/redlock/local, or ~/.local/state/redlock/local.",
                valueName: "directory"
            ),
            completion: .directory
        )
        var directory: String?

        var path: String {
            let environment = ProcessInfo.processInfo.environment
            let chosen: String
            if let directory {
                chosen = directory
            } else if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
                chosen = state + "/redlock/local"
            } else {
                chosen = FileManager.default.homeDirectoryForCurrentUser.path + "/.local/state/redlock/local"
            }
            return URL(fileURLWithPath: chosen).standardizedFileURL.path
        }

        func validate() throws {
            if directory?.isEmpty == true { throw ValidationError("--directory is empty; name a directory.") }
        }

        func load() throws -> LocalRedisSet {
            guard LocalRedisSet.exists(in: path) else {
                throw Failure("there are no local servers in \(path); start some: redlock local up")
            }
            return try LocalRedisSet.load(directory: path)
        }
    }

    /// Something that went wrong, as one line for a person.
    struct Failure: Error {
        var message: String
        var exitCode: Int32

        init(_ message: String, exitCode: Int32 = EXIT_FAILURE) {
            self.message = message
            self.exitCode = exitCode
        }
    }

    static func say(_ message: String) {
        _ = StandardOutput.write("redlock: \(message)\n", to: STDERR_FILENO)
    }

    /// Writes the line that a command was run for.
    static func writeResult(_ line: String) throws(Failure) {
        guard StandardOutput.write(line) else {
            throw Failure("the result could not be written to standard output", exitCode: ExitStatus.systemError)
        }
    }

    /// Runs the command; an error becomes one line on standard error and the right exit code.
    static func reportingErrors(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as Failure {
            say(failure.message)
            throw ExitCode(failure.exitCode)
        } catch let error as LocalRedisError {
            say(error.description)
            switch error.code {
            case .notInstalled, .notStarted, .portTaken: throw ExitCode(EX_UNAVAILABLE)
            case .invalidArgument: throw ExitCode(EX_USAGE)
            case .directory, .notRunning, .command: throw ExitCode.failure
            }
        }
    }

    /// Runs the body, which is cancelled by HUP, INT and TERM; once it has cleaned up, exits as the signal asks.
    static func cancelledBySignals(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
        let sources = [SIGHUP, SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
        defer { sources.forEach { $0.cancel() } }
        try await withThrowingTaskGroup(of: Int32?.self) { group in
            group.addTask {
                try await body()
                return nil
            }
            group.addTask {
                for await number in signals { return number }
                return nil
            }
            defer { group.cancelAll() }
            guard let number = try await group.next() ?? nil else { return }
            group.cancelAll()
            // The body may have been done at the same moment; then what it started stays, and that is success.
            do {
                try await group.waitForAll()
            } catch is CancellationError {
                say("ended by signal \(number); nothing is left behind")
                throw ExitCode(128 + number)
            }
        }
    }
}

/// Holds the directory of a set for one command at a time.
///
/// The lock lies on the directory itself, so it leaves no file behind; who waited for a directory that was removed in
/// the meantime sees that by its number and starts anew.
struct LocalSetLock: ~Copyable {
    private let descriptor: Int32

    init(path: String) async throws {
        while true {
            do {
                try FileManager.default.createDirectory(
                    atPath: path,
                    withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700]
                )
            } catch {
                throw LocalCommand.Failure("\(path) \(Self.reason(error))", exitCode: EX_UNAVAILABLE)
            }
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else {
                let reason = SystemError.text(of: errno)
                throw LocalCommand.Failure("\(path) cannot be opened: \(reason)", exitCode: EX_UNAVAILABLE)
            }
            do {
                if try await Self.isLocked(descriptor, path: path) {
                    self.descriptor = descriptor
                    return
                }
            } catch {
                close(descriptor)
                throw error
            }
            close(descriptor)
        }
    }

    deinit {
        close(descriptor)
    }

    private static func reason(_ error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileWriteFileExists?: "is not a directory"
        case .fileWriteNoPermission?: "cannot be made: permission denied"
        case .fileWriteVolumeReadOnly?: "cannot be made: read-only file system"
        default: "cannot be made: a directory above it is missing or is a file"
        }
    }

    /// False if the path names another directory by now.
    private static func isLocked(_ descriptor: Int32, path: String) async throws -> Bool {
        var hasSaidSo = false
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else {
                throw LocalCommand.Failure("\(path) cannot be locked: \(SystemError.text(of: errno))")
            }
            if !hasSaidSo { LocalCommand.say("waiting for another 'redlock local' in \(path)") }
            hasSaidSo = true
            try await Task.sleep(for: .milliseconds(50))
        }
        var held = stat()
        var named = stat()
        return fstat(descriptor, &held) == 0 && stat(path, &named) == 0
            && held.st_ino == named.st_ino && held.st_dev == named.st_dev
    }
}

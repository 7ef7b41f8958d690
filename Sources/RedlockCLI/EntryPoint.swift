// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CSpawn
import Foundation

/// Starts the command that was asked for, and turns what it throws into one line and an exit code.
///
/// The main function is synchronous on purpose: `redlock run` needs the main thread for itself (see `SignalWatcher` and
/// `Supervisor`).
@main
enum EntryPoint {
    static func main() {
        // First of all, as the next lines change it.
        _ = InheritedState.ofThisProcess
        let standardError = cinheritance_fill_standard_descriptors()
        // A reader of our output may stop reading; that is an error of a write, not the end of the supervision.
        signal(SIGPIPE, SIG_IGN)
        var resource: String?
        do {
            guard standardError == 0 else {
                throw CommandFailure(systemError: standardError, "standard input, output or error is closed")
            }
            try ProcessLimits.raiseDescriptorLimit()
            try ProcessLimits.requireThreads()
            try CommandArguments.checkText()
            var command = try RedlockCommand.parseAsRoot()
            if var lockCommand = command as? any ResourceCommand {
                resource = lockCommand.names.joined(separator: ", ")
                for name in lockCommand.names { try checkName(name) }
                return try lockCommand.run()
            }
            guard let asynchronous = command as? any AsyncParsableCommand else { return try command.run() }
            run(asynchronous)
        } catch {
            end(with: error, resource: resource)
        }
    }

    private static func checkName(_ name: String) throws {
        // One that cannot be given to every command would be a trap.
        guard !name.hasPrefix("-") else {
            throw UsageError("the name \"\(name)\" begins with a dash, as options do; choose another")
        }
    }

    private static func run(_ command: sending any AsyncParsableCommand) -> Never {
        Task {
            do {
                var command = command
                try await command.run()
                exit(ExitStatus.success)
            } catch {
                end(with: error)
            }
        }
        dispatchMain()
    }

    /// `-dash` is read as `-d -a -s -h`, and help is shown with the exit code of success: a name or an option that was
    /// mistyped must not look like a command that was run.
    private static var unintendedHelp: CommandFailure? {
        let own = CommandLine.arguments.dropFirst().prefix { $0 != "--" }
        let asked: Set = ["-h", "--help", "--help-hidden", "help", "--version"]
        guard !own.contains(where: asked.contains) else { return nil }
        let cluster = own.first { word in
            word.hasPrefix("-") && !word.hasPrefix("--") && word.count > 2 && word.contains { $0 == "h" }
        }
        return cluster.map {
            CommandFailure(exitCode: ExitStatus.usage, "unknown option \"\($0)\"; see redlock --help")
        }
    }

    private static func printWhatWasAskedFor(_ text: String) -> Never {
        do {
            try StandardOutput.writeResult(text)
            exit(ExitStatus.success)
        } catch {
            end(with: error)
        }
    }

    private static func end(with error: any Error, resource: String? = nil) -> Never {
        if let code = error as? ExitCode { exit(code.rawValue) }
        var reporter = Reporter(resource: resource)
        // The options may be what could not be parsed.
        reporter.usesJSON = CommandLine.arguments.prefix { $0 != "--" }.contains("--json")
        let failure: CommandFailure
        switch error {
        case is CommandFailure, is UsageError:
            failure = CommandFailure(error)
        default:
            let code = RedlockCommand.exitCode(for: error)
            // Help, version and completion scripts: asked for, and printed to standard output.
            if code == .success, unintendedHelp == nil { printWhatWasAskedFor(RedlockCommand.fullMessage(for: error)) }
            failure = unintendedHelp ?? CommandFailure(exitCode: code.rawValue, RedlockCommand.message(for: error))
        }
        reporter.report(.error(failure))
        exit(failure.exitCode)
    }
}

/// A command that is about one lock, or several.
protocol ResourceCommand: ParsableCommand {
    var names: [String] { get }
}

/// What the system grants this process.
enum ProcessLimits {
    /// Tries whether the threads that are needed can be started: the event loop's, one for signals, and those of the pool
    /// of tasks, one for each processor and some more.
    ///
    /// Where one is missing later, the libraries below crash or wait for ever.
    static func requireThreads() throws {
        let count = Int32(ProcessInfo.processInfo.activeProcessorCount) + 6
        let error = cprocess_try_threads(count)
        guard error != 0 else { return }
        throw CommandFailure(
            systemError: error,
            "this process cannot start the \(count) threads it needs; raise the limit of processes (ulimit -u, or that "
                + "of the container) or of memory (ulimit -v)"
        )
    }

    /// The event loop and one connection per node need some descriptors, and cannot say what they miss.
    ///
    /// Not raised further than needed: what the command inherits should be near to what the user set.
    static func raiseDescriptorLimit() throws {
        #if os(Linux)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < 256 else { return }
        limit.rlim_cur = min(limit.rlim_max, 1_024)
        _ = setrlimit(resource, &limit)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < 64 else { return }
        throw CommandFailure(
            exitCode: ExitStatus.systemError,
            "this process may open only \(limit.rlim_cur) files, and needs 64; raise the limit (ulimit -n)"
        )
    }
}

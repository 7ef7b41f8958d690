// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Starts the command that was asked for, and turns what it throws into one line and an exit code.
///
/// The main function is synchronous on purpose: `redlock run` needs the main thread for itself (see `SignalWatcher` and
/// `Supervisor`).
@main
enum EntryPoint {
    static func main() {
        // Whoever reads our output may stop reading; that is an error of a write, not the end of the supervision.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try RedlockCommand.parseAsRoot()
            guard let asynchronous = command as? any AsyncParsableCommand else { return try command.run() }
            run(asynchronous)
        } catch {
            end(with: error)
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

    private static func end(with error: any Error) -> Never {
        if let code = error as? ExitCode { exit(code.rawValue) }
        var reporter = Reporter()
        // The options may be what could not be parsed.
        reporter.usesJSON = CommandLine.arguments.prefix { $0 != "--" }.contains("--json")
        let failure: CommandFailure
        switch error {
        case is CommandFailure, is UsageError:
            failure = CommandFailure(error)
        default:
            let code = RedlockCommand.exitCode(for: error)
            // Help, version and completion scripts: asked for, and printed to standard output.
            guard code != .success else { RedlockCommand.exit(withError: error) }
            failure = CommandFailure(exitCode: code.rawValue, RedlockCommand.message(for: error))
        }
        reporter.report(.error(message: failure.description, exitCode: failure.exitCode))
        exit(failure.exitCode)
    }
}

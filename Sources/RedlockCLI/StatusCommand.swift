// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock status`: who holds a lock.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show who holds a lock, by node.",
        discussion: """
            Exit code 0 says that a quorum shows one holder, 1 that the lock is free, 69 that no quorum of nodes \
            answered. Looking changes nothing; the answer may be outdated when it is read.

            With --json prints {"name", "held", "quorumReachable", "owner", "remainingMilliseconds", "nodes": [{"node", \
            "state": "free" | "held" | "unavailable", "owner", "remainingMilliseconds", "holder", "reason"}]}; \
            "holder" tells holders apart that have the same label.

            EXAMPLE
              redlock status nightly-report
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: ArgumentHelp("What to look at.", valueName: "name"))
    var name: String

    func run() throws {
        let (options, path, name, printsJSON) = (connection.partialSettings, connection.config, name, output.json)
        let reporter = output.reporter(resource: name)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try LockClient(settings, reporter: reporter)
            let status: LockStatus
            do {
                status = try await client.redlock.inspect(name)
            } catch {
                throw settings.failure(error)
            }
            let text = StatusText(status)
            _ = StandardOutput.write(printsJSON ? text.json.text : text.lines.joined(separator: "\n"))
            guard status.isQuorumReachable else {
                let hint = settings.nodesAreDefault ? CommandFailure.hintToStartServers : ""
                throw CommandFailure(exitCode: ExitStatus.unavailable, "no quorum of nodes answered\(hint)")
            }
            return status.isHeld ? ExitStatus.success : ExitStatus.conflict
        }
    }
}

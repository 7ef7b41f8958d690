// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock status`: who holds a lock.
struct StatusCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show who holds a lock, by node.",
        discussion: """
            Exit code 0 says that the lock cannot be had: a quorum shows one holder, or too many nodes have keys of \
            several owners or keys that are no locks. 1 says that it is free on a quorum, 69 that no quorum of nodes \
            answered. Looking changes nothing; the answer may be outdated when it is read.

            With --json prints {"name", "held", "free", "quorumReachable", "owner", "remainingMilliseconds", "nodes": \
            [{"node", "state": "free" | "held" | "notALock" | "unavailable", "owner", "remainingMilliseconds", "holder", \
            "reason"}]}, with null where there is nothing to say ("held" and "free" when no quorum answered); "holder" \
            tells holders apart that have the same label.

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
            let status = try await settings.calling { try await client.redlock.inspect(name) }
            let text = StatusText(status)
            try StandardOutput.writeResult(printsJSON ? text.json.text : text.lines.joined(separator: "\n"))
            guard text.verdict != .unknown else {
                let hint = settings.nodesAreDefault ? CommandFailure.hintToStartServers : ""
                throw CommandFailure(exitCode: ExitStatus.unavailable, "no quorum of nodes answered\(hint)")
            }
            return text.verdict == .free ? ExitStatus.conflict : ExitStatus.success
        }
    }
}

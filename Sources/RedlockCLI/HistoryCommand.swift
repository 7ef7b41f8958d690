// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock history`: who had a lock.
struct HistoryCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "List who had a lock, as far as that is on record.",
        discussion: """
            Lists the last grants of NAME, 32 at most, in the order of their fencing tokens: who had it, where, from when to \
            when, and why each ended. The servers know of those alone whose holder asked for it: `redlock run --record 32`, \
            "record" in the configuration file, or LockOptions.recordedGrants; and for 7 days after the last. It is for people: times are those of the holders' clocks, and a \
            holder that was killed, or cut off from all servers, could not say that it ended. Terms of an election are listed \
            by `redlock elect --history`.

            With --json prints {"name", "holder" (null if no client has it alone), "grants": [{"fencingToken", "owner", "note", \
            "host", "process", "beganMilliseconds", "endedMilliseconds", "ending", "heldUntilMilliseconds" (Unix time: until \
            when it was to stay for --min-hold)}]}, with null for what is not known.

            EXAMPLES
              redlock run --record 32 deploy -- make deploy
              redlock history deploy
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup(visibility: .hidden) var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: ArgumentHelp("What was locked.", valueName: "name"))
    var name: String

    var names: [String] { [name] }

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, name, printsJSON) = (connection.config, name, output.json)
        let reporter = output.reporter(resource: name)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try settings.makeStandardClient(for: "history", reporter)
            let text = try await settings.finishing(client) {
                HistoryText(
                    name: name,
                    grants: try await client.recordedGrants(of: name),
                    status: try await client.inspect(name)
                )
            }
            try StandardOutput.writeResult(printsJSON ? text.json.text : text.lines.joined(separator: "\n"))
            return ExitStatus.success
        }
    }
}

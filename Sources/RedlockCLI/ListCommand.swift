// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock list`: all locks that somebody holds.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the locks that are held.",
        discussion: """
            One line for each lock that a quorum of nodes shows as held: its name, who holds it, where and since when, for \
            how long unless it is renewed, the note of the holder, up to which number fencing tokens are reserved, and how many clients wait. Nothing is printed if \
            there is none. PATTERN chooses names: * stands for any characters, ? for one, [ab] for one of several.

            The servers are read step by step and serve others in between; it takes the right +scan. The list is not of \
            one moment. Since when is what the clock of the holder showed. Exit code 69 says that too few nodes could be read.

            With --json prints {"locks": [{"name", "owner", "host", "process", "sinceMilliseconds" (Unix time), "note", \
            "remainingMilliseconds", "lastFencingToken", "waitingClients", "notALock"}]}, with null for what no node tells.

            A name in place of whose lock a server has data that others wrote is listed as not a lock.

            EXAMPLES
              redlock list
              redlock list 'reports/*'
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup(visibility: .hidden) var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: ArgumentHelp("Which names; all without it.", valueName: "pattern"))
    var pattern = "*"

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, pattern, printsJSON) = (connection.config, pattern, output.json)
        let reporter = output.reporter(resource: pattern)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try settings.makeStandardClient(for: "list", reporter)
            let locks = try await settings.calling { try await client.locks(matching: pattern) }
            let text = ListText(locks)
            if printsJSON {
                try StandardOutput.writeResult(text.json.text)
            } else if !locks.isEmpty {
                try StandardOutput.writeResult(text.lines.joined(separator: "\n"))
            }
            return ExitStatus.success
        }
    }
}

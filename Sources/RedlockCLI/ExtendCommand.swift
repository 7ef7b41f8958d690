// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock extend`: prolongs a lock that `redlock acquire` took.
struct ExtendCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "extend",
        abstract: "Prolong a lock that `redlock acquire` took.",
        discussion: """
            The owner token comes from REDLOCK_TOKEN or standard input. Exit code 1 says that the lock is not held any \
            more: stop the work. With --json prints {"name", "validityMilliseconds"}.

            EXAMPLE
              REDLOCK_TOKEN=$TOKEN redlock extend batch --ttl 30s || exit
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var mode: ModeOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("How long the lock lives from now on. (default: 30s)", valueName: "duration"),
        transform: DurationArgument.option
    )
    var ttl: Duration?

    @Argument(help: ArgumentHelp("What is locked.", valueName: "name"))
    var name: String

    var names: [String] { [name] }

    func run() throws {
        var options = connection.partialSettings.or(profile.partialSettings)
        options.ttl = ttl
        let (complete, path, name, printsJSON) = (options, connection.config, name, output.json)
        let (reporter, mode) = (output.reporter(resource: name), mode)
        try InterruptibleOperation.run {
            let token = try OwnerTokenInput.read(reporter)
            let settings = try await Settings.resolve(options: complete, configurationPath: path)
            let ttl = AcquireCommand.ttl(settings.values)
            let validity: Duration
            if let client = try mode.sharingClient(settings, for: "extend", reporter) {
                validity = try await settings.finishing(client) {
                    try await client.extend(name, mode: .shared, ownerToken: token, ttl: ttl)
                }
            } else {
                let client = try settings.makeClient(reporter)
                validity = try await settings.finishing(client) {
                    try await client.extend(name, ownerToken: token, ttl: ttl)
                }
            }
            if printsJSON {
                let line = JSONLine.object([
                    ("name", .string(name)), ("validityMilliseconds", .integer(validity.wholeMilliseconds)),
                ])
                try StandardOutput.writeResult(line.text)
            }
            return ExitStatus.success
        }
    }
}

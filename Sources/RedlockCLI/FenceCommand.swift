// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock fence`: raises the fencing tokens of a lock by hand.
struct FenceCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "fence",
        abstract: "Raise the fencing tokens of a lock by hand.",
        discussion: """
            Every token of NAME that is granted from now on is higher than N. For a store that has seen higher tokens \
            than the nodes remember, and so refuses every new holder: for example after all nodes were replaced, or \
            after clocks were set back.

            Prints the number above which tokens are granted now; it is higher than N where the nodes were ahead \
            already. Nothing ever lowers it. With --json prints {"name", "fencingToken"}.

            EXAMPLE
              redlock fence invoices --at-least 1767225600000000
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup(visibility: .hidden) var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .customLong("at-least"),
        parsing: .unconditional,
        help: ArgumentHelp("The highest token that the store has seen.", valueName: "number"),
        transform: fencingTokenOption
    )
    var token: FencingToken

    @Argument(help: ArgumentHelp("What is locked.", valueName: "name"))
    var name: String

    var names: [String] { [name] }

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, name, token, printsJSON) = (connection.config, name, token, output.json)
        let reporter = output.reporter(resource: name)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try settings.makeStandardClient(for: "fence", reporter)
            let raised = try await settings.finishing(client) {
                try await client.raiseFence(of: name, toAtLeast: token)
            }
            let json = JSONLine.object([("name", .string(name)), ("fencingToken", .token(raised))])
            try StandardOutput.writeResult(printsJSON ? json.text : raised.description)
            return ExitStatus.success
        }
    }
}

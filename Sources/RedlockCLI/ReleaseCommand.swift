// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock release`: ends a lock that `redlock acquire` took.
struct ReleaseCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Release a lock that `redlock acquire` took.",
        discussion: """
            The owner token comes from REDLOCK_TOKEN or standard input. Exit code 1 says that the lock was not held any \
            more; a lock of somebody else is never touched. With --json prints {"name", "released"}.

            EXAMPLES
              REDLOCK_TOKEN=$TOKEN redlock release batch
              redlock release batch < token-file
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: ArgumentHelp("What is locked.", valueName: "name"))
    var name: String

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, name, printsJSON) = (connection.config, name, output.json)
        let reporter = output.reporter(resource: name)
        try InterruptibleOperation.run {
            let token = try OwnerTokenInput.read()
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try settings.makeClient(reporter)
            let wasHeld = try await settings.calling {
                try await client.release(name, ownerToken: token)
            }
            if printsJSON {
                let line = JSONLine.object([("name", .string(name)), ("released", .boolean(wasHeld))])
                try StandardOutput.writeResult(line.text)
            }
            guard wasHeld else {
                throw CommandFailure(
                    exitCode: ExitStatus.conflict,
                    "\"\(name)\" was not held with this owner token any more"
                )
            }
            return ExitStatus.success
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Runs the protocol where everything that can happen to it happens, and judges it in true time.
@main
struct RedlockSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redlock-simulator",
        abstract: "Checks the lock protocol by simulation.",
        subcommands: [ModelCommand.self]
    )
}

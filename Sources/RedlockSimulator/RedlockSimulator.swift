// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Looks for violations of what the package promises, in worlds that are simulated.
@main
struct RedlockSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redlock-simulator",
        abstract: "Looks for violations of what redlock promises, in simulated worlds.",
        subcommands: [SimulateCommand.self, MutantsCommand.self]
    )
}

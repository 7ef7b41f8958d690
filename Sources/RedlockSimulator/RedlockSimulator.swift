// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Tries the protocol where everything that can happen to it happens, and judges it in true time.
@main
struct RedlockSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redlock-simulator",
        abstract: "Looks for violations of what redlock promises, in simulated worlds.",
        subcommands: [SimulateCommand.self, MutantsCommand.self, NecessityCommand.self, ModelCommand.self]
    )
}

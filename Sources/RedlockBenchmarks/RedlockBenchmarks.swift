// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Measures the client against the limit of the servers.
@main
struct RedlockBenchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redlock-benchmarks",
        abstract: "Measures the client against the limit of the servers, on private servers of its own.",
        subcommands: [RunCommand.self, WorkerCommand.self],
        defaultSubcommand: RunCommand.self
    )
}

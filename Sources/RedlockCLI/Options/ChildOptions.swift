// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The command that runs under a lock or a term, and how it is stopped.
struct ChildOptions: ParsableArguments {
    @Option(
        name: [.customLong("signal")],
        parsing: .unconditional,
        help: ArgumentHelp(
            "What the command gets when the lock is lost, or the term ends. (default: TERM)",
            valueName: "signal"
        ),
        transform: SignalName.option
    )
    var signal: SignalName?

    @Option(
        name: [.customShort("k"), .customLong("kill-after")],
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long after that it gets KILL; a third of the TTL at most. (default: 5s)",
            valueName: "duration"
        ),
        transform: DurationArgument.option
    )
    var killAfter: Duration?

    @Option(
        name: [.customShort("c"), .customLong("command")],
        parsing: .unconditional,
        help: ArgumentHelp("A line for /bin/sh, instead of a command.", valueName: "line")
    )
    var shellLine: String?

    /// What these options say, for `Settings`.
    var partialSettings: PartialSettings {
        PartialSettings(signal: signal, killAfter: killAfter)
    }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `redlock local`: private Redis servers on this machine, to try locks and failures with.
struct LocalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "local",
        abstract: "Start, stop and disturb private Redis servers on this machine.",
        discussion: """
            The servers listen on 127.0.0.1 only, belong to you, and stay until 'redlock local down'.

            EXAMPLES
              eval "$(redlock local up)"     # five servers; sets REDLOCK_REDIS to them
              redlock run NAME -- COMMAND    # a command under a lock on them
              redlock local kill 1 2         # locks still work: three of five are left
              redlock local pause 3          # only two of five answer: no quorum
              redlock local resume 3
              redlock local restart 1 2
              redlock local restart 1 --empty
              redlock doctor                 # what lost its data has no vote for a while
              redlock local status
              redlock local down             # everything gone, data included

            EXIT STATUS
              0 done; 1 not done (status: not all run); 64 wrong usage;
              69 the servers cannot be started; 128+N up was ended by signal N
            """,
        subcommands: [Up.self, Down.self, Status.self, Kill.self, Pause.self, Resume.self, Restart.self]
    )
}

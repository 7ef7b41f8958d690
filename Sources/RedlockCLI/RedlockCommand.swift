// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The root command, `redlock`.
struct RedlockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redlock",
        abstract: "Distributed locks over independent Redis servers.",
        discussion: """
            EXAMPLES
              export REDLOCK_REDIS=redis://10.0.0.1,redis://10.0.0.2,redis://10.0.0.3
              redlock run nightly-report -- ./report.sh
              redlock run --no-wait deploy -- make deploy
              redlock run --wait 30s --ttl 20s migrate -c 'cd app && ./migrate'
              TOKEN=$(redlock acquire batch --ttl 30s) || exit
              REDLOCK_TOKEN=$TOKEN redlock release batch
              redlock elect scheduler -- ./scheduler   # on several machines: one leads
              redlock status nightly-report
              redlock list           # all that is held
              redlock history deploy # who had it, of what was run with --record
              redlock watch          # what happens to it, until it is interrupted
              redlock init           # once, for servers that were set up just now
              redlock doctor         # do all votes count, and if not, why?
              redlock bench          # what do locks cost on these servers?

            SERVERS
              --redis (once per node), else REDLOCK_REDIS (comma separated), else "redis" in the --config file, else \
            redis://127.0.0.1:6379.
              Passwords never go on the command line: REDLOCK_REDIS_PASSWORD is used for every URL without one. In a URL, \
            these characters of a user name or password are written as a % and two digits: # (%23), / (%2F), : in a user \
            name (%3A), ? (%3F), @ (%40), [ (%5B), ] (%5D), % (%25), space (%20), and in a list a comma (%2C).

            ENVIRONMENT
              REDLOCK_REDIS               the servers, separated by commas
              REDLOCK_REDIS_PASSWORD      the password for every URL without one
              REDLOCK_TLS_KEY_PASSPHRASE  the passphrase of an encrypted --tls-key
              REDLOCK_TOKEN               the owner token, for extend and release
              XDG_STATE_HOME              in which folder `redlock local` has its servers
              NO_COLOR                    if it is set, no colours
              What a command finds in its environment is told by `redlock help run`.

            FILES
              ~/.local/state/redlock/local  the servers of `redlock local`

            CONFIGURATION FILE
              One JSON object; its keys are the long options, "password" and "tls-key-passphrase". Options win over the \
            environment, the environment over the file.
              {"redis": ["rediss://a.example", "rediss://b.example", "rediss://c.test"],
               "password": "…", "tls-ca": "ca.pem", "tls-certificate": "client.pem",
               "tls-key": "client.key", "tls-key-passphrase": "…",
               "node-timeout": "100ms", "max-ttl": "30s", "quorum": 2,
               "drift": "standard", "prefix": "redlock:", "compatible": false,
               "ttl": "10s", "wait": "1m", "conflict-exit-code": 1, "label": "…",
               "note": "…", "signal": "TERM", "kill-after": "5s", "max-hold": "1h",
               "min-hold": "30s", "record": 32}

            VOTES
              A lock is granted by a quorum of servers whose votes count. A server that is new, was restarted without its \
            data, was emptied, evicts keys, is a replica, or whose clock jumped has no vote until whatever it may have \
            forgotten has ended. `redlock doctor` shows it, `redlock init` has brand-new servers vote at once.
              --compatible speaks the published algorithm alone, with the names as keys, to share locks with clients of \
            other kinds: no fencing tokens, and every server's vote counts, whatever happened to it.

            DURATIONS
              500ms, 10s, 5m, 1h, 2d, with fractions (0.5s); a plain number is seconds.

            EXIT CODES
              0    done
              1    lock not obtained (run, acquire: or --conflict-exit-code), not held;
                   status: free; init: refused
              64   wrong usage; a lock that would be waited for until its own end
              69   no quorum: too few servers reachable, or too few whose votes count, or data
                   of others lies in place of the lock;
                   doctor: a vote does not count; init: a server does not answer
              70   internal error
              71   refused by the operating system
              75   lock lost, or held for --max-hold, and the command stopped
              run: otherwise the command's own code, 128+signal if a signal ended it,
              126 if it cannot be executed, 127 if it is not found.

            EVENTS (--json), one object per line on standard error
              Every event has "event" and "timeMilliseconds" (Unix time), and "resource" once it is known.
              waiting   holder, holderSinceMilliseconds (Unix time, by the clock of the
                        holder), holderHost, holderProcess, holderNote,
                        holderRemainingMilliseconds, otherHolders: those of the other
                        slots (--slots), [{owner, host, process, sinceMilliseconds,
                        note, remainingMilliseconds}], nodesWithoutVote: [{node,
                        reason, quarantineMilliseconds}], empty unless a quorum of
                        votes is missing
              acquired  owner, fencingToken (null with --compatible and --shared),
                        slot (null but with --slots), waitedMilliseconds,
                        validityMilliseconds
              signal    signal
              exited    exitCode, signal
              lost      reason (lost, maximumHold), signal, killAfterMilliseconds
              unstoppable  reason, keepsLock, lockEndsAfterMilliseconds: the command
                        cannot be signalled, or does not end
              overrun   the lock has ended, and that command goes on without it
              released  heldMilliseconds, staysMilliseconds: for how long the servers keep the
                        lock for the rest of --min-hold, null if it is free
              releaseUnconfirmed
                        staysMilliseconds (as it was to be; it may end before),
                        longestRemainingMilliseconds, nodes: [{node, outcome}]
              warning   message
              error     code, message, exitCode, nodes: [{node, outcome}] (where nodes
                        were asked); with timedOut also holder, holderSinceMilliseconds,
                        holderHost, holderProcess, holderNote, otherHolders
                        The code is timedOut, quorumUnavailable, votesMissing,
                        notALock, enrolmentRefused, slotCountRefused, lost,
                        maximumHold, notHeld, usage, systemError, internalError, notExecutable,
                        notFound, interrupted or clientShutDown.
            """,
        version: "0.1.0",
        subcommands: [
            RunCommand.self, ElectCommand.self, AcquireCommand.self, ExtendCommand.self, ReleaseCommand.self,
            StatusCommand.self,
            ListCommand.self, HistoryCommand.self, WatchCommand.self, DoctorCommand.self, BenchCommand.self,
            InitCommand.self,
            FenceCommand.self, LocalCommand.self,
        ]
    )
}

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
              redlock status nightly-report

            SERVERS
              --redis (once per node), else REDLOCK_REDIS (comma separated), else "redis" in the --config file, else \
            redis://127.0.0.1:6379.
              Passwords never go on the command line: REDLOCK_REDIS_PASSWORD is used for every URL without one.

            CONFIGURATION FILE
              One JSON object; its keys are the long options and "password". Options win over the environment, the \
            environment over the file.
              {"redis": ["rediss://a.example", "rediss://b.example", "rediss://c.example"], "password": "…",
               "ttl": "10s", "wait": "1m", "conflict-exit-code": 1, "signal": "TERM", "kill-after": "5s",
               "max-hold": "1h", "label": "…", "node-timeout": "100ms", "max-ttl": "30s",
               "tls-ca": "ca.pem", "tls-certificate": "client.pem", "tls-key": "client.key"}

            DURATIONS
              500ms, 10s, 5m, 1h, 2d, with fractions (0.5s); a plain number is seconds.

            EXIT CODES
              0    done            69  no quorum: too few servers reachable
              1    lock not obtained or not held (run, acquire: or --conflict-exit-code); status: free
              64   wrong usage     70  internal error       71  refused by the operating system
              75   lock lost, and the command stopped
              run: otherwise the command's own code, 128+signal if a signal ended it,
              126 if it cannot be executed, 127 if it is not found.

            EVENTS (--json), one object per line on standard error
              Every event has "event" and "timeMilliseconds" (Unix time), and "resource" once it is known.
              waiting   holder, holderRemainingMilliseconds     acquired  owner, waitedMilliseconds, validityMilliseconds
              signal    signal                                  exited    exitCode, signal
              lost      reason (lost, maximumHold), signal, killAfterMilliseconds
              released  heldMilliseconds                        warning   message
              error     code, message, exitCode, holder (with timedOut). The code is timedOut, quorumUnavailable, lost,
                        maximumHold, notHeld, usage, systemError, internalError, notExecutable, notFound, interrupted
                        or clientShutDown.
            """,
        version: "0.1.0",
        subcommands: [
            RunCommand.self, AcquireCommand.self, ExtendCommand.self, ReleaseCommand.self, StatusCommand.self,
            LocalCommand.self,
        ]
    )
}

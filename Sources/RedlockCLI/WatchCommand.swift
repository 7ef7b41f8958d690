// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Redlock

/// `redlock watch`: what happens to locks, until it is interrupted.
struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Follow what happens to locks, until interrupted.",
        discussion: """
            One line for each change, with the time: what is held already, who acquired or released a lock, whom it went \
            to and up to which number fencing tokens are reserved, what expired or was lost, how many clients wait, and \
            which servers cannot be reached or have no vote. PATTERN chooses names: * stands for any characters, ? for \
            one, [ab] for one of several.

            It looks every --interval: what begins and ends between two looks is not seen, nor are renewals, nor whom a \
            client hands a lock to among its own tasks. With a pattern the names of all keys are read step by step, so \
            that the servers serve others in between; it takes the right +scan. A plain name is looked at alone, which \
            costs next to nothing; slots are among the names that a pattern matches.

            A lock has expired if its time was over by the look at which it was free; one that was released right after \
            its last renewal cannot be told from that where the TTL is shorter than the interval. It is lost if nodes \
            still have it, but fewer than a quorum. If no quorum of servers answers, that is told once, and the watching \
            goes on. INT and TERM end it with exit code 0. Not with --compatible.

            With --json each line is an object with "event" and "timeMilliseconds" (Unix time), for locks "resource", and:
              held, acquired, changedHands  owner, host, process, sinceMilliseconds (by the
                        holder's clock), note, remainingMilliseconds, lastFencingToken,
                        waitingClients; changedHands also formerOwner, formerHost,
                        formerProcess
              released, expired, lost  owner, host, process, sinceMilliseconds, note and
                        remainingMilliseconds of the holder, as last seen
              sharersJoined, sharersLeft  count, sharers: as the holder above
              waitersJoined, waitersLeft  count, waitingClients
              notALock  count: the servers that have something else in place of the lock
              foreignDataGone  the servers have nothing else in place of the lock any more
              nodeUnreachable, nodeLostVote  node, reason
              nodeRegainedVote  node
              quorumLost  nodes: [{node, outcome}]
              quorumRegained

            EXAMPLES
              redlock watch
              redlock watch 'reports/*' --interval 5s
              redlock watch nightly-report --json
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup(visibility: .hidden) var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("How long from one look to the next; at least 100ms. (default: 1s)", valueName: "duration"),
        transform: DurationArgument.option
    )
    var interval: Duration?

    @Argument(help: ArgumentHelp("Which names; all without it.", valueName: "pattern"))
    var pattern = "*"

    func validate() throws {
        guard interval ?? .seconds(1) >= .milliseconds(100) else {
            throw ValidationError("--interval is too short; the servers are looked at every 100ms at most")
        }
    }

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, pattern, interval, printsJSON) = (connection.config, pattern, interval ?? .seconds(1), output.json)
        let reporter = output.reporter(resource: nil)
        try InterruptibleOperation.runUntilInterrupted {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try settings.makeStandardClient(for: "watch", reporter)
            let changes = try await settings.calling { try client.changes(matching: pattern, every: interval) }
            for await change in changes {
                let text = ChangeText(change, time: Date(), style: .standardOutput)
                guard try StandardOutput.writeLine(printsJSON ? text.json.text : text.line) else { break }
            }
            return ExitStatus.success
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock status`: who holds a lock.
struct StatusCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show who holds a lock, by node.",
        discussion: """
            Exit code 0 says that the lock cannot be had: a quorum shows one holder, or too many nodes have keys of \
            several owners or keys that are no locks. 1 says that it is free on a quorum, 69 that no quorum of nodes \
            answered, or that too few votes count: a node in quarantine that says free may have forgotten. Looking \
            changes no lock; the answer may be outdated when it is read.

            Since when it is held, the host, the process and the note are told by the holder: its clock may differ from \
            yours, and a lock that a client hands from one of its tasks to the next shows when the client got it.

            A lock that is shared has no owner but "sharers", each with the fields of an owner; many are not all told. --slot \
            looks at one slot of NAME instead of the lock.

            With --json prints {"name", "slot", "held", "free", "quorumReachable", "owner", "host", "process", \
            "sinceMilliseconds", "note", "remainingMilliseconds", "sharers", "lastFencingToken", "waitingClients", "nodes": \
            [{"node", "state": "free" | "held" | "shared" | "notALock" | "unavailable", "owner", "host", "process", "sinceMilliseconds", "note", \
            "remainingMilliseconds", "holder", "reason", "voteCounts", "voteReason"}]}, with null where there is nothing \
            to say ("held" and "free" when no quorum can tell); "holder" tells holders apart that have the same label. \
            "sinceMilliseconds" is Unix time. \
            "lastFencingToken" is the highest that was reserved, as far as the nodes know: a grant reserves 16, of which \
            the first is its own. "waitingClients" counts clients, each of which may have many tasks that wait. With \
            --compatible both are null, as are "voteCounts" and "voteReason".

            EXAMPLE
              redlock status nightly-report
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("Look at this slot of NAME, from 0; not with --compatible.", valueName: "number")
    )
    var slot: Int?

    @Argument(help: ArgumentHelp("What to look at.", valueName: "name"))
    var name: String

    var names: [String] { [name] }

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, name, slot, printsJSON) = (connection.config, name, slot, output.json)
        let reporter = output.reporter(resource: name)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            if slot != nil { try settings.requireStandardProfile(for: "status --slot") }
            let client = try settings.makeClient(reporter)
            let text = try await settings.calling {
                // First the votes: then a node that hangs has a reason, and the look at the lock is fresh.
                let votes = try await (client as? RedlockClient)?.diagnose()
                let status: LockStatus
                if let slot, let client = client as? RedlockClient {
                    status = try await client.inspect(name, slot: slot)
                } else {
                    status = try await client.inspect(name)
                }
                return StatusText(
                    status,
                    votes: votes,
                    quorum: settings.values.votesNeeded(ofNodes: status.nodes.count)
                )
            }
            try StandardOutput.writeResult(printsJSON ? text.json.text : text.lines.joined(separator: "\n"))
            guard text.verdict != .unknown else {
                let hint = settings.nodesAreDefault ? CommandFailure.hintToStartServers : ""
                throw CommandFailure(exitCode: ExitStatus.unavailable, "\(text.lackOfQuorum)\(hint)")
            }
            return text.verdict == .free ? ExitStatus.conflict : ExitStatus.success
        }
    }
}

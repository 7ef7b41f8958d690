// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock init`: enrols the nodes of a set.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Enrol a brand-new set of servers, so that their votes count at once.",
        discussion: """
            Every server keeps a record of its own enrolment. A server without one may be new, or may have lost its data \
            together with locks that are still held; no client can tell. So the first client that asks for a lock enrols it, and \
            its vote does not count until every lock that it may have forgotten has ended: --max-ttl and a little more, \
            31 s by default. This is the quarantine.

            `redlock init` skips it. By running it you vouch for this: none of the servers has ever granted a lock that \
            may still be held. That is true of servers that were set up just now. DO NOT run it on servers that lost \
            their data or were emptied while somebody may hold a lock, and never to get rid of a quarantine: wait for its \
            end instead. It is refused, and changes nothing, if a server has a record, holds locks, or has no vote for \
            another reason. A record does not matter if a client that met new servers wrote it and no lock was granted \
            since.

            `redlock init --update` enrols the given servers anew, as one set: when a server joins or is replaced, when \
            the number of servers or their addresses change, or for another --max-ttl. The quarantine then applies, so \
            nobody is granted a lock meanwhile; held locks can be renewed and released. Give all clients the same list \
            afterwards; those with the old one have no quorum any more. Replace at most a minority at a time.

            Needs all servers to answer. With --json prints {"nodeCount", "quarantineMilliseconds"}.

            EXIT CODES
              0 enrolled; 1 refused, with the reason of each server; 69 a server does not answer; 64 wrong usage

            EXAMPLES
              export REDLOCK_REDIS=redis://10.0.0.1,redis://10.0.0.2,redis://10.0.0.3
              redlock init                        # servers that were set up just now
              redlock doctor                      # do their votes count?
              redlock init --update --max-ttl 5m  # longer TTLs, for all clients
            """
    )

    @Flag(name: .long, help: "Enrol the servers anew as this set, with a quarantine.")
    var update = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup(visibility: .hidden) var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, isUpdate, printsJSON) = (connection.config, update, output.json)
        let reporter = output.reporter(resource: nil)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            try settings.requireStandardProfile(for: "init")
            for warning in settings.warnings { reporter.report(.warning(warning)) }
            let enrolment = try await Self.enrol(settings, isUpdate: isUpdate)
            try StandardOutput.writeResult(printsJSON ? enrolment.json.text : enrolment.text)
            return ExitStatus.success
        }
    }

    private static func enrol(_ settings: Settings, isUpdate: Bool) async throws -> Enrolment {
        do {
            let (endpoints, configuration) = (settings.endpoints, settings.configuration)
            var quarantine: Duration = .zero
            if isUpdate {
                quarantine = try await RedlockClient.updateSet(endpoints: endpoints, configuration: configuration)
            } else {
                try await RedlockClient.enrolNewSet(endpoints: endpoints, configuration: configuration)
            }
            return Enrolment(nodeCount: endpoints.count, quarantine: quarantine)
        } catch let error as RedlockError where !error.nodes.isEmpty {
            throw CommandFailure(listingNodesOf: error)
        } catch {
            throw CommandFailure(error)
        }
    }

    private struct Enrolment {
        let nodeCount: Int
        let quarantine: Duration

        var text: String {
            let count = nodeCount == 1 ? "1 server" : "\(nodeCount) servers"
            guard quarantine > .zero else { return "enrolled \(count); votes count from now on" }
            return "enrolled \(count) anew; votes count again in \(quarantine.wholeSecondsRoundedUp)s"
        }

        var json: JSONLine {
            .object([
                ("nodeCount", .integer(Int64(nodeCount))),
                ("quarantineMilliseconds", .integer(quarantine.wholeMilliseconds)),
            ])
        }
    }
}

extension Duration {
    /// As people count down.
    var wholeSecondsRoundedUp: Int64 { (wholeMilliseconds + 999) / 1_000 }
}

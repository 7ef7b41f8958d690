// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock doctor`: whether the votes of the nodes count, and what that rests on.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Show whose votes count, and check what the locks rest on.",
        discussion: """
            Shows every node with its vote, then every assumption: pass, FAIL or unknown, with the numbers of the nodes, \
            the reason and what to do. With -v also why what passes does. The last lines say how many nodes may fail, and \
            what to do now. A FAIL does not always cost the vote: a node that keeps nothing on disk votes until it \
            restarts.

            Nothing is changed on the servers. One without a record stays so: if none of the servers ever granted a lock, \
            run `redlock init`; otherwise the first client that asks for a lock enrols it (see `redlock init`).

            With --json prints {"allVotesCount", "hasQuorum", "quorum", "nodesThatMayFail", "nodesThatMayForget", \
            "nodes": [{"node", "server", "voteCounts", "reason", "quarantineMilliseconds", "assumptions": [{"assumption", "verdict": \
            "pass" | "fail" | "unknown", "reason", "remedy"}]}], "client": [assumptions]}, with null where there is \
            nothing to say; a node that cannot be reached has no assumptions.

            EXIT CODES
              0    the vote of every node counts
              64   wrong usage
              69   the vote of one node or more does not count

            EXAMPLES
              redlock doctor
              redlock doctor --json | jq '.nodes[] | select(.voteCounts | not).node'
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup(visibility: .hidden) var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, printsJSON, isVerbose) = (connection.config, output.json, output.verbose)
        let reporter = output.reporter(resource: nil)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try settings.makeStandardClient(for: "doctor", reporter)
            let diagnosis = try await settings.calling { try await client.diagnose() }
            let text = DiagnosisText(diagnosis: diagnosis, style: .standardOutput, isVerbose: isVerbose)
            try StandardOutput.writeResult(printsJSON ? text.json.text : text.lines.joined(separator: "\n"))
            guard let advice = text.advice else { return ExitStatus.success }
            let hint = settings.nodesAreDefault && !diagnosis.hasQuorum ? CommandFailure.hintToStartServers : ""
            throw CommandFailure(exitCode: ExitStatus.unavailable, code: "votesMissing", advice + hint)
        }
    }
}

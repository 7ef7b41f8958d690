// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import LeaderElection
import Redlock

/// `redlock elect`: one command on the machine that leads, or a look at who does.
struct ElectCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "elect",
        abstract: "Run a command while leading, or see and say who leads.",
        usage: """
            redlock elect [<options>] <name> -- <command> ...
            redlock elect [<options>] <name> -c <line>
            redlock elect --observe <name>
            redlock elect --history <name>
            redlock elect --handover <identity> <name>
            """,
        discussion: """
            Campaigns for the leadership of the election NAME, and runs the command while this candidate leads: of all \
            candidates, on whatever machine, one leads at a time. If the command ends by itself, the leadership is given \
            up, and redlock exits as the command did. If the term ends before, because it could not be renewed or was \
            handed over, the command and all of its process group get --signal and then KILL before anybody else can lead, \
            and the candidate campaigns again; so it does after an outage of the servers.

            The command has the environment, the terminal and the signals that `redlock run` gives it; \
            REDLOCK_FENCING_TOKEN is the number of the term, higher than that of every term before.

            --ttl is the lease duration: for how long others wait after a leader died. What leads is stopped when two \
            thirds of it have passed without a renewal. --priority decides who leads next among those who wait; nobody \
            has to give way to one that comes later.

            --observe tells who leads, and whenever that changes, until it is interrupted. --history lists who campaigns \
            now, and the last 32 terms: who led, from when to when, and why each ended. --handover has the leader end its \
            term, and the candidate of that identity lead next; it exits once that one leads, with 1 if it does not \
            within 15 seconds, or does not campaign. All candidates of an election should have the same --ttl.

            With --json, --observe prints objects with "event" (led, vacant or unknown), "timeMilliseconds" and "resource", \
            and of whom it is led by "leader", "metadata", "term" and "sinceMilliseconds". --history prints {"name", \
            "leader", "candidates": [{"identity", "metadata", "priority", "host", "process", "sinceMilliseconds"}], "terms": \
            [{"term", "leader", "metadata", "host", "process", "beganMilliseconds", "endedMilliseconds", "ending"}]}.

            EXAMPLES
              redlock elect scheduler -- ./scheduler
              redlock elect --identity web-1 --priority 10 mailer -- ./send-mail
              redlock elect --observe scheduler
              redlock elect --handover web-2 mailer      # before web-1 is taken down
              redlock elect --history mailer             # who led last night?
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup(visibility: .hidden) var profile: ProfileOptions
    @OptionGroup var child: ChildOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("For how long others wait after a leader died. (default: 15s)", valueName: "duration"),
        transform: DurationArgument.option
    )
    var ttl: Duration?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("What others know this candidate by. (default: user@host:pid)", valueName: "text")
    )
    var identity: String?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("What else others are to know, such as an address; at most 220 bytes.", valueName: "text")
    )
    var metadata: String?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "Among those who wait, the highest leads next; -100 to 100.",
            valueName: "number"
        )
    )
    var priority = 0

    @Flag(name: .long, help: "Follow who leads, until interrupted.")
    var observe = false

    @Flag(name: .long, help: "List who campaigns, and the last terms.")
    var history = false

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("Have this candidate lead next, instead of whoever leads.", valueName: "identity")
    )
    var handover: String?

    @Argument(help: ArgumentHelp("What the election is called; then -- and the command.", valueName: "name"))
    var words: [String] = []

    private var commandCount: Int { CommandArguments.countBehindTerminator(of: words) }

    var names: [String] { words.dropLast(commandCount) }
    private var command: [String] { words.suffix(commandCount) }
    private var name: String { names[0] }

    func validate() throws {
        guard names.count == 1 else {
            throw ValidationError("an election has one name; write redlock elect NAME -- COMMAND")
        }
        let looks = [observe, history, handover != nil].count { $0 }
        let commands = [!command.isEmpty, child.shellLine != nil].count { $0 }
        switch (looks, commands) {
        case (1, 0), (0, 1): break
        case (0, 0): throw ValidationError("no command; write redlock elect NAME -- COMMAND, or -c 'LINE'")
        case (0, 2): throw ValidationError("-c and a command after -- exclude each other")
        case (1, _): throw ValidationError("--observe, --history and --handover run no command")
        default: throw ValidationError("--observe, --history and --handover exclude each other")
        }
    }

    func run() throws {
        if let handover { return try handOver(to: handover) }
        if observe { return try follow() }
        if history { return try list() }
        try campaign()
    }

    // MARK: Leading

    private func campaign() throws {
        // Before anything that starts a thread.
        let mailbox = try Supervisor.startWatchingSignals()
        let reporter = output.reporter(resource: name)
        let settings = try settings()
        let client = try settings.makeStandardClient(for: "elect", reporter)
        let elector = try elector(client, settings)
        let session = ElectionSession(
            client: client,
            elector: elector,
            notice: WaitingNotice(output),
            mailbox: mailbox
        )
        let task = Task { await session.run() }
        let plan = Supervisor.Plan(
            wish: LockWish(names: [name]),
            arguments: CommandArguments.bytes(command: command, shellLine: child.shellLine),
            deadlines: LossDeadlines(
                ttl: elector.configuration.leaseDuration,
                killAfter: settings.values.killAfter ?? RunTiming.defaultKillAfter
            ),
            signal: settings.values.signal ?? SignalName(number: SIGTERM),
            maximumHold: nil,
            conflictExitCode: ExitStatus.conflict,
            nodesAreDefault: settings.nodesAreDefault,
            lossText: "the term ended"
        )
        while true {
            let supervisor = Supervisor(plan: plan, reporter: reporter, mailbox: mailbox) { task.cancel() }
            switch supervisor.run() {
            case .ended(let code): throw ExitCode(code)
            case .stoppedForLoss(let failure, let signal):
                // Whoever asked for the end of the command has not asked for another one.
                guard signal == nil, !session.isOver else {
                    reporter.report(.error(failure))
                    throw ExitCode(signal.map(ExitStatus.killed(by:)) ?? failure.exitCode)
                }
                reporter.report(.warning("\(failure.description); campaigning again"))
            }
        }
    }

    private func settings() throws -> Settings {
        var options = connection.partialSettings.or(profile.partialSettings).or(child.partialSettings)
        options.ttl = ttl
        let (complete, path) = (options, connection.config)
        return try waitForResult {
            try await Settings.resolve(options: complete, configurationPath: path)
        }
    }

    private func elector(_ client: RedlockClient, _ settings: Settings) throws -> LeaderElector {
        do {
            return try LeaderElector(
                client,
                name: name,
                identity: identity ?? LockOptions.defaultLabel,
                metadata: metadata,
                priority: priority,
                configuration: ElectionConfiguration(leaseDuration: leaseDuration(settings))
            )
        } catch {
            throw CommandFailure(error)
        }
    }

    private func leaseDuration(_ settings: Settings) -> Duration {
        let usual = Duration.seconds(15)
        return settings.values.ttl ?? min(usual, settings.values.maximumTTL ?? usual)
    }

    // MARK: Looking

    private func follow() throws {
        let (settings, name, printsJSON) = (try settings(), name, output.json)
        let client = try settings.makeStandardClient(for: "elect", output.reporter(resource: name))
        let elector = try elector(client, settings)
        try InterruptibleOperation.runUntilInterrupted {
            for await leadership in elector.observe() {
                let text = LeadershipText(leadership, of: name, time: Date(), style: .standardOutput)
                guard try StandardOutput.writeLine(printsJSON ? text.json.text : text.line) else { break }
            }
            return ExitStatus.success
        }
    }

    private func list() throws {
        let (settings, name, printsJSON) = (try settings(), name, output.json)
        let client = try settings.makeStandardClient(for: "elect", output.reporter(resource: name))
        let elector = try elector(client, settings)
        try InterruptibleOperation.run {
            let text = try await settings.finishing(client) {
                ElectionText(
                    name: name,
                    leader: try await elector.currentLeader(),
                    candidates: try await elector.candidates(),
                    terms: try await elector.history()
                )
            }
            try StandardOutput.writeResult(printsJSON ? text.json.text : text.lines.joined(separator: "\n"))
            return ExitStatus.success
        }
    }

    private func handOver(to successor: String) throws {
        let (settings, name) = (try settings(), name)
        let client = try settings.makeStandardClient(for: "elect", output.reporter(resource: name))
        let elector = try elector(client, settings)
        try InterruptibleOperation.run {
            try await settings.finishing(client) { try await elector.handOver(to: successor) }
            return ExitStatus.success
        }
    }
}

extension ElectionConfiguration {
    /// The defaults, in proportion to the lease duration.
    init(leaseDuration: Duration) {
        self.init()
        self.leaseDuration = leaseDuration
        renewDeadline = leaseDuration * 2 / 3
        retryPeriod = leaseDuration * 2 / 15
    }
}

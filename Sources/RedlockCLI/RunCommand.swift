// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Redlock

/// `redlock run`: one command while a lock is held.
struct RunCommand: ResourceCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command while holding a lock, or several.",
        usage: "redlock run [<options>] <name> ... -- <command> ...\nredlock run [<options>] <name> ... -c <line>",
        discussion: """
            Waits for the lock NAME, or for all of several, runs the command, renews the lock until the command has ended, \
            releases it, and exits as the command did. If the lock is lost, the command and all of its process group get --signal and \
            then KILL before anybody else can hold the lock, and the exit code is 75.

            The command finds what it would find without redlock: the terminal, standard input, every open descriptor, \
            the signals that are ignored, the limits. HUP, INT, QUIT, TERM, USR1 and USR2 sent to redlock reach \
            its whole process group. In its environment are REDLOCK_NAME, REDLOCK_OWNER, \
            REDLOCK_FENCING_TOKEN (not with --compatible and --shared), with --slots REDLOCK_SLOT, from 0, and with \
            --max-hold REDLOCK_DEADLINE_MS: the Unix time in milliseconds by which the hold ends. Of several names, \
            REDLOCK_NAME has one in each line, and the fencing token is that of each; each slot has tokens of its own. The fencing token is a number that grows with every grant of NAME: a \
            store that keeps the highest it saw, and refuses a lower one, is safe from a command that wrote too late. \
            Passwords are removed from it. \
            REDLOCK_HELD has the names of outer locks as well: a redlock that asks for what is held until it has ended \
            says so, and exits with 64. \
            Processes that the command leaves behind when it ends by itself go on, without the lock.

            A command that runs as another user than redlock cannot be signalled, and so not be stopped: put sudo before \
            redlock, not behind it. If it happens, redlock says so at once and waits for the end of the command; at the end \
            of --max-hold it keeps the lock until then.

            With --min-hold the lock stays for that time at least, so that a short command does not run twice on hosts whose \
            clocks differ: when the command has ended before, by itself or by a signal, whatever its exit code, redlock exits \
            and the servers keep the lock for the rest. Not if the command could not be started, or the lock was lost. It is \
            at most --max-ttl; `redlock release --force` ends it. If no quorum of servers confirms that the lock is released, \
            or stays, that is told with what each server said; the exit code is that of the command.

            If redlock itself is stopped (STOP, Ctrl-Z), the command is killed before the lock ends.

            Tells once whom it waits for, or which nodes have no vote yet: after 200 ms on a terminal, else after 5 seconds. With -v it also tells when the \
            lock is acquired and released, with -q nothing but errors.

            EXAMPLES
              redlock run nightly-report -- ./report.sh --all
              redlock run -n deploy -- make deploy             # fail at once if held
              redlock run -w 30s -E 99 deploy -- make deploy  # wait 30 s, else exit 99
              redlock run --max-hold 1h -k 10s backup -- ./backup     # 1 h at most
              redlock run deploy -c 'git pull && make'         # a line for /bin/sh
              redlock run -n --min-hold 30s hourly -- ./job    # started by cron on several hosts: once
              redlock run -s data -- ./report.sh               # with other readers; writers use -x
              redlock run stock orders -- ./book.sh            # both or none
              redlock run --slots 4 gpu -c 'CUDA_VISIBLE_DEVICES=$REDLOCK_SLOT ./train'
              redlock run export -c './export --fence "$REDLOCK_FENCING_TOKEN"'
            """
    )

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var mode: ModeOptions
    @OptionGroup var waiting: WaitingOptions
    @OptionGroup var child: ChildOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long the lock outlives this process if it dies. (default: 10s)",
            valueName: "duration"
        ),
        transform: DurationArgument.option
    )
    var ttl: Duration?

    @Option(
        name: .customLong("max-hold"),
        parsing: .unconditional,
        help: ArgumentHelp("End the command after this time at the latest.", valueName: "duration"),
        transform: DurationArgument.option
    )
    var maximumHold: Duration?

    @Option(
        name: .customLong("min-hold"),
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep the lock for this time at least, counted from when it was acquired, however soon the command ends.",
            valueName: "duration"
        ),
        transform: DurationArgument.option
    )
    var minimumHold: Duration?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "Have the servers keep a record of the last so many holders, for `redlock history`; 1 to 32.",
            valueName: "count"
        ),
        transform: recordOption
    )
    var record: Int?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "With --fair: among those who wait, the highest has the lock first; -100 to 100. (default: 0)",
            valueName: "number"
        )
    )
    var priority: Int?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp(
            "Hold one of so many slots of NAME, so that no more such commands run at a time.",
            valueName: "count"
        )
    )
    var slots: Int?

    @Flag(name: .long, help: "Have the lock in the order in which all asked who say --fair.")
    var fair = false

    @Argument(
        help: ArgumentHelp(
            "What to lock, several together or not at all; then -- and the command.",
            valueName: "name"
        )
    )
    var words: [String] = []

    /// The parser takes no more arguments behind names of which there may be many.
    private var commandCount: Int { CommandArguments.countBehindTerminator(of: words) }

    var names: [String] { words.dropLast(commandCount) }
    private var command: [String] { words.suffix(commandCount) }

    func validate() throws {
        guard !names.isEmpty else { throw ValidationError("no name; write redlock run NAME -- COMMAND") }
        switch (command.isEmpty, child.shellLine) {
        case (true, nil): throw ValidationError("no command; write redlock run NAME -- COMMAND, or -c 'LINE'")
        case (false, _?): throw ValidationError("-c and a command after -- exclude each other")
        default: break
        }
        if let priority {
            guard fair else { throw ValidationError("--priority goes with --fair, which has the lock in an order") }
            guard (-100...100).contains(priority) else {
                throw ValidationError("--priority lies between -100 and 100, and is \(priority)")
            }
        }
        if record != nil, !wish.isRecordable {
            throw ValidationError("--record goes with one name, and not with --shared or --slots")
        }
    }

    private var wish: LockWish {
        LockWish(names: names, isShared: mode.shared, isFair: fair, slotCount: slots)
    }

    func run() throws {
        try wish.validate()
        // Before anything that starts a thread.
        let mailbox = try Supervisor.startWatchingSignals()
        let reporter = output.reporter(resource: wish.text)
        let settings = try settings()
        try wish.requireProfile(settings)
        try requireProfileForRecord(settings)
        let client = try settings.makeClient(reporter)
        let timing = try RunTiming(settings.values)
        let session = LockSession(
            client: client,
            wish: wish,
            options: timing.lockOptions(settings.values, wish, priority: priority ?? 0),
            notice: WaitingNotice(output),
            mailbox: mailbox
        )
        let task = Task { await session.run() }
        let supervisor = Supervisor(
            plan: Supervisor.Plan(
                wish: wish,
                arguments: CommandArguments.bytes(command: command, shellLine: child.shellLine),
                deadlines: timing.deadlines,
                signal: settings.values.signal ?? SignalName(number: SIGTERM),
                maximumHold: settings.values.maximumHold,
                conflictExitCode: settings.values.conflictExitCode ?? ExitStatus.conflict,
                nodesAreDefault: settings.nodesAreDefault
            ),
            reporter: reporter,
            mailbox: mailbox,
            cancelWaiting: { task.cancel() }
        )
        switch supervisor.run() {
        case .ended(let code): throw ExitCode(code)
        case .stoppedForLoss(let failure, _): throw failure
        }
    }

    /// - Throws: `UsageError` if a record was asked for that the compatible profile does not have.
    private func requireProfileForRecord(_ settings: Settings) throws {
        guard record != nil, settings.values.isCompatible == true else { return }
        throw UsageError("--record and --compatible exclude each other: that profile keeps no records")
    }

    private func settings() throws -> Settings {
        var options = connection.partialSettings.or(profile.partialSettings).or(waiting.partialSettings).or(
            child.partialSettings
        )
        options.ttl = ttl
        options.maximumHold = maximumHold
        options.minimumHold = minimumHold
        options.recordedGrants = record
        let (complete, path) = (options, connection.config)
        return try waitForResult {
            try await Settings.resolve(options: complete, configurationPath: path)
        }
    }
}

/// The arguments of the command as bytes.
enum CommandArguments {
    /// How many of the positional arguments stand behind the first `--` that is no value of an option.
    static func countBehindTerminator(of words: [String], all: [[UInt8]] = ownArguments()) -> Int {
        let terminators = all.indices.filter { all[$0] == Array("--".utf8) }
        return terminators.map { all.count - $0 - 1 }.first { $0 <= words.count } ?? 0
    }

    static func bytes(command: [String], shellLine: String?, all: [[UInt8]] = ownArguments()) -> [[UInt8]] {
        if let shellLine { return ["/bin/sh", "-c", shellLine].map { Array($0.utf8) } }
        // The parser saw strings, in which bytes that are no UTF-8 are replaced. The command gets what was written: it is
        // the end of our own arguments.
        let tail = Array(all.suffix(command.count))
        return tail.map { String(decoding: $0, as: UTF8.self) } == command ? tail : command.map { Array($0.utf8) }
    }

    /// The parser replaces bytes that are no UTF-8, so two names could become one.
    ///
    /// - Throws: `UsageError` if there are such bytes before the command of `run` or `elect`, which alone may have them.
    static func checkText(all: [[UInt8]] = ownArguments()) throws {
        let runsCommand = all.count > 1 && ["run", "elect"].contains { all[1] == Array($0.utf8) }
        let own = runsCommand ? all.prefix { $0 != Array("--".utf8) } : all[...]
        for (index, argument) in own.enumerated() where String(validating: argument, as: UTF8.self) == nil {
            throw UsageError("argument \(index) (\"\(String(decoding: argument, as: UTF8.self))\") is not UTF-8")
        }
    }

    static func ownArguments() -> [[UInt8]] {
        (0..<Int(CommandLine.argc)).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                UnsafeBufferPointer(start: argument, count: strlen(argument)).map(UInt8.init(bitPattern:))
            }
        }
    }
}

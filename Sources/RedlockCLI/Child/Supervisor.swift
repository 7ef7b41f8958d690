// SPDX-License-Identifier: Apache-2.0

import Foundation
import LeaderElection

/// Runs one command while a lock is held: starts it, hands signals and the terminal on, stops it when the lock is lost.
///
/// Lives on the main thread, which does nothing else: a busy concurrency pool cannot delay the kill.
final class Supervisor {
    struct Plan {
        var wish: LockWish
        var arguments: [[UInt8]]
        var deadlines: LossDeadlines
        var signal: SignalName
        var maximumHold: Duration?
        var conflictExitCode: Int32
        var nodesAreDefault: Bool
        /// What is told of a command that was stopped.
        var lossText = "the lock was lost"
    }

    let plan: Plan
    let reporter: Reporter
    private let mailbox: Mailbox<RunEvent>
    private let cancelWaiting: () -> Void
    let jobControl = JobControl()

    private(set) var grant: Grant?
    private(set) var acquiredAt = ContinuousClock.now
    private(set) var child: ChildProcess?
    private(set) var childEnd: ChildEnd?
    private var startFailure: CommandFailure?
    private var interruption: (signal: Int32, giveUpAt: ContinuousClock.Instant)?
    /// The first signal that asked for the end of the command.
    private var endingSignal: Int32?
    /// How the command is being stopped; nil as long as it is not.
    var stop: CommandStop?

    init(
        plan: Plan,
        reporter: Reporter,
        mailbox: Mailbox<RunEvent>,
        cancelWaiting: @escaping () -> Void
    ) {
        self.plan = plan
        self.reporter = reporter
        self.mailbox = mailbox
        self.cancelWaiting = cancelWaiting
    }

    /// Watches all signals that a supervisor cares for, from now on.
    ///
    /// - Returns: the mailbox into which they come.
    /// - Throws: `CommandFailure` if this process cannot supervise anything.
    static func startWatchingSignals() throws -> Mailbox<RunEvent> {
        try InheritedState.ofThisProcess.requireComplete()
        let mailbox = Mailbox<RunEvent>()
        try SignalWatcher.start(SignalWatcher.ending + [SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGCHLD]) { number in
            mailbox.post(.signal(number))
        }
        return mailbox
    }

    /// What came of it, once the command has ended and the lock is released, or was never obtained.
    enum Outcome {
        /// The exit code of `redlock`; everything is told.
        case ended(Int32)
        /// The lock was lost, and the command was stopped for it, which is not told yet; and the signal by which somebody has
        /// asked for its end meanwhile.
        case stoppedForLoss(CommandFailure, signal: Int32?)
    }

    /// Runs the command once.
    func run() -> Outcome {
        while true {
            switch mailbox.next(within: timeUntilNextCheck()) {
            case .signal(let number):
                handle(signal: number)
            case .waiting(let obstacle):
                if grant == nil { reporter.reportWaiting(for: obstacle) }
            case .acquired(let grant):
                start(grant)
            case .endangered:
                stopCommand(because: .lost)
            case .warning(let text):
                reporter.report(.warning(text))
            case .finished(let error):
                return conclude(error)
            case nil:
                break
            }
            attendToStop()
            guardCommand()
            if child == nil, let interruption, .now >= interruption.giveUpAt { return conclude(nil) }
        }
    }

    /// The command, while it runs.
    var runningChild: ChildProcess? { childEnd == nil ? child : nil }

    /// The command, while it runs or anything of its group that is to be stopped with it.
    var awaitedChild: ChildProcess? { isCommandOver ? nil : child }
    private var isCommandOver = false

    /// The command, and what is to be stopped with it, has ended: the lock may go.
    func commandIsOver() {
        isCommandOver = true
        grant?.commandEnded.open()
    }

    // MARK: - Start and end of the command

    private func start(_ grant: Grant) {
        self.grant = grant
        acquiredAt = .now
        // Interrupted in the moment of success: the lock goes back unused.
        guard interruption == nil else {
            grant.waiveMinimumHold()
            return grant.commandEnded.open()
        }
        reporter.report(
            .acquired(
                owner: grant.ownerLabel,
                fencingToken: grant.fencingToken,
                slot: grant.slot,
                waited: grant.waited,
                validity: grant.validUntil() - acquiredAt
            )
        )
        let deadline = plan.maximumHold.map { Int64(Date().timeIntervalSince1970 * 1_000) + $0.wholeMilliseconds }
        do {
            child = try jobControl.start(
                arguments: plan.arguments,
                environment: ChildEnvironment.entries(
                    inherited: InheritedState.ofThisProcess.environment,
                    names: plan.wish.names,
                    grant,
                    deadlineMilliseconds: deadline
                )
            )
        } catch {
            startFailure = CommandFailure(error)
            grant.waiveMinimumHold()
            grant.commandEnded.open()
        }
    }

    private func childChanged() {
        guard let child = runningChild else { return }
        if child.hasEnded {
            // What the command started and left behind must not go on without the lock either.
            if stop != nil { killGroup(child) }
            jobControl.dismissGuardian()
        }
        while let change = child.nextChange() {
            switch change {
            case .stopped(let signal):
                // It has been told to end, and stopped it cannot.
                if stop != nil { child.continueGroup() } else { jobControl.childStopped(child, by: signal) }
            case .ended(let end):
                noticeKillByGuardian(end)
                childEnd = end
                jobControl.dismissGuardian()
                jobControl.childEnded(child, killed: end.signal != nil)
                reporter.report(.exited(code: end.exitCode, signal: end.signal.map(SignalName.init(number:))))
                if stop == nil { commandIsOver() }
                return
            }
        }
        if jobControl.wantsToResume { resume() }
    }

    private func resume() {
        guard let child = runningChild, let grant else { return }
        // Stopped as well, we could not renew. Without the lock the command must not run on, not even for a moment.
        if .now >= grant.validUntil() - plan.deadlines.safety { stopCommand(because: .lost) }
        jobControl.resume(child)
    }

    // MARK: - Signals

    private func handle(signal number: Int32) {
        switch number {
        case SIGCHLD:
            childChanged()
            reapAdoptedProcesses()
        case SIGCONT:
            resume()
        case SIGTSTP:
            if case .refused(let error)? = jobControl.stopRequested(runningChild) { tellRefusal(of: number, error) }
        default:
            if child != nil, endingSignal == nil, SignalWatcher.ending.contains(number) { endingSignal = number }
            if let child = awaitedChild {
                handOn(number, to: child)
            } else if child == nil, SignalWatcher.ending.contains(number) {
                interrupt(by: number)
            }
        }
    }

    private func handOn(_ number: Int32, to child: ChildProcess) {
        switch child.signalGroup(number) {
        case .delivered: reporter.report(.signal(SignalName(number: number)))
        case .refused(let error): tellRefusal(of: number, error)
        case .groupIsGone: break
        }
    }

    private func tellRefusal(of number: Int32, _ error: String) {
        let signal = SignalName(number: number)
        reporter.report(.warning("\(signal) was not handed on to the command, which goes on: \(error)"))
    }

    /// Waits for processes that became children of this one when their parents ended, as the first process of a container
    /// must, or that a shell started before it became this process.
    private func reapAdoptedProcesses() {
        while let ended = ChildProcess.firstEnded() {
            if ended == runningChild?.processID { return }
            if ended == jobControl.guardianProcess { jobControl.dismissGuardian() } else { ChildProcess.reap(ended) }
        }
    }

    private func interrupt(by number: Int32) {
        // The first asks for an orderly end, which takes a round trip; a second signal asks to end at once.
        let patience: Duration = interruption == nil ? .seconds(2) : .zero
        interruption = (interruption?.signal ?? number, .now + patience)
        cancelWaiting()
    }

    private func timeUntilNextCheck() -> Duration? {
        let now = ContinuousClock.now
        if let interruption, child == nil { return interruption.giveUpAt - now }
        guard awaitedChild != nil, let grant else { return nil }
        if let stop { return timeUntilNextStep(of: stop, grant, now) }
        let untilLate = min(grant.validUntil() - plan.deadlines.margin / 2 - now, plan.deadlines.checkInterval)
        guard let maximumHold = plan.maximumHold else { return untilLate }
        return min(untilLate, acquiredAt + maximumHold - plan.deadlines.margin - now)
    }

    // MARK: - Result

    private func conclude(_ error: (any Error)?) -> Outcome {
        reporter.reportUnlessConfirmed(grant?.releaseOutcome())
        if let interruption, child == nil {
            let signal = SignalName(number: interruption.signal)
            if let grant, grant.releaseOutcome() == nil {
                reporter.report(.warning("the lock may not have been released: the nodes did not answer yet"))
            }
            return fail(
                CommandFailure(
                    exitCode: ExitStatus.killed(by: interruption.signal),
                    "interrupted by \(signal) while waiting for \"\(plan.wish.text)\""
                )
            )
        }
        if let startFailure { return fail(startFailure) }
        if let stop { return .stoppedForLoss(failure(of: stop, error), signal: endingSignal) }
        if let childEnd {
            if let error, !(error is ElectionError) {
                reporter.report(.warning("the lock may not have been released: \(CommandFailure(error).description)"))
            } else if let report = Report(releasedAs: grant?.releaseOutcome(), held: .now - acquiredAt) {
                reporter.report(report)
            }
            return .ended(childEnd.exitCode)
        }
        guard let error else { return .ended(ExitStatus.success) }
        return fail(
            CommandFailure(
                error,
                conflictExitCode: plan.conflictExitCode,
                nodesAreDefault: plan.nodesAreDefault
            )
        )
    }

    private func fail(_ failure: CommandFailure) -> Outcome {
        reporter.report(.error(failure))
        return .ended(failure.exitCode)
    }
}

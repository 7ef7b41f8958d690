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
        var inheritedEnvironment: [[UInt8]]
        var deadlines: LossDeadlines
        var signal: SignalName
        var maximumHold: Duration?
        var conflictExitCode: Int32
        var nodesAreDefault: Bool
        /// What is told of a command that was stopped.
        var lossText = "the lock was lost"
    }

    private let plan: Plan
    private let reporter: Reporter
    private let mailbox: Mailbox<RunEvent>
    private let cancelWaiting: () -> Void
    private let jobControl = JobControl()

    private var grant: Grant?
    private var acquiredAt = ContinuousClock.now
    private var child: ChildProcess?
    private var childEnd: ChildEnd?
    private var startFailure: CommandFailure?
    private var interruption: (signal: Int32, giveUpAt: ContinuousClock.Instant)?
    /// The first signal that asked for the end of the command.
    private var endingSignal: Int32?
    private var loss: LossReason?
    private var killAt: ContinuousClock.Instant?

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
                lose()
            case .warning(let text):
                reporter.report(.warning(text))
            case .finished(let error):
                return conclude(error)
            case nil:
                break
            }
            checkLossDeadlines()
            guardCommand()
            if child == nil, let interruption, .now >= interruption.giveUpAt { return conclude(nil) }
        }
    }

    /// The command, while it runs.
    private var runningChild: ChildProcess? { childEnd == nil ? child : nil }

    // MARK: - Start and end of the command

    private func start(_ grant: Grant) {
        self.grant = grant
        acquiredAt = .now
        // Interrupted in the moment of success: the lock goes back unused.
        guard interruption == nil else { return grant.commandEnded.open() }
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
                    inherited: plan.inheritedEnvironment,
                    names: plan.wish.names,
                    grant,
                    deadlineMilliseconds: deadline
                )
            )
        } catch {
            startFailure = CommandFailure(error)
            grant.commandEnded.open()
        }
    }

    private func childChanged() {
        guard let child = runningChild else { return }
        if child.hasEnded {
            // What the command started and left behind must not go on without the lock either.
            if loss != nil { child.signalGroup(SIGKILL) }
            jobControl.dismissGuardian()
        }
        while let change = child.nextChange() {
            switch change {
            case .stopped(let signal):
                // It has been told to end, and stopped it cannot.
                if loss != nil { child.signalGroup(SIGCONT) } else { jobControl.childStopped(child, by: signal) }
            case .ended(let end):
                noticeKillByGuardian(end)
                childEnd = end
                jobControl.dismissGuardian()
                jobControl.childEnded(child, killed: end.signal != nil)
                reporter.report(.exited(code: end.exitCode, signal: end.signal.map(SignalName.init(number:))))
                grant?.commandEnded.open()
                return
            }
        }
        if jobControl.wantsToResume { resume() }
    }

    private func resume() {
        guard let child = runningChild, let grant else { return }
        // Stopped as well, we could not renew. Without the lock the command must not run on, not even for a moment.
        if loss == nil, .now >= grant.validUntil() - plan.deadlines.safety { lose() }
        jobControl.resume(child)
    }

    // MARK: - Signals

    private func handle(signal number: Int32) {
        switch number {
        case SIGCHLD:
            childChanged()
        case SIGCONT:
            resume()
        case SIGTSTP:
            jobControl.stopRequested(runningChild)
        default:
            if child != nil, endingSignal == nil, SignalWatcher.ending.contains(number) { endingSignal = number }
            if let child = runningChild {
                child.signalGroup(number)
                reporter.report(.signal(SignalName(number: number)))
            } else if child == nil, SignalWatcher.ending.contains(number) {
                interrupt(by: number)
            }
        }
    }

    private func interrupt(by number: Int32) {
        // The first asks for an orderly end, which takes a round trip; whoever signals again wants out at once.
        let patience: Duration = interruption == nil ? .seconds(2) : .zero
        interruption = (interruption?.signal ?? number, .now + patience)
        cancelWaiting()
    }

    // MARK: - Loss

    private func lose() {
        guard let child = runningChild, let grant, loss == nil else { return }
        let now = ContinuousClock.now
        let killTime = plan.deadlines.killTime(toldAt: now, validUntil: endOfHold(grant))
        let reason: LossReason = reachesMaximumHold(now + .milliseconds(200)) ? .maximumHold : .lost
        loss = reason
        killAt = killTime
        jobControl.guardCommand(until: killTime)
        if killTime <= now {
            kill(child)
        } else {
            child.signalGroup(plan.signal.number)
            child.signalGroup(SIGCONT)
        }
        reporter.report(.lost(reason: reason, signal: plan.signal, killAfter: max(.zero, killTime - now)))
    }

    private func kill(_ child: ChildProcess) {
        child.signalGroup(SIGKILL)
        // Again, should the group have grown in that moment.
        killAt = .now + .milliseconds(100)
    }

    private func reachesMaximumHold(_ instant: ContinuousClock.Instant) -> Bool {
        plan.maximumHold.map { instant >= acquiredAt + $0 - plan.deadlines.margin } ?? false
    }

    /// The library announces a loss; here are the limits that hold even if it does not.
    private func checkLossDeadlines() {
        guard let child = runningChild, let grant else { return }
        let now = ContinuousClock.now
        if let killAt {
            if now >= killAt { kill(child) }
        } else if reachesMaximumHold(now) || now >= grant.validUntil() - plan.deadlines.margin / 2 {
            lose()
        }
    }

    /// Stopped ourselves, we learn of the loss from what the guardian did.
    private func noticeKillByGuardian(_ end: ChildEnd) {
        guard let deadline = jobControl.guardedUntil, loss == nil, end.signal == SIGKILL, .now >= deadline else {
            return
        }
        let reason: LossReason = reachesMaximumHold(deadline) ? .maximumHold : .lost
        loss = reason
        reporter.report(.lost(reason: reason, signal: SignalName(number: SIGKILL), killAfter: .zero))
    }

    /// Tells the guardian when to kill the command in our place; `lose` tells it the last time.
    private func guardCommand() {
        guard runningChild != nil, let grant, loss == nil else { return }
        jobControl.guardCommand(until: endOfHold(grant) - plan.deadlines.safety)
    }

    private func endOfHold(_ grant: Grant) -> ContinuousClock.Instant {
        let validUntil = grant.validUntil()
        return plan.maximumHold.map { min(acquiredAt + $0, validUntil) } ?? validUntil
    }

    private func timeUntilNextCheck() -> Duration? {
        let now = ContinuousClock.now
        if let interruption, child == nil { return interruption.giveUpAt - now }
        guard runningChild != nil, let grant else { return nil }
        if let killAt { return killAt - now }
        let untilLate = min(grant.validUntil() - plan.deadlines.margin / 2 - now, plan.deadlines.checkInterval)
        guard let maximumHold = plan.maximumHold else { return untilLate }
        return min(untilLate, acquiredAt + maximumHold - plan.deadlines.margin - now)
    }

    // MARK: - Result

    private func conclude(_ error: (any Error)?) -> Outcome {
        if let interruption, child == nil {
            let signal = SignalName(number: interruption.signal)
            return fail(
                CommandFailure(
                    exitCode: ExitStatus.killed(by: interruption.signal),
                    "interrupted by \(signal) while waiting for \"\(plan.wish.text)\""
                )
            )
        }
        if let startFailure { return fail(startFailure) }
        if let loss { return .stoppedForLoss(failure(for: loss, error), signal: endingSignal) }
        if let childEnd {
            if let error, !(error is ElectionError) {
                reporter.report(.warning("the lock may not have been released: \(CommandFailure(error).description)"))
            } else {
                reporter.report(.released(held: .now - acquiredAt))
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

    private func failure(for loss: LossReason, _ error: (any Error)?) -> CommandFailure {
        let message =
            switch loss {
            case .maximumHold:
                "\"\(plan.wish.text)\": the maximum hold of \((plan.maximumHold ?? .zero).readable) ended;"
                    + " the command was stopped"
            case .lost:
                "\"\(plan.wish.text)\": \(plan.lossText) and the command was stopped"
                    + (error.map { ": \(CommandFailure($0).description)" } ?? "")
            }
        return CommandFailure(exitCode: ExitStatus.lost, code: loss.rawValue, message)
    }

    private func fail(_ failure: CommandFailure) -> Outcome {
        reporter.report(.error(failure))
        return .ended(failure.exitCode)
    }
}

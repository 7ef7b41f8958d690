// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The end of the command before it ends by itself: when its hold ends, because the lock is lost or was held for long
/// enough.
extension Supervisor {
    /// Tells the command to end, and will kill it.
    func stopCommand(because reason: LossReason) {
        guard let child = runningChild, let grant, stop == nil else { return }
        let now = ContinuousClock.now
        let killTime = plan.deadlines.killTime(toldAt: now, validUntil: endOfHold(grant))
        stop = CommandStop(reason, killAt: killTime)
        jobControl.guardCommand(until: killTime)
        reporter.report(.lost(reason: reason, signal: plan.signal, killAfter: max(.zero, killTime - now)))
        guard killTime > now else { return killGroup(child) }
        take(child.signalGroup(plan.signal.number), of: plan.signal.number)
        child.continueGroup()
    }

    func killGroup(_ child: ChildProcess) {
        take(child.signalGroup(SIGKILL), of: SIGKILL, isKill: true)
    }

    /// Looks at what became of a signal, and says at once if the command cannot be stopped.
    private func take(_ delivery: ChildProcess.Delivery, of number: Int32, isKill: Bool = false) {
        let now = ContinuousClock.now
        guard let grant, stop?.sent(number, isKill: isKill, delivery, at: now) == true else { return }
        let left = grant.validUntil() - now
        reporter.report(
            .unstoppable(
                reason: stop?.obstacle ?? "",
                keepsLock: grant.isHeld() && left > plan.deadlines.margin / 2,
                lockEndsAfter: max(.zero, left)
            )
        )
    }

    /// Does what is due: begins the stop, kills, tells of a command that goes on without its lock, finds that all of it
    /// has ended.
    ///
    /// The library announces a loss; here are the limits that hold even if it does not.
    func attendToStop() {
        guard let child = awaitedChild, let grant else { return }
        let now = ContinuousClock.now
        guard let stop else {
            if reachesMaximumHold(now) {
                stopCommand(because: .maximumHold)
            } else if now >= grant.validUntil() - plan.deadlines.margin / 2 {
                stopCommand(because: .lost)
            }
            return
        }
        if childEnd != nil, !child.groupRuns { return commandIsOver() }
        if now >= stop.killAt { killGroup(child) }
        if !stop.isOverrun, now >= grant.validUntil(), child.groupRuns {
            self.stop?.isOverrun = true
            reporter.report(.overrun)
        }
    }

    func timeUntilNextStep(of stop: CommandStop, _ grant: Grant, _ now: ContinuousClock.Instant) -> Duration {
        let untilKill = stop.killAt - now
        // The end of what the command started is told by no signal.
        let untilNextLook: Duration = childEnd == nil ? untilKill : min(untilKill, .milliseconds(20))
        let untilEnd = grant.validUntil() - now
        return untilEnd > .zero ? min(untilNextLook, untilEnd) : untilNextLook
    }

    private func reachesMaximumHold(_ instant: ContinuousClock.Instant) -> Bool {
        plan.maximumHold.map { instant >= acquiredAt + $0 - plan.deadlines.margin } ?? false
    }

    /// Stopped ourselves, we learn of the end of the hold from what the guardian did.
    func noticeKillByGuardian(_ end: ChildEnd) {
        guard let deadline = jobControl.guardedUntil, stop == nil, end.signal == SIGKILL, .now >= deadline else {
            return
        }
        let reason: LossReason = reachesMaximumHold(deadline) ? .maximumHold : .lost
        stop = CommandStop(reason, killAt: .now)
        reporter.report(.lost(reason: reason, signal: SignalName(number: SIGKILL), killAfter: .zero))
    }

    /// Tells the guardian when to kill the command in our place; `stopCommand` tells it the last time.
    func guardCommand() {
        guard runningChild != nil, let grant, stop == nil else { return }
        jobControl.guardCommand(until: endOfHold(grant) - plan.deadlines.safety)
    }

    private func endOfHold(_ grant: Grant) -> ContinuousClock.Instant {
        let validUntil = grant.validUntil()
        return plan.maximumHold.map { min(acquiredAt + $0, validUntil) } ?? validUntil
    }

    /// What is told at the end of a command that was to be stopped.
    func failure(of stop: CommandStop, _ error: (any Error)?) -> CommandFailure {
        let cause =
            switch stop.reason {
            case .maximumHold: "the maximum hold of \((plan.maximumHold ?? .zero).readable) ended;"
            case .lost: "\(plan.lossText) and"
            }
        let outcome =
            switch (stop.obstacle, stop.isOverrun) {
            case (nil, false): "the command was stopped"
            case (nil, true): "the command was stopped, though not before the lock had ended"
            case (let obstacle?, true): "the command could not be stopped and went on without the lock (\(obstacle))"
            case (let obstacle?, false):
                "the command could not be stopped, and the lock was kept until it had ended (\(obstacle))"
            }
        let detail = stop.reason == .lost ? error.map { ": \(CommandFailure($0).description)" } ?? "" : ""
        return CommandFailure(
            exitCode: ExitStatus.lost,
            code: stop.reason.rawValue,
            "\"\(plan.wish.text)\": \(cause) \(outcome)\(detail)"
        )
    }
}

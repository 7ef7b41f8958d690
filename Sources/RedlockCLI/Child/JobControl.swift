// SPDX-License-Identifier: Apache-2.0

import CSpawn
import Foundation

/// What a shell does for its jobs: the command has the terminal while it runs, and stop and continue reach both.
final class JobControl {
    private let terminal = Terminal()
    private var guardian: cguardian?
    /// When the guardian kills the command unless it hears of a later time.
    private(set) var guardedUntil: ContinuousClock.Instant?
    private var terminalIsGiven = false
    private var stopIsRequested = false
    /// Whether we stopped with the command and go on without having heard of it.
    private(set) var wantsToResume = false

    /// Starts the command, in the foreground if we are there, and a guardian over its process group.
    func start(arguments: [[UInt8]], environment: [[UInt8]]) throws -> ChildProcess {
        let terminalToGive = terminal?.descriptorToGive
        terminalIsGiven = terminalToGive != nil
        var guardian = cguardian()
        do {
            let child = try ChildProcess.start(
                arguments: arguments,
                environment: environment,
                terminal: terminalToGive,
                guardian: &guardian
            )
            // Without one (no process left) the parent-death signal still covers the command itself.
            if guardian.process != 0 { self.guardian = guardian }
            return child
        } catch {
            if terminalIsGiven { terminal?.takeBack() }
            throw error
        }
    }

    /// Lets the guardian kill the command at that time if nobody sets another before, this process being stopped.
    func guardCommand(until deadline: ContinuousClock.Instant) {
        guard var guardian, deadline != guardedUntil else { return }
        guardedUntil = deadline
        // In this order: a stop between the two readings makes the deadline earlier, never later.
        let guardianNow = cguardian_now()
        let left = deadline - .now
        cguardian_set_deadline(&guardian, guardianNow + Int64(clamping: left.wholeNanoseconds))
    }

    /// To be called when the command has ended; before it is reaped.
    func dismissGuardian() {
        guard var guardian else { return }
        cguardian_dismiss(&guardian)
        self.guardian = nil
    }

    /// The guardian as a child process of ours; nil without one.
    var guardianProcess: pid_t? { guardian?.process }

    func childEnded(_ child: ChildProcess, killed: Bool) {
        guard terminalIsGiven, let terminal else { return }
        terminal.takeBack(from: child.processID)
        if killed { terminal.restoreModes() }
    }

    /// The terminal, or somebody, asked us to stop: the command first, then we follow it.
    ///
    /// - Returns: what became of the signal to the command; nil without one.
    func stopRequested(_ child: ChildProcess?) -> ChildProcess.Delivery? {
        guard let child else {
            stopOwnGroup(with: SIGTSTP)
            return nil
        }
        let delivery = child.signalGroup(SIGTSTP)
        stopIsRequested = delivery == .delivered
        return delivery
    }

    func childStopped(_ child: ChildProcess, by signal: Int32) {
        let wantsTerminal = signal == SIGTTIN || signal == SIGTTOU
        if wantsTerminal, let terminal, terminal.isOurs {
            terminalIsGiven = true
            terminal.give(to: child.processID)
            return child.continueGroup()
        }
        // Without a terminal nobody waits for us to stop: the lock is renewed until the command is continued.
        guard terminal != nil || stopIsRequested else { return }
        stopIsRequested = false
        if terminalIsGiven { terminal?.takeBack(from: child.processID) }
        // Not STOP: with nobody there to continue us, the system ignores the others, and would not ignore that one.
        stopOwnGroup(with: signal == SIGSTOP ? SIGTSTP : signal)
        // If the system did ignore it (orphaned group), no SIGCONT will come, and a Ctrl-Z has no effect. A command that
        // was stopped for another reason stays so until somebody continues it.
        wantsToResume = signal == SIGTSTP
    }

    func resume(_ child: ChildProcess) {
        wantsToResume = false
        if let terminal, terminal.isOurs, terminalIsGiven || terminal.descriptorToGive != nil {
            terminalIsGiven = true
            terminal.give(to: child.processID)
        }
        child.continueGroup()
    }

    /// Stops this process, and with it a script that it is part of: the shell waits until all of the group is stopped.
    ///
    /// Returns when continued, or at once if the system ignores the signal.
    private func stopOwnGroup(with signal: Int32) {
        var only = sigset_t()
        var previous = sigset_t()
        sigemptyset(&only)
        sigaddset(&only, signal)
        pthread_sigmask(SIG_UNBLOCK, &only, &previous)
        if terminal != nil { kill(0, signal) } else { raise(signal) }
        pthread_sigmask(SIG_SETMASK, &previous, nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import CSpawn
import Foundation

/// The command that runs under the lock, leader of a process group of its own.
struct ChildProcess {
    let processID: pid_t

    enum Change: Equatable {
        case ended(ChildEnd)
        case stopped(by: Int32)
    }

    /// Starts the command with the descriptors, signals and limits that this process was started with.
    ///
    /// Only to be called on the main thread: the child is killed when the thread that started it ends.
    /// - Parameter terminal: the terminal whose foreground group the child becomes.
    /// - Throws: `CommandFailure` with the exit code a shell would give.
    static func start(
        arguments: [[UInt8]],
        environment: [[UInt8]],
        terminal: Int32?,
        guardian: inout cguardian
    ) throws -> ChildProcess {
        var processID: pid_t = 0
        let error = withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                InheritedState.ofThisProcess.withInheritance { inheritance in
                    var request = cspawn_request()
                    request.inheritance = inheritance
                    request.program = UnsafePointer(arguments[0])
                    request.arguments = UnsafePointer(arguments)
                    request.environment = UnsafePointer(environment)
                    (request.standard_input, request.standard_output, request.standard_error) = (-1, -1, -1)
                    request.process_group = Int32(CSPAWN_GROUP_OWN)
                    request.terminal = terminal ?? -1
                    request.parent_death_signal = SIGKILL
                    return withUnsafeMutablePointer(to: &guardian) { guardian in
                        request.guardian = guardian
                        return cspawn(&request, &processID)
                    }
                }
            }
        }
        guard error == 0 else { throw StartFailure(error, program: arguments[0], environment: environment).failure }
        return ChildProcess(processID: processID)
    }

    /// What became of a signal to the process group.
    enum Delivery: Equatable {
        /// One process of the group at least has it.
        case delivered
        /// The group has no process any more.
        case groupIsGone
        /// The system let no process of the group have it, as for one that runs as another user; with the error in words.
        case refused(String)
    }

    /// Sends a signal to the whole process group.
    func signalGroup(_ number: Int32) -> Delivery {
        if kill(-processID, number) == 0 { return .delivered }
        return errno == ESRCH ? .groupIsGone : .refused(SystemError.text(of: errno))
    }

    /// Lets the process group go on if it is stopped.
    ///
    /// The system allows it among all processes of a session, whatever user they run as.
    func continueGroup() {
        kill(-processID, SIGCONT)
    }

    /// Whether any process of the group runs, this one or one that it started.
    var groupRuns: Bool { cprocess_group_runs(processID) }

    /// Whether the child has ended; it stays unreaped, so that its id still names its group and nobody else's.
    var hasEnded: Bool {
        var information = siginfo_t()
        let result = waitid(P_PID, id_t(processID), &information, WEXITED | WNOHANG | WNOWAIT)
        return result != 0 || information.si_signo == SIGCHLD
    }

    /// What happened since the last call, if anything.
    ///
    /// Reaps an ended child.
    func nextChange() -> Change? {
        var status: Int32 = 0
        let result = waitpid(processID, &status, WNOHANG | WUNTRACED)
        guard result == processID else { return nil }
        if cspawn_stopped(status) { return .stopped(by: cspawn_stop_signal(status)) }
        if cspawn_signaled(status) { return .ended(.killed(by: cspawn_termination_signal(status))) }
        return .ended(.exited(cspawn_exit_code(status)))
    }

    /// A child of this process that has ended and was not waited for, whichever started it; nil if there is none.
    static func firstEnded() -> pid_t? {
        var information = siginfo_t()
        guard waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0 else { return nil }
        let process = cspawn_process(&information)
        return process > 0 ? process : nil
    }

    static func reap(_ process: pid_t) {
        waitpid(process, nil, WNOHANG)
    }

    private static func withCStrings<Value>(
        _ strings: [[UInt8]],
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        // Bytes, not strings: arguments and variables need not be UTF-8.
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { bytes in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
            for (index, byte) in bytes.enumerated() { copy[index] = CChar(bitPattern: byte) }
            copy[bytes.count] = 0
            return copy
        }
        defer { for pointer in pointers { pointer?.deallocate() } }
        pointers.append(nil)
        return pointers.withUnsafeMutableBufferPointer { buffer in
            // There is one element at least, the null that ends the list.
            body(buffer.baseAddress.unsafelyUnwrapped)
        }
    }
}

/// How the command ended.
enum ChildEnd: Equatable, Sendable {
    case exited(Int32)
    case killed(by: Int32)

    /// The signal that ended it, if one did.
    var signal: Int32? {
        if case .killed(let signal) = self { signal } else { nil }
    }

    /// The exit code of `redlock` that says so.
    var exitCode: Int32 {
        switch self {
        case .exited(let code): code
        case .killed(let signal): ExitStatus.killed(by: signal)
        }
    }
}

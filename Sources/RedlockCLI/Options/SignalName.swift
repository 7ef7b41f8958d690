// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A signal as people name it: `TERM`, `SIGTERM`, or its number.
struct SignalName: Hashable, Sendable, CustomStringConvertible {
    /// The number that the system gives it.
    let number: Int32

    init(number: Int32) {
        self.number = number
    }

    /// - Throws: `UsageError` for a name or number that is no signal.
    init(parsing text: String) throws {
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let number = Self.numbersByName[name] {
            self.init(number: number)
        } else if let number = Int32(text), Self.numbersByName.values.contains(number) {
            self.init(number: number)
        } else {
            let names = Self.numbersByName.sorted { $0.value < $1.value }.map(\.key).joined(separator: ", ")
            throw UsageError("\"\(text)\" is not a signal; known are \(names)")
        }
    }

    /// The name without `SIG`, or the number of one that has no name here.
    var description: String {
        Self.numbersByName.first { $0.value == number }?.key ?? String(number)
    }

    private static let numbersByName: [String: Int32] = [
        "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ILL": SIGILL, "TRAP": SIGTRAP, "ABRT": SIGABRT,
        "BUS": SIGBUS, "FPE": SIGFPE, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV, "USR2": SIGUSR2,
        "PIPE": SIGPIPE, "ALRM": SIGALRM, "TERM": SIGTERM, "CHLD": SIGCHLD, "CONT": SIGCONT, "STOP": SIGSTOP,
        "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU, "URG": SIGURG, "XCPU": SIGXCPU, "XFSZ": SIGXFSZ,
        "VTALRM": SIGVTALRM, "PROF": SIGPROF, "WINCH": SIGWINCH, "SYS": SIGSYS,
    ]
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The terminal on standard input: who has it, the command's process group or ours.
///
/// All methods need SIGTTOU blocked, as `SignalWatcher` leaves it.
struct Terminal {
    private let descriptor: Int32
    private let ownGroup: pid_t
    private let modes: termios

    /// Nil when standard input is not our controlling terminal.
    init?(descriptor: Int32 = STDIN_FILENO) {
        var modes = termios()
        guard isatty(descriptor) == 1, tcgetpgrp(descriptor) >= 0, tcgetattr(descriptor, &modes) == 0 else {
            return nil
        }
        self.descriptor = descriptor
        self.ownGroup = getpgrp()
        self.modes = modes
    }

    /// Whether this process is in the foreground, and so may give the terminal away.
    var isOurs: Bool { tcgetpgrp(descriptor) == ownGroup }

    /// The descriptor, if the command should have the terminal from its start.
    ///
    /// Not in a pipeline (`redlock run … | less`): the other programs in it are in our group and would lose the terminal.
    /// A command that needs it all the same is stopped by the system for trying, and gets it then.
    var descriptorToGive: Int32? {
        var output = stat()
        let isPipeline =
            fstat(STDOUT_FILENO, &output) == 0 && [S_IFIFO, S_IFSOCK].contains(output.st_mode & S_IFMT)
        return isOurs && !isPipeline ? descriptor : nil
    }

    func give(to group: pid_t) {
        tcsetpgrp(descriptor, group)
    }

    /// Only if the group has it: in the background meanwhile, we would take it from the shell.
    func takeBack(from group: pid_t) {
        if tcgetpgrp(descriptor) == group { takeBack() }
    }

    func takeBack() {
        tcsetpgrp(descriptor, ownGroup)
    }

    /// Undoes what a killed command did to the terminal (raw mode, no echo), as shells do.
    func restoreModes() {
        guard isOurs else { return }
        var modes = modes
        tcsetattr(descriptor, TCSADRAIN, &modes)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A question to whoever sits at the terminal.
enum Confirmation {
    /// Whether the answer begins with a y; nobody is asked where standard input is no terminal, and then it is yes.
    static func given(for question: String) -> Bool {
        guard isatty(STDIN_FILENO) == 1 else { return true }
        _ = StandardOutput.write("redlock: \(Reporter.inOneLine(question)) [y/N] ", to: STDERR_FILENO)
        return readLine()?.withoutBlankEnds.lowercased().hasPrefix("y") == true
    }
}

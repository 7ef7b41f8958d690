// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line on a terminal that says what is measured.
struct ProgressLine: Sendable {
    private let isShown: Bool

    init(isQuiet: Bool) {
        isShown = !isQuiet && isatty(STDERR_FILENO) == 1
    }

    func show(_ text: String) {
        if isShown { write("\r\u{1B}[K\(text)") }
    }

    func end() {
        if isShown { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}

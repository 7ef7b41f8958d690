// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Colours, where a person sees them and wants them; see https://no-color.org.
struct TextStyle {
    enum Colour: Int {
        case red = 31
        case green = 32
        case yellow = 33
    }

    let isColoured: Bool

    /// The style for standard output.
    static var standardOutput: TextStyle {
        let environment = ProcessInfo.processInfo.environment
        let isWanted = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        return TextStyle(isColoured: isWanted && isatty(STDOUT_FILENO) == 1)
    }

    func coloured(_ text: String, _ colour: Colour) -> String {
        isColoured ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }
}

extension [[String]] {
    /// A line for each row, its texts in columns; a column without any text takes no place.
    var linesInColumns: [String] {
        let widths = (first ?? []).indices.map { column in map { $0[column].count }.max() ?? 0 }
        return map { row in
            let columns = zip(row, widths).filter { $0.1 > 0 }.map { text, width in text.padded(to: width) }
            var line = columns.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}

extension String {
    /// The text with blanks behind it, if it is shorter.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }

    /// The text with blanks before it, if it is shorter.
    func paddedInFront(to width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }
}

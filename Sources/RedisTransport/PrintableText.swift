// SPDX-License-Identifier: Apache-2.0

extension String {
    /// Whether the text has characters that would tear a line of a log or a terminal apart, or turn it round.
    package var containsControlCharacters: Bool {
        unicodeScalars.contains(where: \.isControlCharacter)
    }

    /// An error text of a server without the arguments of the command, which some errors repeat and which may be secret.
    package var withoutEchoedArguments: String {
        guard let echo = firstRange(of: "with args beginning with") else { return self }
        return String(self[..<echo.lowerBound]) + "with arguments that are not shown"
    }

    /// The text with control characters replaced, at most `limit` Unicode scalars of it.
    package func printable(limit: Int = 200) -> String {
        // Nearly always.
        if utf8.count <= limit, utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return self }
        var scalars = UnicodeScalarView()
        for scalar in unicodeScalars.prefix(limit) { scalars.append(scalar.isControlCharacter ? "?" : scalar) }
        return String(scalars)
    }
}

extension Unicode.Scalar {
    fileprivate var isControlCharacter: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F: true
        // Line and paragraph separators, and what changes the direction of the text behind it.
        case 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

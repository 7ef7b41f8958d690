// SPDX-License-Identifier: Apache-2.0

/// A piece of HTML or SVG that is well-formed XML as well, which lets a parser check the whole page.
///
/// A string becomes markup only as escaped text, so what comes from the machine or from the results cannot break the page.
struct Markup: Sendable, ExpressibleByStringInterpolation {
    let text: String

    /// Text for people.
    init(_ plain: String) {
        text = plain.escaped
    }

    init(stringLiteral plain: String) {
        self.init(plain)
    }

    /// Text that stays as it is: a style sheet, which HTML does not unescape.
    init(verbatim text: String) {
        self.text = text
    }

    /// An element, without those attributes that are empty.
    ///
    /// Its children stand on lines of their own, so there is a blank between those that are shown in one line.
    static func element(
        _ name: String,
        _ attributes: KeyValuePairs<String, String> = [:],
        _ children: [Markup] = []
    ) -> Markup {
        let assignments = attributes.filter { !$0.value.isEmpty }.map { "\($0.key)=\"\($0.value.escaped)\"" }
        let opening = ([name] + assignments).joined(separator: " ")
        guard !children.isEmpty else { return Markup(verbatim: "<\(opening)/>") }
        let content = children.map(\.text).joined(separator: "\n")
        return Markup(verbatim: "<\(opening)>\(content)</\(name)>")
    }
}

extension String {
    /// The text as it is written between tags and within the quotes of an attribute.
    fileprivate var escaped: String {
        var escaped = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\t", "\n": escaped.unicodeScalars.append(scalar)
            // XML has no way to write the other control characters.
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

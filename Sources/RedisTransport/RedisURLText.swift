// SPDX-License-Identifier: Apache-2.0

/// A Redis URL as text, divided into what may be secret and what is not.
///
/// `#`, `?`, `/`, `@` and `:` have a meaning in URLs, and a password that has one of them unencoded moves the borders
/// between the parts. So all that stands in front of the last `@` is taken for user and password, before anything else
/// is looked at. The only text with an `@` and neither of them is the path of a socket: `redis+unix:///tmp/a@b`.
package struct RedisURLText: Sendable {
    /// What stands in front of `://`; empty if there is none.
    package let scheme: Substring

    /// What stands in front of the last `@`; nil if there is none.
    package let userInformation: Substring?

    /// Host and port, or nothing for a socket.
    let authority: Substring

    /// What follows up to a `?` or `#`, with the slash that it begins with.
    let path: Substring

    /// What follows the `?`; nil if there is none.
    let query: Substring?

    /// What follows the `#`; nil if there is none.
    let fragment: Substring?

    /// Divides any text, whether it is a URL or not.
    package init(_ url: String) {
        let separator = url.firstRange(of: "://")
        scheme = separator.map { url[..<$0.lowerBound] } ?? ""
        let behindScheme = separator.map { url[$0.upperBound...] } ?? url[...]
        let isPathOfSocket = behindScheme.first == "/" && scheme.lowercased() == "redis+unix"
        let at = isPathOfSocket ? nil : behindScheme.lastIndex(of: "@")
        userInformation = at.map { behindScheme[..<$0] }
        let location = at.map { behindScheme[behindScheme.index(after: $0)...] } ?? behindScheme
        authority = location.prefix { !"/?#".contains($0) }
        let behindAuthority = location[authority.endIndex...]
        path = behindAuthority.prefix { !"?#".contains($0) }
        let behindPath = behindAuthority[path.endIndex...]
        let beforeFragment = behindPath.prefix { $0 != "#" }
        query = beforeFragment.isEmpty ? nil : beforeFragment.dropFirst()
        fragment = behindPath.firstIndex(of: "#").map { behindPath[behindPath.index(after: $0)...] }
    }

    /// Whether there is a password in the text.
    package var hasPassword: Bool { userInformation?.contains(":") ?? false }

    /// The URL without user and password.
    package var withoutUserInformation: String {
        (scheme.isEmpty ? "" : "\(scheme)://") + authority + path
            + (query.map { "?\($0)" } ?? "") + (fragment.map { "#\($0)" } ?? "")
    }

    /// The text for people, without all that may be a part of a password.
    ///
    /// Shown are a scheme, a host, a port, a database and the path of a socket, if each looks like one. Where something
    /// behind a port is left out, the port is as well: both may be one password, of a URL that lacks its host.
    package var redacted: String {
        let isSocket = scheme.lowercased() == "redis+unix"
        let isPlainPath = isSocket || path.dropFirst().allSatisfy { $0.isASCII && $0.isNumber }
        let hidesTheEnd = !isPlainPath || query != nil || fragment != nil
        let scheme =
            scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) } ? scheme : "…"
        var text = scheme.isEmpty ? "" : "\(scheme)://"
        if userInformation?.isEmpty == false { text += "…" }
        text += redactedAuthority(hidesPort: hidesTheEnd) + (isPlainPath ? path : "/…")
        return (text + (query == nil ? "" : "?…") + (fragment == nil ? "" : "#…")).printable()
    }

    private func redactedAuthority(hidesPort: Bool) -> Substring {
        guard !authority.hasSuffix("]"), let colon = authority.lastIndex(of: ":") else { return authority }
        let port = authority[colon...].dropFirst()
        let isPort = port.count <= 5 && port.allSatisfy { $0.isASCII && $0.isNumber }
        return isPort && (userInformation != nil || !hidesPort) ? authority : authority[...colon] + "…"
    }
}

extension RedisURLText {
    /// A part of a URL with a character that is not written as it must be.
    struct WrongCharacter: Error {
        /// The character and how it is written, for people.
        let advice: String

        fileprivate init(_ byte: UInt8) {
            let name =
                switch byte {
                case 0x20: "a space"
                case UInt8(ascii: "@"): "an @"
                case 0x21..<0x7F: "a \(UnicodeScalar(byte))"
                default: "a control character"
                }
            advice = "\(name) must be written \(Self.percentEncoded(byte))"
        }

        private static func percentEncoded(_ byte: UInt8) -> String {
            (byte < 0x10 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
        }
    }

    /// The text that a percent-encoded part stands for.
    ///
    /// - Parameter reserved: characters that the part must not have as they are; control characters are among them.
    /// - Throws: `WrongCharacter` for one of them, and for a `%` that begins no character.
    static func decoded(_ part: Substring, reserved: String) throws(WrongCharacter) -> String {
        let reserved = Set(reserved.utf8)
        var bytes: [UInt8] = []
        var rest = part.utf8
        while let byte = rest.popFirst() {
            if byte < 0x20 || byte == 0x7F || reserved.contains(byte) { throw WrongCharacter(byte) }
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimalDigit),
                let low = rest.popFirst().flatMap(hexadecimalDigit)
            else { throw WrongCharacter(byte) }
            bytes.append(high << 4 | low)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw WrongCharacter(UInt8(ascii: "%")) }
        return text
    }

    private static func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
        Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init)
    }
}

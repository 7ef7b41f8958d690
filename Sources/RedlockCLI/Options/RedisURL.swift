// SPDX-License-Identifier: Apache-2.0

/// Passwords in Redis URLs, as text: a URL that cannot be parsed may still hold one.
enum RedisURL {
    /// Whether the part before `@` holds a password.
    static func hasPassword(_ url: String) -> Bool {
        parts(of: url).userInformation?.contains(":") ?? false
    }

    /// The URL without its password; the user name stays.
    static func withoutPassword(_ url: String) -> String {
        let (scheme, userInformation, rest) = parts(of: url)
        guard let userInformation, userInformation.contains(":") else { return url }
        let user = userInformation.prefix { $0 != ":" }
        return scheme + (user.isEmpty ? "" : user + "@") + rest
    }

    /// The URL without user and password.
    static func withoutUserInformation(_ url: String) -> String {
        let (scheme, _, rest) = parts(of: url)
        return scheme + rest
    }

    /// The URL with a password, if it has none of its own.
    static func addingPassword(_ password: String, to url: String) -> String {
        let (scheme, userInformation, rest) = parts(of: url)
        guard userInformation?.contains(":") != true, !scheme.isEmpty else { return url }
        return "\(scheme)\(userInformation ?? ""):\(percentEncoded(password))@\(rest)"
    }

    /// Splits at `://` and at the last `@` of all: a password with an unescaped `/` or `@` must not be shown in part.
    ///
    /// The one `@` that is no password's is in the path of a socket, where the text before it starts with a slash.
    private static func parts(of url: String) -> (scheme: String, userInformation: String?, rest: String) {
        guard let separator = url.firstRange(of: "://") else {
            // No scheme, so no URL; yet `:secret@host` may be meant as one.
            guard let at = url.lastIndex(of: "@") else { return ("", nil, url) }
            return ("", String(url[..<at]), String(url[url.index(after: at)...]))
        }
        let scheme = String(url[..<separator.upperBound])
        let afterScheme = url[separator.upperBound...]
        guard let at = afterScheme.lastIndex(of: "@"), afterScheme.first != "/" else {
            return (scheme, nil, String(afterScheme))
        }
        return (scheme, String(afterScheme[..<at]), String(afterScheme[afterScheme.index(after: at)...]))
    }

    private static func percentEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            let scalar = Unicode.Scalar(byte)
            if scalar.isASCII, scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                encoded.unicodeScalars.append(scalar)
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return encoded
    }
}

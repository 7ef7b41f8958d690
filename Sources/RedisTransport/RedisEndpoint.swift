// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Where one Redis server is and how to sign in to it.
///
/// Written as a URL: `redis://[user[:password]@]host[:port][/database]`, the same with `rediss` for TLS, or
/// `redis+unix://[user[:password]@]/path/to/socket[?database=n]`. IPv6 addresses stand in brackets; user and password
/// are percent-encoded. A name for the node may follow behind `#`.
public struct RedisEndpoint: Hashable, Sendable {
    /// The ways to reach a server.
    public enum Address: Hashable, Sendable {
        /// A host name or IP address, and a TCP port.
        case host(String, port: Int)
        /// The path of a Unix domain socket.
        case unixSocket(path: String)
    }

    /// Where the server listens.
    public var address: Address

    /// The user to sign in as; nil for the default user.
    public var username: String?

    /// The password, which is never printed; nil to go without signing in.
    public var password: String?

    /// The number of the database, from 0.
    public var database: Int

    /// How to use TLS; nil for a plain connection.
    public var tls: TLSSettings?

    /// What all clients call the node; needed only where they reach it under different addresses.
    ///
    /// Nil for the address.
    public var name: String?

    /// An endpoint without TLS at the given address.
    public init(address: Address, username: String? = nil, password: String? = nil, database: Int = 0) {
        self.address = address
        self.username = username
        self.password = password
        self.database = database
    }

    /// The endpoint that a URL names.
    ///
    /// - Throws: `RedisEndpointError` that says what is wrong with the URL, without its password.
    public init(url: String) throws(RedisEndpointError) {
        func invalid(_ problem: String) -> RedisEndpointError {
            RedisEndpointError(url: url, problem: problem)
        }
        guard let components = URLComponents(string: url), let scheme = components.scheme?.lowercased() else {
            throw invalid("it is not a URL such as redis://127.0.0.1:6379")
        }
        if let name = components.fragment {
            guard (1...64).contains(name.utf8.count), !name.containsControlCharacters else {
                throw invalid("the name behind # must have 1 to 64 bytes without control characters")
            }
        }
        switch scheme {
        case "redis", "rediss":
            guard let host = components.host, !host.isEmpty else { throw invalid("it names no host") }
            guard host.allSatisfy(Self.canStandInHost) else {
                throw invalid("the host has characters that no host name or address has")
            }
            // A port too large for an integer is none to the parser; the default port would be another server.
            let port = components.port ?? (components.rangeOfPort?.isEmpty ?? true ? 6379 : 0)
            guard (1...65535).contains(port) else { throw invalid("the port must be from 1 to 65535") }
            guard components.query == nil else { throw invalid("it takes no query (?)") }
            self.init(address: .host(Self.withoutBrackets(host).lowercased(), port: port))
            let path = components.path.drop { $0 == "/" }
            database = try Self.database(path.isEmpty ? "0" : String(path), in: url)
            tls = scheme == "rediss" ? TLSSettings() : nil
        case "redis+unix":
            guard (components.host ?? "").isEmpty else {
                throw invalid("a socket path needs three slashes: redis+unix:///path/to/socket")
            }
            guard components.path.count > 1 else { throw invalid("it names no socket path") }
            guard !components.path.containsControlCharacters else {
                throw invalid("the socket path has control characters")
            }
            self.init(address: .unixSocket(path: components.path))
            for item in components.queryItems ?? [] {
                guard item.name == "database" else { throw invalid("the only query it takes is database=NUMBER") }
                database = try Self.database(item.value ?? "", in: url)
            }
        default:
            throw invalid("the scheme must be redis, rediss or redis+unix")
        }
        name = components.fragment
        username = components.user.flatMap { $0.isEmpty ? nil : $0 }
        password = components.password
        guard username == nil || password != nil else { throw invalid("it names a user without a password") }
    }

    /// Letters and digits of any script, and what stands between them in names and IPv6 addresses.
    private static func canStandInHost(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "-._:%[]".contains(character)
    }

    private static func withoutBrackets(_ host: String) -> String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    }

    private static func database(_ text: String, in url: String) throws(RedisEndpointError) -> Int {
        guard let number = Int(text), number >= 0, text.allSatisfy(\.isASCII), text.first != "+" else {
            throw RedisEndpointError(url: url, problem: "the database must be a number from 0")
        }
        return number
    }
}

extension RedisEndpoint: CustomStringConvertible {
    /// The endpoint as people name it: the address alone, without user and password.
    public var description: String {
        switch address {
        case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unixSocket(let path): path
        }
    }
}

extension RedisEndpoint: CustomReflectable {
    /// Shows the address alone, so that dumping a value that contains an endpoint shows no password.
    public var customMirror: Mirror { Mirror(self, children: ["address": description]) }
}

/// A Redis URL that cannot be used, and why; the URL is shown without user and password.
public struct RedisEndpointError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The URL without user and password.
    public let redactedURL: String

    /// What is wrong with it.
    public let problem: String

    init(url: String, problem: String) {
        self.redactedURL = Self.redacted(url)
        self.problem = problem
    }

    /// The URL and what is wrong with it.
    public var description: String { "the Redis URL \"\(redactedURL)\" cannot be used: \(problem)" }

    /// The URL without what may be a password: what stands before an @, and the query.
    ///
    /// Works on the text, not on a parsed URL: what cannot be parsed may still hold a password. Where it cannot be told
    /// which of the two it is, nothing but the scheme is shown.
    private static func redacted(_ url: String) -> String {
        let scheme = url.prefix { $0.isLetter || $0.isNumber || "+-.".contains($0) }
        let start = url[scheme.endIndex...].hasPrefix("://") ? scheme + "://" : ""
        let rest = url.dropFirst(start.count)
        let hidden = rest.lastIndex(of: "@").map { rest[..<$0] } ?? ""
        let shown = rest.dropFirst(hidden.count).prefix { $0 != "?" }
        let query = hidden.count + shown.count < rest.count ? "?…" : ""
        let redacted =
            hidden.contains("?")
            ? start + "…" : start + (hidden.isEmpty ? "" : "…") + withoutImpossiblePort(shown) + query
        return redacted.printable()
    }

    /// The text without what stands in place of a port and is none: without an @ behind it, it may be a password.
    private static func withoutImpossiblePort(_ text: Substring) -> String {
        let authority = text.prefix { $0 != "/" }
        guard !authority.hasSuffix("]"), let colon = authority.lastIndex(of: ":"),
            !authority[colon...].dropFirst().allSatisfy(\.isNumber)
        else { return String(text) }
        return authority[...colon] + "…" + text[authority.endIndex...]
    }
}

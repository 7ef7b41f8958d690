// SPDX-License-Identifier: Apache-2.0

/// Where one Redis server is and how to sign in to it.
///
/// Written as a URL: `redis://[user[:password]@]host[:port][/database]`, the same with `rediss` for TLS, or
/// `redis+unix://[user[:password]@]/path/to/socket[?database=n]`. IPv6 addresses stand in brackets; user and password
/// are percent-encoded: a `#`, `?`, `/`, `@`, `[`, `]`, `%` or space in them would have another meaning, or none. A name
/// for the node may follow behind `#`, percent-encoded as well.
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
        try self.init(url: url, defaultPassword: nil)
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
    /// The URL without user and password, and without whatever may be a part of them.
    public let redactedURL: String

    /// What is wrong with it.
    public let problem: String

    init(url: String, problem: String) {
        redactedURL = RedisURLText(url).redacted
        self.problem = problem
    }

    /// The URL and what is wrong with it.
    public var description: String { "the Redis URL \"\(redactedURL)\" cannot be used: \(problem)" }
}

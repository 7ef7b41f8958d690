// SPDX-License-Identifier: Apache-2.0

/// How a set of private Redis servers is started.
public struct LocalRedisOptions: Sendable {
    /// What a server remembers when it is killed (default: nothing).
    public var persistence: LocalRedisPersistence = .none
    /// Whether the servers end with this process (default: they do).
    public var lifetime: LocalRedisLifetime = .boundToThisProcess
    /// Where the servers listen on 127.0.0.1 (default: any free ports).
    public var ports: LocalRedisPorts = .free
    /// Serves TLS, and nothing else, on the TCP port; the Unix socket stays plain.
    public var tls: LocalRedisTLS?
    /// Further lines of the configuration file of every server, as `redis.conf` spells them.
    ///
    /// For example `requirepass ...`, `aclfile ...`, `maxmemory 64mb`. They reach the server by a file only its user can read.
    public var extraConfiguration: [String] = []
    /// Further environment variables of single servers, by their number (from 1): at every start, restarts included.
    ///
    /// A server gets little of this process's environment otherwise; a variable that it gets anyway has the value given
    /// here. They are kept in the set's own files, for whoever loads it.
    public var additionalEnvironment: [Int: [String: String]] = [:]
    /// The root directory of the set; nil for a new one below the system's temporary directory.
    ///
    /// The path must be short enough for Unix sockets (about 80 bytes).
    public var directory: String?
    /// The program: a name looked up in PATH, or a path.
    public var executable = "redis-server"
    /// How long each server may take until it answers.
    public var startTimeout: Duration = .seconds(15)

    /// Free ports, no persistence, bound to this process.
    public init() {}

    /// Free ports, bound to this process, with the given persistence.
    public init(persistence: LocalRedisPersistence) {
        self.persistence = persistence
    }
}

/// What a server remembers when it is killed.
public enum LocalRedisPersistence: String, Sendable, Codable, CaseIterable {
    /// Nothing is written: a restart is empty.
    case none
    /// An append-only file, synchronised before every answer: whatever was answered survives.
    case appendOnlyAlways
}

/// How long servers live.
public enum LocalRedisLifetime: Sendable {
    /// The servers end with the process that started them, on Linux also when it is killed with KILL.
    /// On macOS, which has no parent-death signal, they then stay behind.
    case boundToThisProcess
    /// The servers lead sessions of their own and stay until somebody stops them (`LocalRedisSet.load(directory:)`).
    case detached
}

/// Where servers listen on 127.0.0.1.
public enum LocalRedisPorts: Sendable {
    /// Any free ports. They are taken below the range from which systems choose the ports of outgoing connections:
    /// otherwise a client that reconnects to a killed server could take the server's own port, and talk to itself.
    case free
    /// Consecutive ports from this one on; where one is taken, any free port in its place.
    case preferred(startingAt: Int)
    /// Exactly these, one for each server; an error if one is taken.
    case exactly([Int])
}

/// Files for TLS, all PEM.
public struct LocalRedisTLS: Sendable, Codable {
    /// The server's certificate.
    public var certificateFile: String
    /// The server's private key.
    public var keyFile: String
    /// The authorities that client certificates are checked against.
    public var certificateAuthorityFile: String
    /// Whether a client must show a certificate.
    public var requiresClientCertificate: Bool

    /// Certificate, key and authority, with or without client certificates.
    public init(
        certificateFile: String,
        keyFile: String,
        certificateAuthorityFile: String,
        requiresClientCertificate: Bool = false
    ) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.certificateAuthorityFile = certificateAuthorityFile
        self.requiresClientCertificate = requiresClientCertificate
    }
}

/// Why a local server or set could not do what was asked.
public struct LocalRedisError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: Sendable {
        /// The program redis-server was not found.
        case notInstalled
        /// A server did not come up, or not in time.
        case notStarted
        /// A port that was asked for is taken.
        case portTaken
        /// A directory cannot be used, or holds no set.
        case directory
        /// An option or argument makes no sense.
        case invalidArgument
        /// The server is not running, or not in the state the operation needs.
        case notRunning
        /// A server answered a command with an error, or did not answer.
        case command
    }

    /// The kind of failure.
    public let code: Code
    /// What happened, to which thing, and what to do.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

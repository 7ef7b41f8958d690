// SPDX-License-Identifier: Apache-2.0

public import Hiredis
public import Logging
public import NIOCore
public import NIOPosix
public import RedisTransport
public import Redlock

/// Guards the data in one Redis server.
///
/// ```swift
/// let store = try RedisGuard("redis://data.example.com")
/// try await redlock.withLock("stock/42") { lease in
///     try await store.write(lease, .command("SET", "stock/42", "7"))
/// }
/// ```
///
/// One script compares the token, keeps it under a key of its own, and then runs the command or script of the caller. Redis
/// undoes nothing: if the command fails, the token stays, which refuses nobody but those that are stale.
///
/// The server that has the data need not be one of the nodes that grant the lock. It must not evict keys that have no
/// end (`maxmemory-policy noeviction` or `volatile-…`): the key of a token is one, and stays for as long as the data may be
/// written. Otherwise, what the server forgets, it forgets with its tokens: with a replica that lags and takes over, or
/// without an append-only file that is synced always, writes that were confirmed may be gone. In a cluster, the keys of the tokens must be in the slot of the data; see ``Configuration/tokenPrefix``.
public final class RedisGuard: FencedStore {
    /// What a guard works with.
    public struct Configuration: Sendable {
        /// How long an attempt to connect may take.
        public var connectTimeout = Duration.seconds(5)
        /// How long the server may take to answer.
        public var replyTimeout = Duration.seconds(5)
        /// What stands before the name of the resource in the key of its token; in a cluster with a hash tag, such as
        /// `{orders}fencing-token:` for data under `{orders}`.
        public var tokenPrefix = "fencing-token:"
        /// The longest reply that is read.
        public var maximumReplyBytes = 16 * 1024 * 1024

        /// The defaults.
        public init() {}
    }

    private let connection: RedisGuardConnection
    private let tokenPrefix: String

    /// A guard in front of a server; it connects by itself, and again whenever the connection ends.
    ///
    /// - Parameters:
    ///   - url: where the server is, as for the nodes of a client: `redis://`, `rediss://` or `redis+unix://`.
    ///   - configuration: timeouts and more.
    ///   - eventLoopGroup: where the connection lives.
    ///   - logger: what is told of connections; nothing secret is.
    /// - Throws: `RedisEndpointError` for a URL that cannot be used, `NodeFailure` for files of TLS that cannot.
    public convenience init(
        _ url: String,
        configuration: Configuration = Configuration(),
        eventLoopGroup: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup,
        logger: Logger? = nil
    ) throws {
        try self.init(
            RedisEndpoint(url: url),
            configuration: configuration,
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
    }

    /// A guard in front of a server; see `init(_:configuration:eventLoopGroup:logger:)`.
    ///
    /// - Throws: `NodeFailure` for files of TLS that cannot be used.
    public init(
        _ endpoint: RedisEndpoint,
        configuration: Configuration = Configuration(),
        eventLoopGroup: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup,
        logger: Logger? = nil
    ) throws {
        tokenPrefix = configuration.tokenPrefix
        connection = try RedisGuardConnection(
            endpoint,
            configuration: configuration,
            eventLoop: eventLoopGroup.next(),
            logger: logger ?? Logger(label: "redlock.redis-guard", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    deinit {
        connection.close()
    }

    /// Runs a command or a script in one step with the comparison of the token.
    ///
    /// - Returns: what the command or script answered.
    /// - Throws: ``StaleGrantError``; ``RedisGuardError``, of which `outcomeUnknown` says that the server may have carried
    ///   it out, or may still do so; `CancellationError` if the task was cancelled before anything was sent.
    @discardableResult
    public func write(_ grant: some FencedGrant, _ write: RedisWrite) async throws -> RESPValue {
        try grant.validate()
        try write.validate()
        let resources = grant.fencedResources
        let reply = try await connection.ask(write.fenced(by: resources.map { tokenPrefix + $0 }, grant.fencingToken))
        guard let error = reply.error else { return reply }
        if let stale = StaleGrantError(error, resources: resources, token: grant.fencingToken) { throw stale }
        // A master that has become a replica stays one; who knows where the name leads now.
        if error.hasPrefix("READONLY") { connection.reconnect() }
        throw RedisGuardError(.refused, "\(connection.endpoint) refused the write: \(error.printable())")
    }

    /// Carries out a write in one step with the comparison of the token; see ``FencedStore``.
    public func apply(_ write: RedisWrite, under grant: some FencedGrant) async throws {
        try await self.write(grant, write)
    }

    /// The highest token that was written with; nil if nothing was written under a grant of the resource.
    public func highestToken(of resource: String) async throws -> FencingToken? {
        let reply = try await connection.ask(["GET", tokenPrefix + resource])
        if case .null = reply { return nil }
        guard let token = reply.string.flatMap({ FencingToken($0) }) else {
            throw RedisGuardError(.refused, "\(connection.endpoint): the key of a token holds something else")
        }
        return token
    }

    /// Ends the connection; what waits for an answer fails.
    public func shutdown() {
        connection.close()
    }
}

/// What a ``RedisGuard`` runs on its server.
public enum RedisWrite: Sendable {
    /// One command and its arguments.
    case command([String])
    /// A script in Lua, with its keys and arguments in `KEYS` and `ARGV` as for `EVAL`.
    case script(String, keys: [String], arguments: [String])

    /// One command and its arguments.
    public static func command(_ words: String...) -> RedisWrite { .command(words) }

    /// Throws for what the server could only refuse after it has kept the token.
    func validate() throws(RedisGuardError) {
        switch self {
        case .command(let words):
            guard !words.isEmpty else { throw RedisGuardError(.refused, "a command has a name at least") }
            guard words.count <= Self.mostWords else {
                throw RedisGuardError(
                    .refused,
                    "a guarded command has at most \(Self.mostWords) words, not \(words.count); use a script for more"
                )
            }
        case .script(let text, _, _):
            guard !text.isEmpty else { throw RedisGuardError(.refused, "the script is empty") }
        }
    }

    /// What Lua can hand to one command is about 8,000.
    private static let mostWords = 7_000

    /// The command that compares and keeps the token before anything else happens.
    func fenced(by tokenKeys: [String], _ token: FencingToken) -> [String] {
        switch self {
        case .command(let words):
            let script = Self.comparison + "return redis.pcall(unpack(ARGV))"
            return ["EVAL", script, "\(tokenKeys.count)"] + tokenKeys + ["\(tokenKeys.count)", "\(token)"] + words
        case .script(let text, let keys, let arguments):
            return ["EVAL", Self.comparison + text, "\(tokenKeys.count + keys.count)"] + tokenKeys + keys
                + ["\(tokenKeys.count)", "\(token)"] + arguments
        }
    }

    /// How an error begins that tells of a stale token: the place of the resource and the highest token follow.
    static let staleCode = "REDLOCKSTALE"

    /// Compares the token with all that were kept, keeps it, and leaves `KEYS` and `ARGV` to whatever follows.
    private static let comparison = """
        do
            local count, token = tonumber(ARGV[1]), ARGV[2]
            for i = 1, count do
                local kept = redis.call('GET', KEYS[i])
                if kept and not tonumber(kept) then
                    return redis.error_reply('ERR the key of a fencing token holds something else')
                end
                if kept and tonumber(kept) > tonumber(token) then
                    return redis.error_reply('\(staleCode) ' .. i .. ' ' .. kept)
                end
            end
            for i = 1, count do redis.call('SET', KEYS[i], token) end
            for i = 1, count do table.remove(KEYS, 1) end
            table.remove(ARGV, 1)
            table.remove(ARGV, 1)
        end

        """
}

extension StaleGrantError {
    /// The error that the script answered with; nil if it is another.
    fileprivate init?(_ error: String, resources: [String], token: FencingToken) {
        let words = error.split(separator: " ")
        guard words.count == 3, words[0] == RedisWrite.staleCode, let place = Int(words[1]),
            resources.indices.contains(place - 1), let highest = FencingToken(String(words[2]))
        else { return nil }
        self.init(resource: resources[place - 1], token: token, highestToken: highest)
    }
}

/// Why a write through a ``RedisGuard`` did not come to an answer, or to a refusal.
public struct RedisGuardError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is known of the write.
    public enum Kind: Hashable, Sendable {
        /// The server answered with an error: a command that it does not know, a value of another type, no memory. A script
        /// may have done a part of its work before.
        case refused
        /// The server could not be reached, and nothing was sent.
        case unreachable
        /// No answer came; the server may have carried the write out.
        case outcomeUnknown
    }

    /// What is known of the write.
    public let kind: Kind
    /// What happened, on which server.
    public let message: String

    /// What happened.
    public var description: String { message }

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

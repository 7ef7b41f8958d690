// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Logging
import Redlock

/// How many servers there are, and how many of them are dead.
enum Layout: CaseIterable {
    case one, three, five, threeOfFive

    /// Runs the body with servers in this layout and a client of all of them.
    func withClient<Result: Sendable>(
        configuration: RedlockConfiguration = .patient,
        persistence: LocalRedisPersistence = .none,
        _ body: (RedlockClient, LocalRedisSet) async throws -> Result
    ) async throws -> Result {
        let count =
            switch self {
            case .one: 1
            case .three: 3
            case .five, .threeOfFive: 5
            }
        return try await withLocalRedis(nodes: count, options: LocalRedisOptions(persistence: persistence)) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: configuration)
            if self == .threeOfFive {
                await redis[1].kill()
                await redis[4].kill()
            }
            let client = try RedlockClient(nodes: redis.urls, configuration: configuration, logger: .tracing)
                .tracingEvents()
            let result = try await body(client, redis)
            await client.shutdown()
            return result
        }
    }
}

extension RedlockConfiguration {
    /// Made for machines that run much else at the same time.
    static var patient: RedlockConfiguration {
        var configuration = RedlockConfiguration()
        configuration.nodeTimeout = .milliseconds(100)
        configuration.connectTimeout = .seconds(2)
        return configuration
    }
}

extension CompatibleRedlockClient {
    /// Runs the body with three servers and a client of them.
    static func withThreeNodes<Result: Sendable>(
        _ body: (CompatibleRedlockClient, LocalRedisSet) async throws -> Result
    ) async throws -> Result {
        try await withLocalRedis(nodes: 3) { redis in
            let client = try CompatibleRedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            let result = try await body(client, redis)
            await client.shutdown()
            return result
        }
    }
}

extension String {
    /// The key of the lock of this name.
    var lockKey: String { "redlock:lock:" + self }
}

extension RedlockClient {
    /// Another client of servers that are enrolled, which has met all of them.
    static func connected(to redis: LocalRedisSet) async throws -> RedlockClient {
        let client = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
        try await client.waitUntilAllNodesAnswer()
        return client
    }

    /// As many of them.
    static func connected(_ count: Int, to redis: LocalRedisSet) async throws -> [RedlockClient] {
        try await (0..<count).asyncMap { _ in try await connected(to: redis) }
    }

    /// A client of servers that were just started for a test.
    static func enrolled(
        _ redis: LocalRedisSet,
        configuration: RedlockConfiguration = .patient,
        logger: Logger = .tracing
    ) async throws -> RedlockClient {
        try await enrolled(redis.urls, configuration: configuration, logger: logger)
    }

    /// A client of servers that were just started for a test.
    static func enrolled(
        _ urls: [String],
        configuration: RedlockConfiguration = .patient,
        logger: Logger = .tracing
    ) async throws -> RedlockClient {
        try await enrolNewSet(nodes: urls, configuration: configuration)
        return try RedlockClient(nodes: urls, configuration: configuration, logger: logger).tracingEvents()
    }
}

extension LocalRedisSet {
    /// Has every server count its commands from zero.
    func resetStatistics() async throws {
        for server in servers { _ = try await server.send("CONFIG", "RESETSTAT") }
    }
}

extension LocalRedisServer {
    /// How often each command was called, scripts and what they call included.
    func commandCalls() async throws -> [String: Int] {
        let text = try await send("INFO", "commandstats") ?? ""
        var calls: [String: Int] = [:]
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
            let parts = line.dropFirst("cmdstat_".count).split(separator: ":calls=")
            guard parts.count == 2 else { continue }
            calls[String(parts[0])] = Int(parts[1].prefix(while: \.isNumber))
        }
        return calls
    }
}

/// Counts how many are inside at the same time.
actor Counter {
    private(set) var entered = 0
    private(set) var most = 0
    private var inside = 0

    func enter() {
        entered += 1
        inside += 1
        most = max(most, inside)
    }

    func leave() {
        inside -= 1
    }
}

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
        _ body: (RedlockClient, LocalRedisSet) async throws -> Result
    ) async throws -> Result {
        let count =
            switch self {
            case .one: 1
            case .three: 3
            case .five, .threeOfFive: 5
            }
        return try await withLocalRedis(nodes: count) { redis in
            if self == .threeOfFive {
                await redis[1].kill()
                await redis[4].kill()
            }
            let client = try RedlockClient(nodes: redis.urls, configuration: configuration)
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

// SPDX-License-Identifier: Apache-2.0
import LocalRedis
import Testing

@Suite struct LocalRedisSetTests {
    @Test func serversAnswer() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            for server in redis.servers {
                let reply = try await server.send("PING")
                #expect(reply == "PONG")
            }
        }
    }
}

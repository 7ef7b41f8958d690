// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import RedlockTesting
import TestSupport
import Testing

/// Votes that come late, not at all, or from nodes that were away: nothing stays locked that nobody holds.
@Suite(.serialized)
struct InterruptionTests {
    /// A node carries the command out, and its reply comes after everybody gave up: the key goes, the vote does not count.
    @Test
    func lateVoteIsTakenBack() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await withFaultProxy(target: .init(port: redis[0].port)) { proxy in
                let client = try await RedlockClient.enrolled(["redis://127.0.0.1:\(proxy.port)"])
                await (try await client.acquire("warm")).release()
                await proxy.set(.stall, direction: .toClient)
                let error = await #expect(throws: RedlockError.self) {
                    try await client.acquire("late", options: .once)
                }
                #expect(error?.code == .quorumUnavailable)
                try await Task.sleep(for: .milliseconds(100))
                #expect(try await redis[0].send("EXISTS", "late".lockKey) == "0")
                await client.shutdown()
            }
        }
    }

    /// The command itself is held up and carried out after everybody gave up: the release travels right behind it.
    @Test
    func lateCommandIsUndone() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await withFaultProxy(target: .init(port: redis[0].port)) { proxy in
                let client = try await RedlockClient.enrolled(["redis://127.0.0.1:\(proxy.port)"])
                await (try await client.acquire("warm")).release()
                await proxy.set(.stall, direction: .toServer)
                await #expect(throws: RedlockError.self) { try await client.acquire("late", options: .once) }
                await proxy.set(.pass)
                try await Task.sleep(for: .milliseconds(200))
                #expect(try await redis[0].send("EXISTS", "late".lockKey) == "0")
                await client.shutdown()
            }
        }
    }

    /// A release that did not get through is made up for when the node is back.
    @Test
    func releaseIsMadeUpFor() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await withFaultProxy(target: .init(port: redis[0].port)) { proxy in
                let nodes = ["redis://127.0.0.1:\(proxy.port)", redis[1].url, redis[2].url]
                let client = try await RedlockClient.enrolled(nodes)
                try await client.waitUntilAllNodesAnswer()
                let lease = try await client.acquire("kept", options: LockOptions(ttl: .seconds(30)))
                await proxy.set(.blackHole, direction: .toServer)
                await lease.release()
                #expect(try await redis[0].send("EXISTS", "kept".lockKey) == "1")
                try await Task.sleep(for: .milliseconds(300))
                await proxy.set(.pass)
                try await eventually { try await redis[0].send("EXISTS", "kept".lockKey) == "0" }
                await client.shutdown()
            }
        }
    }

    /// The own minority of one attempt does not stand in the way of the next.
    @Test
    func minorityKeysDoNotBlockTheNextAttempt() async throws {
        try await Layout.three.withClient { client, redis in
            _ = try await redis[0].send("SET", "partly".lockKey, "somebody", "PX", "400")
            _ = try await redis[1].send("SET", "partly".lockKey, "somebody", "PX", "400")
            let lease = try await client.acquire("partly", options: LockOptions(wait: .atMost(.seconds(3))))
            #expect(lease.isValid)
            await lease.release()
        }
    }

    @Test
    func durableServerThatRestartsIsUsedAgain() async throws {
        try await Layout.three.withClient(persistence: .appendOnlyAlways) { client, redis in
            for server in redis.servers {
                await server.kill()
                let lease = try await client.acquire("restart", options: LockOptions(wait: .atMost(.seconds(5))))
                await lease.release()
                try await server.restart()
                try await client.waitUntilAllNodesAnswer()
            }
        }
    }

    @Test
    func missingScriptIsSentWhole() async throws {
        try await Layout.three.withClient { client, redis in
            let lease = try await client.acquire("script", options: LockOptions(ttl: .seconds(2)))
            for server in redis.servers { _ = try await server.send("SCRIPT", "FLUSH") }
            try await lease.extend(ttl: .seconds(20))
            #expect(lease.remaining > .seconds(15))
            for server in redis.servers { _ = try await server.send("SCRIPT", "FLUSH") }
            await lease.release()
            try await expectGone("script".lockKey, from: redis)
        }
    }

    @Test
    func frozenNodeDoesNotSlowTheFirstAcquisition() async throws {
        try await withLocalRedis(nodes: 5) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            try await redis[2].pause()
            let client = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            let began = ContinuousClock.now
            let lease = try await client.acquire("quick")
            #expect(ContinuousClock.now - began < .milliseconds(500))
            await lease.release()
            await client.shutdown()
            try await redis[2].resume()
        }
    }

    @Test
    func waitingSurvivesAShortOutage() async throws {
        try await Layout.three.withClient { client, redis in
            let lease = try await client.acquire("outage", options: LockOptions(ttl: .seconds(30)))
            async let waiting = client.acquire("outage")
            try await Task.sleep(for: .milliseconds(200))
            for server in redis.servers { try await server.pause() }
            try await Task.sleep(for: .seconds(1))
            for server in redis.servers { try await server.resume() }
            try await client.waitUntilAllNodesAnswer()
            await lease.release()
            await (try await waiting).release()
        }
    }

    /// A client that never had a quorum waits for servers that are there and do not answer; the control has no patience.
    @Test(arguments: [true, false])
    func newClientSurvivesAShortOutage(isPatient: Bool) async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            for server in redis.servers.prefix(2) { try await server.pause() }
            var configuration = RedlockConfiguration.patient
            configuration.outageTolerance = isPatient ? .seconds(20) : .zero
            configuration.connectTimeout = .milliseconds(500)
            let client = try RedlockClient(nodes: redis.urls, configuration: configuration, logger: .tracing)
            let waiting = Task { try await client.acquire("outage") }
            try await Task.sleep(for: .seconds(2))
            for server in redis.servers.prefix(2) { try await server.resume() }
            if isPatient {
                await (try await waiting.value).release()
            } else {
                let error = await #expect(throws: RedlockError.self) { try await waiting.value }
                #expect(error?.code == .quorumUnavailable)
            }
            await client.shutdown()
        }
    }

    /// It does not where nobody listens, or where somebody must change something first.
    @Test(arguments: [true, false])
    func newClientDoesNotWaitForWhatIsConfigured(isDead: Bool) async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            for server in redis.servers.prefix(2) {
                if isDead {
                    await server.kill()
                } else {
                    _ = try await server.send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
                    _ = try await server.send("CONFIG", "SET", "maxmemory", "100mb")
                }
            }
            var configuration = RedlockConfiguration.patient
            configuration.outageTolerance = .seconds(60)
            let client = try RedlockClient(nodes: redis.urls, configuration: configuration, logger: .tracing)
            let began = ContinuousClock.now
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("outage") }
            #expect(error?.code == .quorumUnavailable)
            #expect(ContinuousClock.now - began < .seconds(20))
            await client.shutdown()
        }
    }

    @Test
    func longOutageEndsTheWaiting() async throws {
        var configuration = RedlockConfiguration.patient
        configuration.outageTolerance = .seconds(1)
        try await Layout.three.withClient(configuration: configuration) { client, redis in
            await (try await client.acquire("outage")).release()
            await redis[0].kill()
            await redis[1].kill()
            let began = ContinuousClock.now
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("outage") }
            #expect(error?.code == .quorumUnavailable)
            #expect(error?.nodes.filter { $0.outcome.contains("refused") || $0.outcome.contains("closed") }.count == 2)
            #expect(ContinuousClock.now - began < .seconds(3))
        }
    }
}

extension LockClient {
    /// Waits until every node answers an inspection.
    func waitUntilAllNodesAnswer() async throws {
        try await eventually {
            try await self.inspect("nobody").nodes.allSatisfy { node in
                if case .unavailable = node.state { false } else { true }
            }
        }
    }
}

/// Looks whether a lock that was released is gone from every server: a quorum has confirmed it, and the others may be a
/// moment behind.
func expectGone(
    _ key: String,
    from redis: LocalRedisSet,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    for server in redis.servers where server.isRunning {
        try await eventually(sourceLocation: sourceLocation) { try await server.send("EXISTS", key) == "0" }
    }
}

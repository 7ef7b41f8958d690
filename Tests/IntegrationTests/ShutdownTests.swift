// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Logging
import RedlockTesting
import ServiceLifecycle
import TestSupport
import Testing

@testable import Redlock

/// A client ends in good order: nothing new, nobody waits in vain, nothing stays locked.
@Suite(.serialized)
struct ShutdownTests {
    @Test
    func servicesShutDownTogether() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let client = try await RedlockClient.enrolled(redis)
            let finished = Counter()
            let worker = Worker(client: client, finished: finished)
            let group = ServiceGroup(services: [client, worker], logger: Logger(label: "test"))
            async let running: Void = group.run()
            try await eventually { await finished.entered == 1 }
            await group.triggerGracefulShutdown()
            try await running
            #expect(await finished.entered == 2, "the body ended by itself")
            for server in redis.servers { #expect(try await server.send("EXISTS", "service".lockKey) == "0") }
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("late") }
            #expect(error?.code == .clientShutDown)
        }
    }

    /// Holds a lock until the application is to end, and a little longer.
    private struct Worker: Service {
        let client: RedlockClient
        let finished: Counter

        func run() async throws {
            try await client.withLock("service") { _ in
                await finished.enter()
                try? await gracefulShutdown()
                try? await Task.sleep(for: .milliseconds(200))
                await finished.enter()
            }
        }
    }

    @Test
    func waitingEndsAndLeasesAreReleased() async throws {
        try await Layout.three.withClient { client, redis in
            let holder = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            let theirs = try await holder.acquire("held elsewhere")
            let ours = try await client.acquire("ours", options: LockOptions(ttl: .seconds(20)), renewal: .automatic)
            let waiting = Task { try await client.acquire("held elsewhere") }
            try await Task.sleep(for: .milliseconds(100))
            await client.shutdown()
            let error = await #expect(throws: RedlockError.self) { try await waiting.value }
            #expect(error?.code == .clientShutDown)
            #expect(!ours.isValid)
            #expect(await ours.ended())
            for server in redis.servers { #expect(try await server.send("EXISTS", "ours".lockKey) == "0") }
            await theirs.release()
            await holder.shutdown()
        }
    }

    @Test
    func bodyBeyondTheGraceTimeIsCancelled() async throws {
        try await Layout.three.withClient { client, redis in
            let inside = Counter()
            let body = Task {
                try await client.withLock("long") { _ in
                    await inside.enter()
                    try? await Task.sleep(for: .seconds(30))
                }
            }
            try await eventually { await inside.entered == 1 }
            let began = ContinuousClock.now
            await client.shutdown(graceTime: .milliseconds(300))
            #expect(ContinuousClock.now - began > .milliseconds(250))
            #expect(ContinuousClock.now - began < .seconds(3))
            let error = await #expect(throws: RedlockError.self) { try await body.value }
            #expect(error?.code == .lost)
            for server in redis.servers { #expect(try await server.send("EXISTS", "long".lockKey) == "0") }
        }
    }

    /// The last lease goes during the grace time: its keys go before the connections do.
    @Test
    func leaseThatEndsInTheGraceTimeIsReleased() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("last")
            let began = ContinuousClock.now
            async let ending: Void = client.shutdown(graceTime: .seconds(5))
            try await Task.sleep(for: .milliseconds(200))
            await lease.release()
            await ending
            #expect(ContinuousClock.now - began < .seconds(2))
            for server in redis.servers { #expect(try await server.send("EXISTS", "last".lockKey) == "0") }
        }
    }

    /// A node that is slower than the quorum has read the release before its connection ends; where the client ends at
    /// once, the control, it has not.
    @Test(arguments: [true, false])
    func slowNodeHearsOfTheReleaseAsWell(endsInGoodOrder: Bool) async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await withFaultProxy(target: .init(port: redis[0].port)) { proxy in
                let nodes = ["redis://127.0.0.1:\(proxy.port)", redis[1].url, redis[2].url]
                var configuration = RedlockConfiguration.patient
                configuration.nodeTimeout = .seconds(1)
                try await RedlockClient.enrolNewSet(nodes: nodes)
                let client = try RedlockClient(nodes: nodes, configuration: configuration, logger: .tracing)
                try await client.waitUntilAllNodesAnswer()
                let lease = try await client.acquire("last")
                try await eventually { try await redis[0].send("EXISTS", "last".lockKey) == "1" }
                await proxy.set(.delay(.milliseconds(500)), direction: .toServer)
                await lease.release()
                if endsInGoodOrder {
                    await client.shutdown()
                } else {
                    await client.engine.onLoop { $0.end() }
                }
                #expect(try await redis[0].send("EXISTS", "last".lockKey) == (endsInGoodOrder ? "0" : "1"))
                await client.shutdown()
            }
        }
    }

    @Test
    func callsThatWaitForConnectionsEnd() async throws {
        try await withScriptedServer(.acceptsAndNeverAnswers) { server in
            var configuration = RedlockConfiguration()
            configuration.connectTimeout = .seconds(20)
            let client = try RedlockClient(
                nodes: ["redis://127.0.0.1:\(server.port)"],
                configuration: configuration,
                logger: .tracing
            )
            let looking = Task { try await client.inspect("nobody") }
            let acquiring = Task { try await client.acquire("nobody") }
            try await Task.sleep(for: .milliseconds(300))
            await client.shutdown()
            for error in [
                await #expect(throws: RedlockError.self) { try await looking.value },
                await #expect(throws: RedlockError.self) { try await acquiring.value },
            ] {
                #expect(error?.code == .clientShutDown)
            }
        }
    }

    @Test
    func leaseMayBeGivenAwayByItsBody() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let result = try await client.withLock("given", options: LockOptions(ttl: .seconds(1))) { lease in
                await lease.detach()
                try await Task.sleep(for: .milliseconds(1200))
                return "done"
            }
            #expect(result == "done", "nothing was lost: it was given away")
            let began = ContinuousClock.now
            await client.shutdown(graceTime: .seconds(5))
            #expect(ContinuousClock.now - began < .seconds(2), "no body runs any more")
        }
    }

    @Test
    func detachedLeaseStays() async throws {
        try await Layout.three.withClient { client, redis in
            try await client.waitUntilAllNodesAnswer()
            let lease = try await client.acquire("given away")
            await lease.detach()
            await client.shutdown()
            for server in redis.servers { #expect(try await server.send("EXISTS", "given away".lockKey) == "1") }
        }
    }

    @Test
    func leaseKeepsItsClientAlive() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
            func acquire() async throws -> Lease<Fenced> {
                try await RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing).acquire("orphan")
            }
            let lease = try await acquire()
            try await lease.extend(ttl: .seconds(20))
            #expect(lease.remaining > .seconds(15))
            await lease.release()
            try await expectGone("orphan".lockKey, from: redis)
        }
    }

    @Test
    func clientThatIsForgottenClosesItsConnections() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            func use() async throws {
                let client = try RedlockClient(nodes: redis.urls, logger: .tracing)
                await (try await client.acquire("brief")).release()
            }
            for _ in 0..<20 { try await use() }
            try await eventually {
                let clients = try await redis[0].send("CLIENT", "LIST") ?? ""
                return !clients.contains("name=redlock")
            }
        }
    }
}

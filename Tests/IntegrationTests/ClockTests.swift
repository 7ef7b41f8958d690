// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import LocalRedis
    import Redlock
    import TestSupport
    import Testing

    /// Clocks that jump while a lock is held: the node has no vote, and nobody else gets the lock because of it.
    @Suite(.serialized)
    struct ClockTests {
        struct Jump: Sendable, CustomTestStringConvertible {
            let nodes: Int
            let distance: Duration
            var testDescription: String { "one of \(nodes) by \(distance)" }
        }

        static let jumps = [3, 5].flatMap { nodes in
            [Jump(nodes: nodes, distance: .seconds(30)), Jump(nodes: nodes, distance: .seconds(-3600))]
        }

        @Test(arguments: jumps)
        func nodeThatJumpsHasNoVote(_ jump: Jump) async throws {
            let outcome = try await rivalry(RedlockClient.self, jump)
            #expect(outcome.doubleHolders == 0)
            #expect(outcome.wasDetected)
            #expect(outcome.refusal?.contains("clock") == true, "\(outcome.refusal ?? "the node still has its vote")")
            #expect(!outcome.freshClientGotIt)
            #expect(outcome.record?.contains("reason=clock_jumped") == true, "every client must honour the jump")
        }

        /// Where nobody looks at clocks, the key is gone too early and somebody else gets the lock.
        @Test
        func nodeThatJumpsMakesTwoHoldersWhereNobodyLooks() async throws {
            let outcome = try await rivalry(CompatibleRedlockClient.self, Jump(nodes: 3, distance: .seconds(30)))
            #expect(outcome.doubleHolders > 0)
        }

        private struct Outcome {
            var doubleHolders = 0
            var wasDetected = false
            var refusal: String?
            var freshClientGotIt = false
            var record: String?
        }

        /// A lock is held on a bare quorum; a rival tries for it from before the jump of a node of that quorum until 5 s
        /// after it, and then a client that never saw the node before.
        private func rivalry<Client: LockClient>(_ type: Client.Type, _ jump: Jump) async throws -> Outcome {
            let shim = try ClockShim()
            var options = LocalRedisOptions()
            options.additionalEnvironment = [jump.nodes: shim.environment]
            return try await withLocalRedis(nodes: jump.nodes, options: options) { redis in
                var outcome = Outcome()
                try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
                let holder = try Client(nodes: redis.urls, configuration: .patient, logger: .tracing)
                let rival = try Client(nodes: redis.urls, configuration: .patient, logger: .tracing)
                let detection = Task {
                    for await event in rival.events {
                        if case .clockJumped = event { return true }
                    }
                    return false
                }
                await (try await rival.acquire("warm")).release()
                try await holder.waitUntilAllNodesAnswer()
                let lease = try await holder.acquire("jumped", options: LockOptions(ttl: .seconds(15)))
                // The nodes of the other half never had it; the last one is in both quorums.
                for server in redis.servers.dropFirst((jump.nodes - 1) / 2).dropLast() {
                    for key in ["jumped", "jumped".lockKey] { _ = try await server.send("DEL", key) }
                }
                let jumpInstant = ContinuousClock.now + .milliseconds(500)
                var hasJumped = false
                while ContinuousClock.now < jumpInstant + .seconds(5) {
                    if !hasJumped, ContinuousClock.now >= jumpInstant {
                        hasJumped = true
                        shim.jumpWallClock(by: jump.distance)
                    }
                    if let theirs = try? await rival.tryAcquire("jumped") {
                        if lease.isValid { outcome.doubleHolders += 1 }
                        await theirs.release()
                        break
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
                let fresh = try Client(nodes: redis.urls, configuration: .patient, logger: .tracing)
                if let theirs = try? await fresh.tryAcquire("jumped") {
                    outcome.freshClientGotIt = lease.isValid
                    await theirs.release()
                }
                if let fresh = fresh as? RedlockClient {
                    outcome.refusal = try await fresh.diagnose().nodes.last?.reason
                }
                outcome.record = try await redis[jump.nodes - 1].send("GET", "redlock:node")
                await lease.release()
                await rival.shutdown()
                outcome.wasDetected = await detection.value
                await holder.shutdown()
                await fresh.shutdown()
                return outcome
            }
        }

        /// What was seen is not forgotten because the node could not be enrolled anew at once.
        @Test
        func jumpIsNotForgottenWhileTheRecordCannotBeWritten() async throws {
            let shim = try ClockShim()
            var options = LocalRedisOptions()
            options.additionalEnvironment = [1: shim.environment]
            try await withLocalRedis(nodes: 3, options: options) { redis in
                let client = try await RedlockClient.enrolled(redis)
                await (try await client.acquire("warm")).release()
                try await client.waitUntilAllNodesAnswer()
                try await Task.sleep(for: .milliseconds(500))
                _ = try await redis[0].send("CONFIG", "SET", "maxmemory", "1")
                shim.jumpWallClock(by: .seconds(3))
                try await eventually { try await client.diagnose().nodes[0].reason?.contains("OOM") == true }
                _ = try await redis[0].send("CONFIG", "SET", "maxmemory", "0")
                for _ in 0..<100 {
                    let isRenewed =
                        try await redis[0].send("GET", "redlock:node")?.contains("reason=clock_jumped") == true
                    if isRenewed { break }
                    #expect(try await client.diagnose().nodes[0].hasVote == false)
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(try await redis[0].send("GET", "redlock:node")?.contains("reason=clock_jumped") == true)
                await client.shutdown()
            }
        }

        /// A record that somebody wrote shortly before the jump says nothing of it, though it is not the one that the
        /// client knows.
        @Test
        func recordThatIsOlderThanTheJumpIsNoAnswerToIt() async throws {
            let shim = try ClockShim()
            var options = LocalRedisOptions()
            options.additionalEnvironment = [1: shim.environment]
            try await withLocalRedis(nodes: 3, options: options) { redis in
                let client = try await RedlockClient.enrolled(redis)
                await (try await client.acquire("warm")).release()
                try await client.waitUntilAllNodesAnswer()
                try await Task.sleep(for: .milliseconds(500))
                let known = try #require(try await redis[0].send("GET", "redlock:node"))
                let other = "0123456789abcdef" + known.dropFirst(16)
                _ = try await redis[0].send("SET", "redlock:node", other)
                shim.jumpWallClock(by: .seconds(3))
                try await eventually {
                    try await redis[0].send("GET", "redlock:node")?.contains("reason=clock_jumped") == true
                }
                try await eventually { try await client.diagnose().nodes[0].reason?.contains("quarantine") == true }
                #expect(try await client.diagnose().nodes[0].hasVote == false)
                await client.shutdown()
            }
        }

        // MARK: The own clock

        /// As in a virtual machine that was paused: the clock of the client stood still, and its leases seem to live
        /// longer than they do.
        @Test(arguments: [false, true])
        func clientWhoseClockStoodStillDropsItsLeases(losesItsConnections: Bool) async throws {
            let shim = try ClockShim()
            try await withLocalRedis(nodes: 3) { redis in
                try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
                let process = Process()
                let errors = Pipe()
                process.executableURL = URL(filePath: try redlockExecutable())
                process.arguments = ["run", "-v", "--ttl", "20s", "paused", "--", "sleep", "60"]
                process.environment = ProcessInfo.processInfo.environment
                    .merging(["REDLOCK_REDIS": redis.urls.joined(separator: ",")]) { $1 }
                    .merging(shim.environment) { $1 }
                process.standardError = errors
                process.standardInput = FileHandle.nullDevice
                try process.run()
                try await eventually { try await redis[0].send("EXISTS", "paused".lockKey) == "1" }
                try await Task.sleep(for: .seconds(1))
                shim.freezeContinuousClocks()
                try await Task.sleep(for: .seconds(3))
                if losesItsConnections {
                    for server in redis.servers { _ = try await server.send("CLIENT", "KILL", "TYPE", "normal") }
                }
                shim.unfreezeContinuousClocks()
                let began = ContinuousClock.now
                try await eventually { !process.isRunning }
                #expect(ContinuousClock.now - began < .seconds(8))
                let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
                #expect(process.terminationStatus == 75)
                #expect(text.contains("the clock of this machine"), "\(text)")
                // No node was distrusted for it.
                let client = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
                try await eventually { try await client.diagnose().allVotesCount }
                for server in redis.servers {
                    #expect(try await server.send("GET", "redlock:node")?.contains("reason=requested") == true)
                }
                await client.shutdown()
            }
        }

        /// A node whose clock jumps while the client's stands still deviates otherwise than the rest, and is not acquitted
        /// with them.
        @Test
        func nodeThatJumpsWhileTheClientsClockStandsStillIsDistrusted() async throws {
            let (ownShim, nodeShim) = (try ClockShim(), try ClockShim())
            var options = LocalRedisOptions()
            options.additionalEnvironment = [1: nodeShim.environment]
            try await withLocalRedis(nodes: 3, options: options) { redis in
                try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
                let process = Process()
                process.executableURL = URL(filePath: try redlockExecutable())
                // The command takes its time to end, so that redlock is there until the node is enrolled anew.
                let stubborn = "trap '' TERM; sleep 60"
                process.arguments = ["run", "--ttl", "20s", "--kill-after", "2s", "paused", "-c", stubborn]
                process.environment = ProcessInfo.processInfo.environment
                    .merging(["REDLOCK_REDIS": redis.urls.joined(separator: ",")]) { $1 }
                    .merging(ownShim.environment) { $1 }
                process.standardError = FileHandle.nullDevice
                process.standardInput = FileHandle.nullDevice
                try process.run()
                try await eventually { try await redis[0].send("EXISTS", "paused".lockKey) == "1" }
                try await Task.sleep(for: .seconds(1))
                ownShim.freezeContinuousClocks()
                try await Task.sleep(for: .seconds(3))
                nodeShim.jumpWallClock(by: .seconds(30))
                ownShim.unfreezeContinuousClocks()
                try await eventually { !process.isRunning }
                #expect(process.terminationStatus == 75)
                let reasons = try await [0, 1, 2].asyncMap { node in
                    try await redis[node].send("GET", "redlock:node")?.contains("reason=clock_jumped") == true
                }
                #expect(reasons == [true, false, false])
            }
        }

        /// The control of what is promised of tokens: clocks that are further apart than the quarantine is long, in both
        /// directions and on all nodes, while all counters are lost.
        @Test
        func tokensGoBackWhenAllCountersAreLostAndAllClocksGoBack() async throws {
            let shim = try ClockShim()
            var options = LocalRedisOptions()
            options.additionalEnvironment = [1: shim.environment, 2: shim.environment, 3: shim.environment]
            try await withLocalRedis(nodes: 3, options: options) { redis in
                shim.jumpWallClock(by: .seconds(3600))
                let first = try await token(redis)
                for server in redis.servers { _ = try await server.send("FLUSHALL") }
                let second = try await token(redis)
                #expect(second > first, "the counters are lost, and the clocks go on")
                for server in redis.servers { _ = try await server.send("FLUSHALL") }
                shim.jumpWallClock(by: .seconds(-3600))
                let third = try await token(redis)
                #expect(third < second, "nothing is left that remembers")
            }
        }

        private func token(_ redis: LocalRedisSet) async throws -> FencingToken {
            let client = try await RedlockClient.enrolled(redis)
            let lease = try await client.acquire("token")
            await lease.release()
            await client.shutdown()
            return lease.fencingToken
        }

        /// Clients whose wall clocks are seconds apart take turns, and counters are lost behind every grant: on one node,
        /// which may be one of the only two that know the token, or on all.
        @Test
        func wallClocksOfClientsMayBeApart() async throws {
            let shims = [try ClockShim(), try ClockShim(), try ClockShim()]
            shims[1].jumpWallClock(by: .seconds(-5))
            shims[2].jumpWallClock(by: .seconds(5))
            try await withLocalRedis(nodes: 3) { redis in
                try await RedlockClient.enrolNewSet(nodes: redis.urls)
                var last = FencingToken(rawValue: 1)
                for round in 0..<45 {
                    let output = try await run(
                        ["run", "apart", "--", "sh", "-c", "echo $REDLOCK_FENCING_TOKEN"],
                        redis,
                        environment: shims[round % 3].environment
                    )
                    let token = try #require(FencingToken(output.trimmingCharacters(in: .whitespacesAndNewlines)))
                    #expect(token > last, "round \(round)")
                    last = token
                    let losers = round % 5 == 4 ? redis.servers : [redis[(round / 3) % 3]]
                    for server in losers { _ = try await server.send("DEL", "apart".fenceKey) }
                }
            }
        }

        private func run(
            _ arguments: [String],
            _ redis: LocalRedisSet,
            environment: [String: String]
        ) async throws -> String {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(filePath: try redlockExecutable())
            process.arguments = arguments
            process.environment = ProcessInfo.processInfo.environment
                .merging(["REDLOCK_REDIS": redis.urls.joined(separator: ",")]) { $1 }
                .merging(environment) { $1 }
            process.standardOutput = output
            process.standardInput = FileHandle.nullDevice
            try process.run()
            let data = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return String(decoding: data, as: UTF8.self)
        }
    }
#endif

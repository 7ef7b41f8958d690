// SPDX-License-Identifier: Apache-2.0

import Redlock
import RedlockTesting
import Testing

/// Servers that are no Redis servers, or broken ones: each is told apart, none is counted, none stops the others.
@Suite
struct BadServerTests {
    struct BadServer: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let behaviour: ScriptedBehaviour
        /// What the error must say about the node: one of these.
        let reasons: [String]
    }

    static let badServers = [
        BadServer(testDescription: "never answers", behaviour: .acceptsAndNeverAnswers, reasons: ["no answer"]),
        BadServer(testDescription: "closes at once", behaviour: .closesAtOnce, reasons: ["closed", "reset"]),
        BadServer(testDescription: "closes in a reply", behaviour: .closesMidReply, reasons: ["closed"]),
        BadServer(testDescription: "HTTP", behaviour: .answersHTTP, reasons: ["not a Redis server"]),
        BadServer(testDescription: "huge array", behaviour: .hugeArray, reasons: ["not a Redis server"]),
        BadServer(testDescription: "huge text", behaviour: .hugeText, reasons: ["not a Redis server"]),
        BadServer(testDescription: "deep array", behaviour: .deepArray, reasons: ["not a Redis server"]),
        BadServer(testDescription: "surplus reply", behaviour: .speaksFirst, reasons: ["no answer"]),
        BadServer(testDescription: "garbage", behaviour: .garbage, reasons: ["not a Redis server"]),
        BadServer(testDescription: "wrong password", behaviour: .wrongPassword, reasons: ["password"]),
        BadServer(testDescription: "loading", behaviour: .loading, reasons: ["loading"]),
    ]

    @Test(arguments: badServers)
    func isToldByItsReason(_ bad: BadServer) async throws {
        try await withScriptedServer(bad.behaviour) { server in
            var configuration = RedlockConfiguration()
            configuration.connectTimeout = .milliseconds(500)
            // Some of them may pass, and would be waited for.
            configuration.outageTolerance = .zero
            let client = try CompatibleRedlockClient(
                nodes: ["redis://127.0.0.1:\(server.port)"],
                configuration: configuration,
                logger: .tracing
            )
            let began = ContinuousClock.now
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("a") }
            #expect(error?.code == .quorumUnavailable)
            let outcome = try #require(error?.nodes.first?.outcome)
            #expect(bad.reasons.contains { outcome.contains($0) }, "\(outcome)")
            #expect(ContinuousClock.now - began < .seconds(2))
            await client.shutdown()
        }
    }

    @Test(arguments: badServers)
    func doesNotStopTheOthers(_ bad: BadServer) async throws {
        try await withScriptedServer(bad.behaviour) { badServer in
            try await withScriptedServer(.lockNode()) { first in
                try await withScriptedServer(.lockNode()) { second in
                    let ports = [badServer.port, first.port, second.port]
                    let client = try CompatibleRedlockClient(
                        nodes: ports.map { "redis://127.0.0.1:\($0)" },
                        logger: .tracing
                    )
                    let began = ContinuousClock.now
                    let lease = try await client.acquire("a")
                    #expect(lease.isValid)
                    #expect(ContinuousClock.now - began < .milliseconds(900), "waited for the bad server")
                    await lease.release()
                    await client.shutdown()
                }
            }
        }
    }

    @Test
    func permanentFailureIsNotHammered() async throws {
        try await withScriptedServer(.wrongPassword) { server in
            let client = try CompatibleRedlockClient(
                nodes: ["redis://:secret@127.0.0.1:\(server.port)"],
                logger: .tracing
            )
            for _ in 0..<20 {
                await #expect(throws: RedlockError.self) { try await client.acquire("a") }
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(server.log.acceptedConnections == 1)
            await client.shutdown()
        }
    }

    @Test
    func transientFailureIsTriedAgainWithGrowingDelays() async throws {
        try await withScriptedServer(.closesAtOnce) { server in
            let client = try CompatibleRedlockClient(nodes: ["redis://127.0.0.1:\(server.port)"], logger: .tracing)
            try await Task.sleep(for: .seconds(3))
            let attempts = server.log.acceptedConnections
            #expect(attempts >= 4)
            #expect(attempts <= 12)
            await client.shutdown()
        }
    }

    @Test
    func surplusReplyIsNotAVote() async throws {
        // Says no, with a second reply behind it that would be a yes to the next command.
        let behaviour = ScriptedBehaviour { connection in
            while true {
                let command = try await connection.receive()
                try await connection.send(command.first == "SET" ? "$-1\r\n+OK\r\n" : "+OK\r\n")
            }
        }
        try await withScriptedServer(behaviour) { server in
            let client = try CompatibleRedlockClient(nodes: ["redis://127.0.0.1:\(server.port)"], logger: .tracing)
            for _ in 0..<5 {
                await #expect(throws: RedlockError.self) { try await client.acquire("a", options: .once) }
            }
            await client.shutdown()
        }
    }

    @Test
    func serverThatNeverKnowsAScriptEndsTheCall() async throws {
        let behaviour = ScriptedBehaviour.answering { command in
            switch command.first {
            // What shows that scripts run at all: where it fails, nothing is locked.
            case "EVAL" where command.dropFirst().first == Script.probe.text: .integer(1)
            case "EVAL", "EVALSHA": .error("NOSCRIPT No matching script.")
            default: .ok
            }
        }
        try await withScriptedServer(behaviour) { server in
            let client = try CompatibleRedlockClient(nodes: ["redis://127.0.0.1:\(server.port)"], logger: .tracing)
            let lease = try await client.acquire("a")
            await #expect(throws: RedlockError.self) { try await lease.extend() }
            await lease.release()
            #expect(server.log.commands.filter { $0.first == "EVAL" }.count >= 3)
            await client.shutdown()
        }
    }

    /// A node that is still being connected to holds up nobody beyond a node timeout.
    @Test
    func deadlineHoldsWhileANodeIsConnecting() async throws {
        try await withScriptedServer(.acceptsAndNeverAnswers) { silent in
            try await withScriptedServer(.lockNode()) { free in
                let taken = FakeRedisNode.lockNode()
                taken.withKeyspace { $0.set("a", to: "somebody", timeToLive: .seconds(60)) }
                try await withScriptedServer(.lockNode(taken)) { taken in
                    var configuration = RedlockConfiguration()
                    configuration.connectTimeout = .seconds(20)
                    let ports = [free.port, taken.port, silent.port]
                    let client = try CompatibleRedlockClient(
                        nodes: ports.map { "redis://127.0.0.1:\($0)" },
                        configuration: configuration
                    )
                    let began = ContinuousClock.now
                    await #expect(throws: RedlockError.self) {
                        try await client.acquire("a", options: LockOptions(wait: .atMost(.milliseconds(200))))
                    }
                    #expect(ContinuousClock.now - began < .seconds(2))
                    await client.shutdown()
                }
            }
        }
    }

    @Test
    func replyInPiecesHasOneDeadline() async throws {
        try await withScriptedServer(.lockNode()) { server in
            try await withFaultProxy(target: .init(port: server.port)) { proxy in
                let client = try CompatibleRedlockClient(nodes: ["redis://127.0.0.1:\(proxy.port)"], logger: .tracing)
                await (try await client.acquire("a")).release()
                await proxy.set(.trickle(bytes: 1, interval: .milliseconds(60)), direction: .toClient)
                let began = ContinuousClock.now
                // Five bytes take 240 ms and more; each of them comes within the 100 ms of a deadline per read.
                await #expect(throws: RedlockError.self) { try await client.acquire("a", options: .once) }
                #expect(ContinuousClock.now - began < .milliseconds(230))
                await client.shutdown()
            }
        }
    }
}

extension LockOptions {
    /// One attempt.
    static let once = LockOptions(wait: .none)
}

extension ScriptedBehaviour {
    /// A healthy node that knows the scripts of this package by what they do.
    static func lockNode(_ node: FakeRedisNode = .lockNode()) -> ScriptedBehaviour {
        .healthyNode(node)
    }
}

extension FakeRedisNode {
    static func lockNode() -> FakeRedisNode {
        FakeRedisNode(evaluate: { script, keys, arguments, keyspace in
            guard let key = keys.first else { return nil }
            if script.contains("'DEL'") {
                return .integer(keyspace[key] == arguments.first && keyspace.remove(key) ? 1 : 0)
            }
            guard script.contains("'PEXPIRE'"), let milliseconds = arguments.last.flatMap({ Int($0) }) else {
                return nil
            }
            guard let owner = keyspace[key] else { return .integer(0) }
            guard owner == arguments.first else { return .integer(-1) }
            keyspace.set(key, to: owner, timeToLive: .milliseconds(milliseconds))
            return .integer(1)
        })
    }
}

// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import NIOCore
import RedisTransport
import RedlockTesting
import TestSupport
import Testing

/// Subscriptions to real servers.
@Suite(.serialized)
struct SubscriptionAgainstRedisTests {
    typealias Event = SubscriptionProbe.Event

    private func publish(_ payload: String, on server: LocalRedisServer) async throws -> String? {
        try await server.send("PUBLISH", "wake", payload)
    }

    @Test
    func messageArrives() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await SubscriptionProbe.run(.loopback(redis[0].port), channels: ["wake", "other"]) { probe in
                try await probe.waitUntilConfirmed()
                #expect(try await redis[0].send("CLIENT", "LIST", "TYPE", "pubsub")?.contains("name=probe ") == true)
                // The server counts one receiver: the confirmation was no empty promise.
                #expect(try await publish("hello", on: redis[0]) == "1")
                #expect(try await redis[0].send("PUBLISH", "other", "too") == "1")
                #expect(try await redis[0].send("PUBLISH", "third", "x") == "0")
                try await probe.wait { $0.messages.count == 2 }
                #expect(probe.events == [.confirmed, .message("wake", "hello"), .message("other", "too")])
                try await probe.close()
                try await eventually { try await publish("nobody", on: redis[0]) == "0" }
                #expect(probe.events.count == 3)
            }
        }
    }

    @Test
    func manyMessagesComeInOrderBetweenPINGs() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await SubscriptionProbe.run(.loopback(redis[0].port), pingInterval: .milliseconds(1)) { probe in
                try await probe.waitUntilConfirmed()
                for _ in 0..<10 {
                    let script = "for i = 1, 2000 do redis.call('PUBLISH', 'wake', i) end"
                    try await redis[0].send("EVAL", script, "0")
                }
                try await probe.wait { $0.messages.count == 20_000 || !$0.losses.isEmpty }
                let expected = (0..<10).flatMap { _ in (1...2000).map { Event.message("wake", "\($0)") } }
                #expect(probe.events == [.confirmed] + expected)
            }
        }
    }

    @Test
    func largeMessageArrivesAndOneThatIsTooLargeEndsTheConnection() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await SubscriptionProbe.run(.loopback(redis[0].port)) { probe in
                try await probe.waitUntilConfirmed()
                let script = "return redis.call('PUBLISH', 'wake', string.rep('x', ARGV[1]))"
                try await redis[0].send("EVAL", script, "0", "60000")
                try await probe.wait { $0.messages.count == 1 }
                #expect(probe.messages == [.message("wake", String(repeating: "x", count: 60_000))])
                try await redis[0].send("EVAL", script, "0", "70000")
                try await probe.waitUntilLost()
                #expect(probe.losses.map(\.kind) == [.protocolViolation])
                #expect(probe.messages.count == 1)
            }
        }
    }

    @Test
    func comesBackWhenTheServerDoes() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await SubscriptionProbe.run(.loopback(redis[0].port)) { probe in
                try await probe.waitUntilConfirmed()
                await redis[0].kill()
                try await probe.wait { $0.losses.contains { $0.kind == .unreachable } }
                #expect(probe.losses.first?.kind == .closed)
                try await redis[0].start()
                try await probe.waitUntilConfirmed(count: 2)
                #expect(try await publish("again", on: redis[0]) == "1")
                try await probe.wait { $0.events.last == .message("wake", "again") }
                #expect(probe.messages.count == 1)
            }
        }
    }

    @Test
    func comesBackAfterItsConnectionIsKilled() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await SubscriptionProbe.run(.loopback(redis[0].port)) { probe in
                for round in 1...3 {
                    try await probe.waitUntilConfirmed(count: round)
                    #expect(try await redis[0].send("CLIENT", "KILL", "TYPE", "pubsub") == "1")
                    try await probe.waitUntilLost(count: round)
                }
                try await probe.waitUntilConfirmed(count: 4)
                #expect(probe.losses.map(\.kind) == [.closed, .closed, .closed])
            }
        }
    }

    /// The control is a subscription that does not ask in time: it notices nothing.
    @Test
    func stoppedServerIsNoticedAndComesBack() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await SubscriptionProbe.run(.loopback(redis[0].port)) { control in
                try await SubscriptionProbe.run(
                    .loopback(redis[0].port),
                    connectTimeout: .seconds(2),
                    replyTimeout: .seconds(1),
                    pingInterval: .milliseconds(200)
                ) { probe in
                    try await probe.waitUntilConfirmed()
                    try await control.waitUntilConfirmed()
                    try await Task.sleep(for: .seconds(1))
                    #expect(probe.events == [.confirmed], "a server that answers is left alone")
                    try await redis[0].pause()
                    let began = ContinuousClock.now
                    try await probe.waitUntilLost()
                    let elapsed = ContinuousClock.now - began
                    #expect(probe.losses.first == NodeFailure(.timedOut, "no answer within 1000 ms"))
                    #expect(elapsed < .seconds(8), "\(elapsed)")
                    try await redis[0].resume()
                    try await probe.waitUntilConfirmed(count: 2)
                    _ = try await publish("again", on: redis[0])
                    try await probe.wait { $0.messages == [.message("wake", "again")] }
                }
                #expect(control.losses.isEmpty)
            }
        }
    }

    /// The peer is gone without a word, as when it lost power or something between forgot the connection.
    @Test
    func halfOpenConnectionIsNoticed() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            try await withFaultProxy(target: .init(port: redis[0].port)) { proxy in
                try await SubscriptionProbe.run(
                    .loopback(proxy.port),
                    connectTimeout: .seconds(2),
                    replyTimeout: .seconds(1),
                    pingInterval: .milliseconds(200)
                ) { probe in
                    try await probe.waitUntilConfirmed()
                    await proxy.set(.blackHole)
                    try await probe.waitUntilLost()
                    #expect(probe.losses.first?.kind == .timedOut)
                    try await proxy.heal()
                    try await probe.waitUntilConfirmed(count: 2)
                    _ = try await publish("again", on: redis[0])
                    try await probe.wait { $0.messages == [.message("wake", "again")] }
                }
            }
        }
    }

    // MARK: Who may

    @Test
    func userNeedsTheChannelSubscribeAndPING() async throws {
        let rights = [
            ("+subscribe +ping &other", "+subscribe &wake"), ("+ping &wake", "+subscribe &wake"),
            ("+subscribe &wake", "+ping"),
        ]
        var options = LocalRedisOptions()
        options.extraConfiguration = rights.enumerated().map { number, rights in
            "user user\(number) on >open-sesame resetchannels -@all \(rights.0)"
        }
        options.extraConfiguration.append("user fine on >open-sesame resetchannels -@all +subscribe +ping &wa*")
        try await withLocalRedis(nodes: 1, options: options) { redis in
            for (number, rights) in rights.enumerated() {
                let endpoint = RedisEndpoint.loopback(redis[0].port, username: "user\(number)", password: "open-sesame")
                try await SubscriptionProbe.run(endpoint) { probe in
                    try await probe.waitUntilLost()
                    try await Task.sleep(for: .milliseconds(400))
                    #expect(probe.losses.map(\.kind) == [.permission])
                    let message = try #require(probe.losses.first?.message)
                    #expect(message.contains(rights.1) && message.contains("NOPERM"), "\(message)")
                    #expect(!message.contains("sesame"))
                    #expect(probe.events.count == 1)
                }
            }
            let endpoint = RedisEndpoint.loopback(redis[0].port, username: "fine", password: "open-sesame")
            try await SubscriptionProbe.run(endpoint, pingInterval: .milliseconds(50)) { probe in
                try await probe.waitUntilConfirmed()
                try await Task.sleep(for: .milliseconds(300))
                #expect(probe.events == [.confirmed])
                // The server ends the connections of a user whose channel is taken away.
                try await redis[0].send("ACL", "SETUSER", "fine", "resetchannels")
                try await probe.waitUntilLost(count: 2)
                #expect(probe.losses.map(\.kind) == [.closed, .permission])
            }
        }
    }

    @Test
    func wrongPasswordIsNotHammered() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["user locker on >open-sesame +@all &*"]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            let endpoint = RedisEndpoint.loopback(redis[0].port, username: "locker", password: "hunter2")
            try await SubscriptionProbe.run(endpoint) { probe in
                try await probe.waitUntilLost()
                try await Task.sleep(for: .milliseconds(600))
                #expect(probe.losses.map(\.kind) == [.authentication])
                #expect(probe.losses.first?.message.contains("hunter2") == false)
                #expect(try await redis[0].send("CLIENT", "LIST", "TYPE", "pubsub") == "")
            }
        }
    }

    // MARK: Ways to the server

    @Test
    func unixSocket() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let endpoint = RedisEndpoint(address: .unixSocket(path: redis[0].unixSocketPath))
            try await SubscriptionProbe.run(endpoint, pingInterval: .milliseconds(50)) { probe in
                try await probe.waitUntilConfirmed()
                #expect(try await publish("hello", on: redis[0]) == "1")
                try await probe.wait { $0.messages == [.message("wake", "hello")] }
                #expect(probe.losses.isEmpty)
            }
        }
    }

    @Test
    func hostName() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let endpoint = RedisEndpoint(address: .host("localhost", port: redis[0].port))
            try await SubscriptionProbe.run(endpoint) { probe in
                try await probe.waitUntilConfirmed()
                #expect(try await publish("hello", on: redis[0]) == "1")
                try await probe.wait { $0.messages == [.message("wake", "hello")] }
            }
        }
    }

    @Test
    func tls() async throws {
        try await withCertificates { certificates in
            var options = LocalRedisOptions()
            options.tls = LocalRedisTLS(
                certificateFile: certificates.path("server.crt"),
                keyFile: certificates.path("server.key"),
                certificateAuthorityFile: certificates.path("ca.crt"),
                requiresClientCertificate: true
            )
            try await withLocalRedis(nodes: 1, options: options) { redis in
                var endpoint = RedisEndpoint.loopback(redis[0].port)
                endpoint.tls = TLSSettings(
                    certificateAuthorityFile: certificates.path("ca.crt"),
                    certificateFile: certificates.path("client.crt"),
                    keyFile: certificates.path("client.key"),
                    serverName: "localhost"
                )
                try await SubscriptionProbe.run(endpoint, pingInterval: .milliseconds(50)) { probe in
                    try await probe.waitUntilConfirmed()
                    for number in 0..<100 { #expect(try await publish("\(number)", on: redis[0]) == "1") }
                    try await probe.wait { $0.messages.count == 100 }
                    #expect(probe.losses.isEmpty)
                }
                endpoint.tls?.certificateAuthorityFile = certificates.path("other-ca.crt")
                try await SubscriptionProbe.run(endpoint) { probe in
                    try await probe.waitUntilLost()
                    #expect(probe.losses.map(\.kind) == [.tls])
                }
            }
        }
    }
}

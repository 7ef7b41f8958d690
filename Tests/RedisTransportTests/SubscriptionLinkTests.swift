// SPDX-License-Identifier: Apache-2.0

import NIOCore
import RedisTransport
import RedlockTesting
import Testing

/// What a server says to whoever subscribes.
enum Wire {
    static func confirmation(_ channel: String, number: Int = 1) -> String {
        ScriptedReply.array([.text("subscribe"), .text(channel), .integer(number)]).encoded
    }

    static func message(_ payload: String, channel: String = "wake") -> String {
        ScriptedReply.array([.text("message"), .text(channel), .text(payload)]).encoded
    }

    /// What a subscribed connection answers to a PING.
    static let pong = ScriptedReply.array([.text("pong"), .text("")]).encoded
}

extension ScriptedConnection {
    /// Answers the handshake up to the last SUBSCRIBE, which it returns.
    func receiveSubscribe(of channelCount: Int = 1) async throws {
        for number in 1...channelCount {
            while true {
                let command = try await receive()
                if command.first == "SUBSCRIBE" {
                    if number < channelCount { try await send(Wire.confirmation(command[1], number: number)) }
                    break
                }
                try await send(command == ["PING"] ? "+PONG\r\n" : "+OK\r\n")
            }
        }
    }
}

extension ScriptedBehaviour {
    /// Confirms the subscription to `wake`, sends the text in the same write, and plays the steps.
    static func confirming(
        alongWith text: String = "",
        _ play: @escaping @Sendable (ScriptedConnection) async throws -> Void = { try await $0.never() }
    ) -> ScriptedBehaviour {
        ScriptedBehaviour { connection in
            try await connection.receiveSubscribe()
            try await connection.send(Wire.confirmation("wake") + text)
            try await play(connection)
        }
    }

    /// Confirms the subscription to `wake` and answers every PING with the text.
    static func confirming(answeringPINGs text: String) -> ScriptedBehaviour {
        .confirming { connection in
            while true {
                _ = try await connection.receive()
                try await connection.send(text)
            }
        }
    }

    /// Answers the SUBSCRIBE with the text, and nothing after it.
    static func answeringSUBSCRIBE(_ text: String) -> ScriptedBehaviour {
        ScriptedBehaviour { connection in
            try await connection.receiveSubscribe()
            try await connection.send(text)
            try await connection.never()
        }
    }
}

/// How a subscription comes about, and with what it does not.
@Suite
struct SubscriptionLinkSubscribingTests {
    @Test
    func subscribesAsTheLastStepOfTheHandshake() async throws {
        try await withScriptedServer(.confirming()) { server in
            var endpoint = RedisEndpoint.loopback(server.port, username: "user", password: "hunter2")
            endpoint.database = 3
            try await SubscriptionProbe.run(endpoint) { probe in
                try await probe.waitUntilConfirmed()
                let expected = [
                    ["AUTH", "user", "hunter2"], ["SELECT", "3"], ["CLIENT", "SETNAME", "probe"], ["PING"],
                    ["SUBSCRIBE", "wake"],
                ]
                #expect(server.log.commands == expected)
                #expect(probe.events == [.confirmed])
                let whereFrom = "redis_connection=subscription redis_node=127.0.0.1:\(server.port)"
                #expect(probe.logged == "connected \(whereFrom)\nsubscribed \(whereFrom)")
                #expect(try await !probe.dumped().contains("hunter2"))
            }
        }
    }

    /// A message of the first channel may come before the last channel is confirmed: nobody counts on it yet.
    @Test
    func isConfirmedWhenTheLastChannelIs() async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let behaviour = ScriptedBehaviour { connection in
            try await connection.receiveSubscribe(of: 3)
            try await connection.send(Wire.message("early", channel: "a"))
            for await _ in gate { break }
            try await connection.send(Wire.confirmation("c", number: 3) + Wire.message("late", channel: "b"))
            try await connection.never()
        }
        try await withScriptedServer(behaviour) { server in
            try await SubscriptionProbe.run(.loopback(server.port), channels: ["c", "a", "b"]) { probe in
                try await server.wait { $0.commands.last == ["SUBSCRIBE", "c"] }
                try await Task.sleep(for: .milliseconds(200))
                #expect(probe.events.isEmpty)
                opener.yield()
                try await probe.wait { $0.events.count >= 2 }
                #expect(probe.events == [.confirmed, .message("b", "late")])
            }
        }
    }

    /// What is no confirmation of the channel, as the first and only one of this connection.
    @Test(arguments: [
        "+OK\r\n", "$-1\r\n", "*0\r\n", Wire.confirmation("other"), Wire.confirmation("wake", number: 2),
        Wire.confirmation("wake") + "+surplus\r\n", Wire.message("x", channel: "other"),
        "*3\r\n$11\r\nunsubscribe\r\n$4\r\nwake\r\n:0\r\n", "*3\r\n+subscribe\r\n$4\r\nwake\r\n:1\r\n",
        ">3\r\n$9\r\nsubscribe\r\n$4\r\nwake\r\n:1\r\n", "HTTP/1.1 400 Bad Request\r\n",
    ])
    func whatConfirmsNothingEndsTheConnection(_ text: String) async throws {
        try await withScriptedServer(.answeringSUBSCRIBE(text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.waitUntilLost()
                try await server.wait { $0.openConnections == 0 }
                try await Task.sleep(for: .milliseconds(300))
                #expect(probe.losses.map(\.kind) == [.protocolViolation])
                #expect(probe.events.count == 1)
                #expect(server.log.acceptedConnections == 1, "what only a change can mend is not hammered")
            }
        }
    }

    @Test(arguments: [
        "NOPERM No permissions to access a channel",
        "NOPERM this user has no permissions to access one of the channels used as arguments",
        "NOPERM User locker has no permissions to run the 'subscribe' command",
    ])
    func missingRightToTheChannelIsSaidAndNotHammered(_ text: String) async throws {
        try await withScriptedServer(.answeringSUBSCRIBE("-\(text)\r\n")) { server in
            try await SubscriptionProbe.run(.loopback(server.port, password: "hunter2")) { probe in
                try await probe.waitUntilLost()
                try await Task.sleep(for: .milliseconds(500))
                #expect(probe.losses.map(\.kind) == [.permission])
                let message = try #require(probe.losses.first?.message)
                #expect(message.contains("+subscribe &wake") && message.contains(text), "\(message)")
                #expect(server.log.acceptedConnections == 1)
                try await server.wait { $0.openConnections == 0 }
            }
        }
    }

    @Test
    func missingRightToPINGIsSaidAtOnce() async throws {
        let behaviour = ScriptedBehaviour.answering { command in
            switch command.first {
            case "PING": .error("NOPERM User locker has no permissions to run the 'ping' command")
            case "SUBSCRIBE": .array([.text("subscribe"), .text("wake"), .integer(1)])
            default: .ok
            }
        }
        try await withScriptedServer(behaviour) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.waitUntilLost()
                #expect(probe.losses.map(\.kind) == [.permission])
                #expect(probe.losses.first?.message.contains("+ping") == true)
                #expect(probe.confirmedCount == 0)
            }
        }
    }

    @Test(arguments: [
        ("NOAUTH Authentication required.", NodeFailure.Kind.authentication), ("LOADING x", .notServing),
        ("BUSY x", .notServing), ("DENIED x", .permission),
        ("ERR unknown command 'SUBSCRIBE', with args beginning with: 'wake' 'hunter2' ", .permission),
    ])
    func refusals(_ text: String, kind: NodeFailure.Kind) async throws {
        try await withScriptedServer(.answeringSUBSCRIBE("-\(text)\r\n")) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.waitUntilLost()
                #expect(probe.losses.first?.kind == kind)
                #expect(probe.losses.first?.message.contains("hunter2") == false)
                #expect(probe.confirmedCount == 0)
            }
        }
    }

    @Test
    func serverThatIsNotReadyYetIsTriedAgain() async throws {
        try await withScriptedServer(.perConnection(.loading, .loading, .confirming())) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.waitUntilConfirmed()
                #expect(probe.losses.map(\.kind) == [.notServing, .notServing])
            }
        }
    }

    @Test
    func wrongPasswordIsNotHammered() async throws {
        try await withScriptedServer(.wrongPassword) { server in
            try await SubscriptionProbe.run(.loopback(server.port, password: "hunter2")) { probe in
                try await probe.waitUntilLost()
                try await Task.sleep(for: .milliseconds(500))
                #expect(probe.losses.map(\.kind) == [.authentication])
                #expect(probe.losses.first?.message.contains("hunter2") == false)
                #expect(probe.logged.contains("not connected") && !probe.logged.contains("hunter2"))
                #expect(server.log.acceptedConnections == 1)
            }
        }
    }

    /// The subscription is part of the attempt, whose deadline is one for all of it.
    @Test
    func confirmationThatDoesNotComeIsGivenUp() async throws {
        let behaviour = ScriptedBehaviour { connection in
            try await connection.receiveSubscribe()
            try await connection.never()
        }
        try await withScriptedServer(.perConnection(behaviour, .confirming())) { server in
            let began = ContinuousClock.now
            try await SubscriptionProbe.run(.loopback(server.port), connectTimeout: .milliseconds(500)) { probe in
                try await probe.waitUntilLost()
                let elapsed = ContinuousClock.now - began
                #expect(elapsed >= .milliseconds(500) && elapsed < .seconds(4), "\(elapsed)")
                try await probe.waitUntilConfirmed()
                #expect(probe.losses.first?.kind == .timedOut)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore
import RedisTransport
import RedlockTesting
import Testing

/// What comes over a subscription, and how it ends.
@Suite(.serialized)
struct SubscriptionLinkTrafficTests {
    typealias Event = SubscriptionProbe.Event

    // MARK: Messages

    @Test
    func confirmationComesBeforeTheMessagesOfTheSameRead() async throws {
        let text = Wire.message("one") + Wire.message("two")
        try await withScriptedServer(.confirming(alongWith: text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.wait { $0.events.count == 3 }
                #expect(probe.events == [.confirmed, .message("wake", "one"), .message("wake", "two")])
            }
        }
    }

    @Test
    func messagesMayComeInAnyPieces() async throws {
        let text = Wire.confirmation("wake") + Wire.message("one") + Wire.message("") + Wire.message("three")
        let bytes = Array(text.utf8)
        let inSingleBytes = ScriptedBehaviour { connection in
            try await connection.receiveSubscribe()
            for byte in bytes {
                try await connection.send([byte])
                try await Task.sleep(for: .milliseconds(1))
            }
            try await connection.never()
        }
        var behaviours = [inSingleBytes]
        for cut in stride(from: 1, to: bytes.count, by: 7) {
            behaviours.append(
                ScriptedBehaviour { connection in
                    try await connection.receiveSubscribe()
                    try await connection.send(Array(bytes[..<cut]))
                    try await Task.sleep(for: .milliseconds(5))
                    try await connection.send(Array(bytes[cut...]))
                    try await connection.never()
                }
            )
        }
        for behaviour in behaviours {
            try await withScriptedServer(behaviour) { server in
                try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                    try await probe.wait { $0.events.count >= 4 }
                    let payloads = ["one", "", "three"]
                    #expect(probe.events == [.confirmed] + payloads.map { .message("wake", $0) })
                }
            }
        }
    }

    @Test
    func payloadIsAnyBytes() async throws {
        let payload: [UInt8] = [0, 13, 10, 0xFF, 0xC3, 36, 45, 49, 13, 10]
        let behaviour = ScriptedBehaviour.confirming { connection in
            let head = Array("*3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n$\(payload.count)\r\n".utf8)
            try await connection.send(head + payload + Array("\r\n".utf8))
            try await connection.never()
        }
        try await withScriptedServer(behaviour) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.wait { $0.events.count == 2 }
                #expect(probe.events == [.confirmed, .message("wake", payload)])
            }
        }
    }

    @Test
    func manyMessagesComeInOrder() async throws {
        let text = (0..<20_000).map { Wire.message("\($0)") }.joined()
        try await withScriptedServer(.confirming(alongWith: text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.wait { $0.messages.count >= 20_000 || !$0.losses.isEmpty }
                #expect(probe.events == [.confirmed] + (0..<20_000).map { .message("wake", "\($0)") })
            }
        }
    }

    // MARK: PING

    @Test
    func messagesMayComeAroundThePong() async throws {
        let text = Wire.message("before") + Wire.pong + Wire.message("after")
        try await withScriptedServer(.confirming(answeringPINGs: text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port), pingInterval: .milliseconds(50)) { probe in
                try await probe.wait { $0.messages.count >= 8 }
                let messages = probe.messages.prefix(8)
                let pair = [Event.message("wake", "before"), .message("wake", "after")]
                #expect(Array(messages) == pair + pair + pair + pair)
                #expect(probe.losses.isEmpty)
            }
        }
    }

    @Test
    func pingsOnlyNowAndThenAndOnlyWhileConfirmed() async throws {
        try await withScriptedServer(.confirming(answeringPINGs: Wire.pong)) { server in
            try await SubscriptionProbe.run(.loopback(server.port), pingInterval: .milliseconds(200)) { probe in
                try await probe.waitUntilConfirmed()
                let began = ContinuousClock.now
                func pings(_ log: ScriptedServer.Log) -> Int { log.commands.count { $0 == ["PING"] } - 1 }
                try await server.wait { $0.commands.count { $0 == ["PING"] } - 1 == 3 }
                let elapsed = ContinuousClock.now - began
                #expect(elapsed >= .milliseconds(580) && elapsed < .seconds(6), "\(elapsed)")
                try await probe.close()
                let count = pings(server.log)
                try await Task.sleep(for: .milliseconds(500))
                #expect(pings(server.log) == count)
                #expect(probe.events == [.confirmed])
            }
        }
    }

    /// Messages are no answer: a server that only sends them is as good as gone for whoever asks.
    @Test(arguments: [false, true])
    func unansweredPINGEndsTheConnection(sendsMessages: Bool) async throws {
        let silent = ScriptedBehaviour.confirming { connection in
            while sendsMessages {
                try await connection.send(Wire.message("x"))
                try await Task.sleep(for: .milliseconds(50))
            }
            try await connection.never()
        }
        let behaviour = ScriptedBehaviour.perConnection(silent, .confirming(answeringPINGs: Wire.pong))
        try await withScriptedServer(behaviour) { server in
            try await SubscriptionProbe.run(
                .loopback(server.port),
                replyTimeout: .seconds(1),
                pingInterval: .milliseconds(100)
            ) { probe in
                try await probe.waitUntilConfirmed(count: 2)
                #expect(probe.losses == [NodeFailure(.timedOut, "no answer within 1000 ms")])
                try await server.wait { $0.openConnections == 1 }
            }
        }
    }

    @Test(arguments: [
        ("-NOPERM no permissions to run the 'ping' command\r\n", NodeFailure.Kind.permission),
        ("-NOAUTH Authentication required.\r\n", .authentication), ("+PONG\r\n", .protocolViolation),
        ("-BUSY Redis is busy running a script.\r\n", .notServing), ("-LOADING x\r\n", .notServing),
        ("*2\r\n$4\r\npong\r\n$1\r\nx\r\n", .protocolViolation), (Wire.pong + Wire.pong, .protocolViolation),
        ("*3\r\n$11\r\nunsubscribe\r\n$4\r\nwake\r\n:0\r\n", .protocolViolation),
    ])
    func wrongAnswerToAPINGEndsTheConnection(_ text: String, kind: NodeFailure.Kind) async throws {
        try await withScriptedServer(.confirming(answeringPINGs: text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port), pingInterval: .milliseconds(50)) { probe in
                try await probe.waitUntilLost()
                #expect(probe.losses.first?.kind == kind)
                #expect(probe.events.first == .confirmed)
            }
        }
    }

    // MARK: The end of a connection

    @Test(arguments: [
        "+OK\r\n", ":1\r\n", "$-1\r\n", "*0\r\n", "-ERR out of the blue\r\n", Wire.pong, Wire.confirmation("wake"),
        Wire.message("x", channel: "other"), "*3\r\n$11\r\nunsubscribe\r\n$4\r\nwake\r\n:0\r\n",
        "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$4\r\nwake\r\n$1\r\nx\r\n",
        "*2\r\n$7\r\nmessage\r\n$4\r\nwake\r\n", "*3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n:1\r\n",
        "*3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n$-1\r\n", ">3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n$1\r\nx\r\n",
        "\0\u{1}garbage", "*3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n$1\r\nxyz",
        "*3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n$70000\r\n",
        "*2147483647\r\n",
    ])
    func whatNobodyAskedForEndsTheConnection(_ text: String) async throws {
        // The first PING shows that the confirmation was read by itself.
        try await withScriptedServer(.confirming(answeringPINGs: Wire.pong + text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port), pingInterval: .milliseconds(20)) { probe in
                try await probe.waitUntilLost()
                try await server.wait { $0.openConnections == 0 }
                try await Task.sleep(for: .milliseconds(200))
                #expect(probe.events.first == .confirmed && probe.events.count == 2, "\(probe.events)")
                #expect(probe.losses.map(\.kind) == [.protocolViolation])
                #expect(server.log.acceptedConnections == 1)
            }
        }
    }

    @Test
    func messageBehindWhatEndsTheConnectionIsNotDelivered() async throws {
        let text = Wire.message("x", channel: "other") + Wire.message("behind")
        try await withScriptedServer(.confirming(alongWith: text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port)) { probe in
                try await probe.waitUntilLost()
                try await server.wait { $0.openConnections == 0 }
                #expect(probe.messages.isEmpty)
            }
        }
    }

    @Test
    func connectionThatEndsIsMadeAgain() async throws {
        let ends = ScriptedBehaviour.confirming(alongWith: "*3\r\n$7\r\nmess") { _ in }
        // Not at once: a reset takes with it what was not read yet.
        let resets = ScriptedBehaviour.confirming { connection in
            _ = try await connection.receive()
            await connection.close(reset: true)
        }
        let behaviour = ScriptedBehaviour.perConnection(ends, resets, .closesAtOnce, .confirming())
        try await withScriptedServer(behaviour) { server in
            try await SubscriptionProbe.run(.loopback(server.port), pingInterval: .milliseconds(300)) { probe in
                try await probe.waitUntilConfirmed(count: 3)
                #expect(probe.losses.count == 3 && probe.losses.allSatisfy { $0.kind == .closed }, "\(probe.losses)")
                #expect(probe.events.count == 6)
            }
        }
    }

    // MARK: Closing

    /// While it connects, while it waits to try again, while it subscribes, and when it is subscribed.
    @Test(arguments: [
        (ScriptedBehaviour.acceptsAndNeverAnswers, [["CLIENT", "SETNAME", "probe"]]), (.closesAtOnce, []),
        (.answeringSUBSCRIBE(""), [["SUBSCRIBE", "wake"]]), (.confirming(), [["SUBSCRIBE", "wake"]]),
    ])
    func closingEndsEverything(_ behaviour: ScriptedBehaviour, once commands: [[String]]) async throws {
        try await withScriptedServer(behaviour) { server in
            try await SubscriptionProbe.run(.loopback(server.port), pingInterval: .milliseconds(50)) { probe in
                try await server.wait { log in
                    log.acceptedConnections >= 1 && commands.allSatisfy { log.commands.contains($0) }
                }
                try await Task.sleep(for: .milliseconds(20))
                try await probe.close()
                let events = probe.events
                try await server.wait { $0.openConnections == 0 }
                try await Task.sleep(for: .milliseconds(50))
                let accepted = server.log.acceptedConnections
                try await Task.sleep(for: .milliseconds(400))
                #expect(server.log.acceptedConnections == accepted)
                #expect(probe.events == events, "who closed it need not be told")
            }
        }
    }

    @Test(arguments: [Event.confirmed, .message("wake", "one")])
    func closingWhileSomethingIsToldIsTheEndOfIt(_ event: Event) async throws {
        let text = Wire.message("one") + Wire.message("two")
        try await withScriptedServer(.confirming(alongWith: text)) { server in
            try await SubscriptionProbe.run(.loopback(server.port), closesAfter: { $0 == event }) { probe in
                try await probe.wait { $0.events.contains(event) }
                try await server.wait { $0.openConnections == 0 }
                try await Task.sleep(for: .milliseconds(200))
                #expect(probe.events.last == event)
                #expect(server.log.acceptedConnections == 1)
            }
        }
    }

    @Test
    func nothingHoldsItOnceItIsClosed() async throws {
        for behaviour in [ScriptedBehaviour.confirming(), .acceptsAndNeverAnswers, .closesAtOnce] {
            try await withScriptedServer(behaviour) { server in
                try await SubscriptionProbe.run(.loopback(server.port), pingInterval: .milliseconds(20)) { probe in
                    try await server.wait { $0.acceptedConnections == 1 }
                    try await Task.sleep(for: .milliseconds(100))
                    #expect(try await probe.closeAndLetGo())
                }
            }
        }
    }

    @Test
    func closingWhileALossIsToldIsTheEndOfIt() async throws {
        for behaviour in [ScriptedBehaviour.closesAtOnce, .confirming { _ in }] {
            try await withScriptedServer(behaviour) { server in
                try await SubscriptionProbe.run(.loopback(server.port), closesAfter: { $0 != .confirmed }) { probe in
                    try await probe.waitUntilLost()
                    try await Task.sleep(for: .milliseconds(400))
                    #expect(probe.losses.count == 1)
                    #expect(server.log.acceptedConnections == 1)
                }
            }
        }
    }
}

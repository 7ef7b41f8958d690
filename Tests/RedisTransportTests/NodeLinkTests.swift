// SPDX-License-Identifier: Apache-2.0

import Hiredis
import NIOCore
import RedisTransport
import RedlockTesting
import Synchronization
import Testing

/// Servers that a client meets on its way to a connection.
@Suite
struct NodeLinkConnectingTests {
    @Test
    func shakesHandsAndIsReady() async throws {
        let behaviour = ScriptedBehaviour.answering { $0.first == "TIME" ? .array([.text("1"), .text("2")]) : .ok }
        try await withScriptedServer(behaviour) { server in
            let url = "redis://user:hunter2@127.0.0.1:\(server.port)/3"
            try await LinkProbe.run(url, handshakeCommands: [["TIME"], ["PING"]]) { probe in
                try await probe.waitUntilReady()
                let time = RESPValue.array([.bulkString(Array("1".utf8)), .bulkString(Array("2".utf8))])
                #expect(probe.events == [.ready([time, .simpleString("OK")])])
                let expected = [
                    ["AUTH", "user", "hunter2"], ["SELECT", "3"], ["CLIENT", "SETNAME", "probe"], ["TIME"], ["PING"],
                ]
                #expect(server.log.commands == expected)
                #expect(try await !probe.dumped().contains("hunter2"))
            }
        }
    }

    @Test
    func commandsFailAtOnceWhileThereIsNoConnection() async throws {
        try await withScriptedServer(.acceptsAndNeverAnswers) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                try await probe.send("PING")
                #expect(probe.failures.map(\.kind) == [.connecting])
            }
        }
    }

    @Test
    func attemptToConnectHasADeadlineAsAWhole() async throws {
        let behaviours = [ScriptedBehaviour.acceptsAndNeverAnswers, .trickles(interval: .milliseconds(150))]
        for behaviour in behaviours {
            try await withScriptedServer(behaviour) { server in
                let began = ContinuousClock.now
                try await LinkProbe.run("redis://127.0.0.1:\(server.port)", connectTimeout: .milliseconds(300)) {
                    probe in
                    try await probe.wait { !$0.downs.isEmpty }
                    let elapsed = ContinuousClock.now - began
                    #expect(probe.downs.first?.kind == .timedOut)
                    #expect(probe.downs.first?.message == "connected, but no answer within 300 ms")
                    #expect(elapsed >= .milliseconds(300) && elapsed < .seconds(3), "\(elapsed)")
                    #expect(probe.readyCount == 0)
                }
            }
        }
    }

    @Test
    func delaysGrow() async throws {
        let times = Mutex<[ContinuousClock.Instant]>([])
        let behaviour = ScriptedBehaviour { _ in times.withLock { $0.append(.now) } }
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                try await server.wait(timeout: .seconds(20)) { $0.acceptedConnections >= 6 }
                #expect(probe.downs.allSatisfy { $0.kind == .closed || $0.kind == .unreachable }, "\(probe.downs)")
                #expect(probe.failures.isEmpty)
            }
        }
        let seen = times.withLock { $0 }
        for (attempt, (earlier, later)) in zip(seen, seen.dropFirst()).enumerated() {
            // Half of a ceiling that begins with 50 ms and doubles; what the machine adds is not bounded.
            let least = Duration.milliseconds(25 << attempt) - .milliseconds(5)
            #expect(later - earlier >= least, "attempt \(attempt)")
        }
    }

    @Test
    func comesBackWhenTheServerDoes() async throws {
        try await withScriptedServer(.always(.ok)) { server in
            try await withFaultProxy(target: .init(port: server.port)) { proxy in
                try await LinkProbe.run("redis://127.0.0.1:\(proxy.port)") { probe in
                    try await probe.waitUntilReady()
                    try await proxy.cut()
                    try await probe.wait { $0.downs.contains { $0.kind == .unreachable } }
                    try await proxy.heal()
                    try await probe.waitUntilReady(count: 2)
                    try await probe.send("PING")
                    try await probe.wait { $0.replies.count == 1 }
                }
            }
        }
    }

    @Test(arguments: [
        (ScriptedBehaviour.wrongPassword, NodeFailure.Kind.authentication), (.answersHTTP, .protocolViolation),
        (.garbage, .protocolViolation), (.always(.error("DENIED protected mode")), .permission),
    ])
    func permanentFailureIsNotHammered(_ behaviour: ScriptedBehaviour, kind: NodeFailure.Kind) async throws {
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run("redis://:secret@127.0.0.1:\(server.port)") { probe in
                try await probe.wait { !$0.downs.isEmpty }
                try await Task.sleep(for: .milliseconds(600))
                #expect(probe.downs.map(\.kind) == [kind])
                #expect(server.log.acceptedConnections == 1)
            }
        }
    }

    @Test
    func serverThatIsNotReadyYetIsTriedAgain() async throws {
        try await withScriptedServer(.perConnection(.loading, .loading, .always(.ok))) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                try await probe.waitUntilReady()
                #expect(probe.downs.map(\.kind) == [.notServing, .notServing])
            }
        }
    }

    @Test
    func serverWithoutTLSIsTold() async throws {
        try await withScriptedServer(.answersHTTP) { server in
            try await LinkProbe.run("rediss://127.0.0.1:\(server.port)") { probe in
                try await probe.wait { !$0.downs.isEmpty }
                #expect(probe.downs.first?.kind == .tls)
                let message = "the server does not speak TLS on this port; write redis:// for rediss://"
                #expect(probe.downs.first?.message == message)
            }
        }
    }

    /// What wants TLS says so in an alert of TLS, or just ends the connection.
    @Test
    func serverWithTLSIsToldWhereNoneIsUsed() async throws {
        let alert = ScriptedBehaviour.script(.receive, .send("\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}F"), .never)
        for (behaviour, kind) in [(alert, NodeFailure.Kind.tls), (.closesAtOnce, .closed)] {
            try await withScriptedServer(behaviour) { server in
                try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                    try await probe.wait { !$0.downs.isEmpty }
                    #expect(probe.downs.first?.kind == kind)
                    #expect(probe.downs.first?.message.hasSuffix("write rediss:// for redis://") == true)
                }
            }
        }
    }
}

/// What goes over a connection that is ready.
///
/// One after the other: ten thousand commands would make the others late.
@Suite(.serialized)
struct NodeLinkTrafficTests {
    /// Answers the handshake, then plays the steps.
    private func afterHandshake(
        _ play: @escaping @Sendable (ScriptedConnection) async throws -> Void
    ) -> ScriptedBehaviour {
        ScriptedBehaviour { connection in
            _ = try await connection.receive()
            try await connection.send(.ok)
            try await play(connection)
        }
    }

    @Test
    func repliesComeInTheOrderOfTheCommands() async throws {
        let count = 10_000
        try await withScriptedServer(.answering { .integer(Int($0.last ?? "") ?? -1) }) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)", replyTimeout: .seconds(60)) { probe in
                try await probe.waitUntilReady()
                try await probe.send((0..<count).map { ["ECHO", "\($0)"] })
                try await probe.wait { $0.events.count > count }
                #expect(probe.replies == (0..<count).map { .integer(Int64($0)) })
                #expect(probe.failures.isEmpty)
            }
        }
    }

    /// Something keeps coming all the time; the whole reply does not.
    @Test
    func deadlineIsThatOfTheReplyAndNotOfASingleRead() async throws {
        let behaviour = afterHandshake { connection in
            try await connection.send("$50000\r\n")
            while true {
                try await connection.send("x")
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)", replyTimeout: .milliseconds(300)) { probe in
                try await probe.waitUntilReady()
                let began = ContinuousClock.now
                try await probe.send("PING")
                try await probe.wait { !$0.failures.isEmpty }
                let elapsed = ContinuousClock.now - began
                #expect(probe.failures.map(\.message) == ["no answer within 300 ms"])
                #expect(elapsed >= .milliseconds(290) && elapsed < .seconds(3), "\(elapsed)")
                try await probe.wait { !$0.downs.isEmpty }
            }
        }
    }

    /// Each command has a deadline of its own, also behind others that were answered in time.
    @Test
    func laterCommandTimesOutThoughEarlierOnesWereAnswered() async throws {
        let behaviour = afterHandshake { connection in
            for _ in 0..<3 {
                _ = try await connection.receive()
                try await connection.send(.ok)
            }
            try await connection.never()
        }
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)", replyTimeout: .seconds(2)) { probe in
                try await probe.waitUntilReady()
                try await probe.send("A")
                try await probe.wait { $0.replies.count == 1 }
                try await probe.send("B")
                try await probe.send("C")
                try await probe.wait { $0.replies.count == 3 }
                let began = ContinuousClock.now
                try await probe.send("D")
                try await probe.wait { !$0.failures.isEmpty }
                #expect(ContinuousClock.now - began >= .milliseconds(1_990))
                #expect(probe.failures.map(\.kind) == [.timedOut])
            }
        }
    }

    /// The first answer comes when half of its time is over; what is sent in its place has the other half, and not a
    /// whole time of its own.
    @Test(arguments: [true, false])
    func commandThatStandsInForAnotherIsDueWithIt(inheritsDeadline: Bool) async throws {
        let behaviour = afterHandshake { connection in
            _ = try await connection.receive()
            try await Task.sleep(for: .milliseconds(1_000))
            try await connection.send("-NOSCRIPT\r\n")
            try await connection.never()
        }
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run(
                "redis://127.0.0.1:\(server.port)",
                replyTimeout: .seconds(2),
                substitute: (["EVAL"], inheritsDeadline)
            ) { probe in
                try await probe.waitUntilReady()
                let began = ContinuousClock.now
                try await probe.send("EVALSHA")
                try await probe.wait { !$0.failures.isEmpty }
                #expect((ContinuousClock.now - began < .milliseconds(2_700)) == inheritsDeadline)
            }
        }
    }

    @Test
    func surplusReplyIsGivenToNobody() async throws {
        let behaviour = afterHandshake { connection in
            _ = try await connection.receive()
            try await connection.send("+first\r\n+second\r\n")
            try await connection.never()
        }
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                try await probe.waitUntilReady()
                try await probe.send("PING")
                try await probe.wait { !$0.downs.isEmpty }
                #expect(probe.replies.isEmpty)
                #expect(probe.failures.map(\.kind) == [.protocolViolation])
                try await server.wait { $0.openConnections == 0 }
            }
        }
    }

    @Test
    func replyThatNobodyAskedForEndsAnIdleConnection() async throws {
        try await withScriptedServer(.always(.ok)) { server in
            try await withFaultProxy(target: .init(port: server.port)) { proxy in
                try await LinkProbe.run("redis://127.0.0.1:\(proxy.port)") { probe in
                    try await probe.waitUntilReady()
                    await proxy.inject(Array("+OK\r\n".utf8))
                    try await probe.wait { !$0.downs.isEmpty }
                    #expect(probe.downs.map(\.kind) == [.protocolViolation])
                }
            }
        }
    }

    /// Where nobody receives messages, what looks like one is the answer to the command, or one too many.
    @Test
    func messageIsAReplyLikeEveryOther() async throws {
        let behaviour = afterHandshake { connection in
            _ = try await connection.receive()
            try await connection.send(Wire.message("x"))
            _ = try await connection.receive()
            try await connection.send("+OK\r\n" + Wire.message("x"))
            try await connection.never()
        }
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                try await probe.waitUntilReady()
                try await probe.send("LRANGE")
                try await probe.wait { $0.replies.count == 1 }
                #expect(probe.replies.first?.array?.map(\.string) == ["message", "wake", "x"])
                try await probe.send("PING")
                try await probe.wait { !$0.downs.isEmpty }
                #expect(probe.downs.map(\.kind) == [.protocolViolation])
                #expect(probe.replies.count == 1)
            }
        }
    }

    @Test
    func replyThatBreaksOffFailsItsCommand() async throws {
        let behaviour = afterHandshake { connection in
            _ = try await connection.receive()
            try await connection.send("$10\r\n01234")
        }
        try await withScriptedServer(behaviour) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                try await probe.waitUntilReady()
                try await probe.send("PING")
                try await probe.wait { !$0.failures.isEmpty }
                #expect(probe.failures.map(\.kind) == [.closed])
                #expect(probe.replies.isEmpty)
            }
        }
    }

    /// What undoes a command that is in doubt has to travel behind it, on the same connection.
    @Test
    func lastWordReachesTheServerBehindTheLateCommand() async throws {
        let behaviour = afterHandshake { connection in
            while true { _ = try await connection.receive() }
        }
        try await withScriptedServer(behaviour) { server in
            let url = "redis://127.0.0.1:\(server.port)"
            try await LinkProbe.run(url, replyTimeout: .milliseconds(200), lastWord: ["UNDO"]) { probe in
                try await probe.waitUntilReady()
                try await probe.send([["SLOW"], ["OTHER"]])
                try await server.wait { $0.commands.contains(["UNDO"]) }
                #expect(Array(server.log.commands.dropFirst().prefix(3)) == [["SLOW"], ["OTHER"], ["UNDO"]])
                // Two commands and the last word: each is told its failure once.
                try await probe.wait { $0.failures.count == 3 }
                #expect(probe.failures.allSatisfy { $0.kind == .timedOut })
                #expect(probe.replies.isEmpty)
                // Behind the last word, nothing more can be sent.
                #expect(probe.usabilityAtFailures == [true, true, false])
            }
        }
    }

    @Test
    func closeEndsEverything() async throws {
        try await withScriptedServer(afterHandshake { try await $0.never() }) { server in
            try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                try await probe.waitUntilReady()
                try await probe.send([["A"], ["B"]])
                try await probe.close()
                #expect(probe.failures.map(\.kind) == [.closed, .closed])
                try await server.wait { $0.openConnections == 0 }
                try await probe.send("C")
                #expect(probe.failures.map(\.kind) == [.closed, .closed, .closed])
                try await Task.sleep(for: .milliseconds(300))
                #expect(server.log.acceptedConnections == 1)
                #expect(probe.downs.isEmpty, "who closed it need not be told")
            }
        }
    }

    @Test
    func closeWhileConnectingOrWaitingEndsTheAttempts() async throws {
        for behaviour in [ScriptedBehaviour.acceptsAndNeverAnswers, .closesAtOnce] {
            try await withScriptedServer(behaviour) { server in
                try await LinkProbe.run("redis://127.0.0.1:\(server.port)") { probe in
                    try await server.wait { $0.acceptedConnections >= 1 }
                    try await Task.sleep(for: .milliseconds(10))
                    try await probe.close()
                    try await server.wait { $0.openConnections == 0 }
                    try await Task.sleep(for: .milliseconds(50))
                    let accepted = server.log.acceptedConnections
                    try await Task.sleep(for: .milliseconds(400))
                    #expect(server.log.acceptedConnections == accepted)
                }
            }
        }
    }
}

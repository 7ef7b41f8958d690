// SPDX-License-Identifier: Apache-2.0

import RedlockTesting
import Testing

private let ping = "*1\r\n$4\r\nPING\r\n"

@Suite("Scripted server", .timeLimit(.minutes(1)))
struct ScriptedServerTests {
    @Test("plays steps, records commands, and closes at the end of the script")
    func steps() async throws {
        try await withScriptedServer(.script(.receive, .send("+1\r\n"), .receive, .send("+2\r\n"))) { server in
            let client = try await TestSocket.connected(to: server.port)
            try await client.send(ping + "*2\r\n$3\r\nGET\r\n$3\r\na b\r\n")
            let (text, ending) = try await client.receiveAll()
            #expect(text == "+1\r\n+2\r\n" && ending == .endOfStream)
            let log = try await server.wait { $0.openConnections == 0 }
            #expect(log.commands == [["PING"], ["GET", "a b"]])
            #expect(log.acceptedConnections == 1 && log.failures.isEmpty)
        }
    }

    @Test("reads commands that come in pieces, and those on a line")
    func pieces() async throws {
        try await withScriptedServer(.answering { .text($0.joined(separator: "|")) }) { server in
            let client = try await TestSocket.connected(to: server.port)
            for byte in "*2\r\n$4\r\nECHO\r\n$4\r\n\r\nxy\r\nPING now\r\n" {
                try await client.send(String(byte))
            }
            #expect(try await client.receive(29) == "$9\r\nECHO|\r\nxy\r\n$8\r\nPING|now\r\n")
        }
    }

    @Test("gives every connection its own behaviour, the last one to those that follow")
    func perConnection() async throws {
        let behaviour = ScriptedBehaviour.perConnection(.closesAtOnce, .always(.ok))
        try await withScriptedServer(behaviour) { server in
            let first = try await TestSocket.connected(to: server.port)
            #expect(try await first.receiveAll().text.isEmpty)
            for _ in 0..<2 {
                #expect(try await answer(of: server) == "+OK\r\n")
            }
            await server.set(.always(.integer(7)))
            #expect(try await answer(of: server) == ":7\r\n")
        }
    }

    @Test(
        "misbehaves as announced",
        arguments: [
            (ScriptedBehaviour.acceptsAndNeverAnswers, "", false),
            (.closesAtOnce, "", true),
            (.closesMidReply, "$40\r\n0123456789", true),
            (.hugeArray, "*2147483647\r\n", false),
            (.hugeText, "$536870912\r\n", false),
            (.surplusReply, "-ERR x\r\n+OK\r\n", false),
            (.speaksFirst, "+OK\r\n+OK\r\n", false),
            (.loading, "-LOADING Redis is loading the dataset in memory\r\n", false),
            (.wrongPassword, "-NOAUTH Authentication required.\r\n", false),
            (.trickles(interval: .milliseconds(1)), "+OK\r\n", false),
        ] as [(ScriptedBehaviour, String, Bool)]
    )
    func misbehaviour(behaviour: ScriptedBehaviour, expected: String, closes: Bool) async throws {
        try await withScriptedServer(behaviour) { server in
            let client = try await TestSocket.connected(to: server.port)
            try? await client.send(ping)
            if closes {
                #expect(try await client.receiveAll().text == expected)
            } else {
                #expect(try await client.receive(expected.utf8.count) == expected)
                #expect(try await client.isSilent(for: .milliseconds(30)))
            }
        }
    }

    @Test("talks what is no Redis protocol")
    func otherProtocols() async throws {
        try await withScriptedServer(.answersHTTP) { server in
            let client = try await TestSocket.connected(to: server.port)
            try await client.send("GET / HTTP/1.1\r\n\r\n")
            #expect(try await client.receive(12) == "HTTP/1.1 400")
        }
        try await withScriptedServer(.garbage) { server in
            let client = try await TestSocket.connected(to: server.port)
            try await client.send(ping)
            #expect(try await client.receiveSome().first == 0)
        }
        try await withScriptedServer(.deepArray) { server in
            let client = try await TestSocket.connected(to: server.port)
            try await client.send(ping)
            #expect(try await client.receive(40_000) == String(repeating: "*1\r\n", count: 10_000))
        }
    }

    @Test("trickles byte after byte")
    func trickles() async throws {
        try await withScriptedServer(.trickles(.ok, interval: .milliseconds(20))) { server in
            let start = ContinuousClock.now
            let answer = try await answer(of: server)
            #expect(answer == "+OK\r\n")
            #expect(ContinuousClock.now - start >= .milliseconds(80))
        }
    }

    @Test("resets a connection on request")
    func reset() async throws {
        try await withScriptedServer(.script(.receive, .reset)) { server in
            let client = try await TestSocket.connected(to: server.port)
            try await client.send(ping)
            #expect(try await client.receiveAll().ending == .reset)
        }
    }

    @Test("reports what a script throws, and closes the connection")
    func failure() async throws {
        struct Mistake: Error {}
        try await withScriptedServer(ScriptedBehaviour { _ in throw Mistake() }) { server in
            let client = try await TestSocket.connected(to: server.port)
            _ = try await client.receiveAll()
            let log = try await server.wait { !$0.failures.isEmpty }
            #expect(log.failures.first?.contains("Mistake") == true)
        }
        try await withScriptedServer(.always(.ok)) { server in
            let client = try await TestSocket.connected(to: server.port)
            try await client.send("*1\r\nnonsense\r\n")
            _ = try await client.receiveAll()
            let log = try await server.wait { !$0.failures.isEmpty }
            #expect(log.failures.first?.contains("nonsense") == true)
        }
    }

    @Test("a script notices that the client has gone, after the commands it had sent")
    func clientGone() async throws {
        try await withScriptedServer(.acceptsAndNeverAnswers) { server in
            var client: TestSocket? = try await TestSocket.connected(to: server.port)
            try await client?.send(ping + ping)
            client = nil
            let log = try await server.wait { $0.acceptedConnections == 1 && $0.openConnections == 0 }
            #expect(log.commands.count == 2)
        }
    }

    @Test("stops while scripts wait, sleep and send")
    func stop() async throws {
        let behaviour = ScriptedBehaviour.perConnection(
            .acceptsAndNeverAnswers,
            .script(.receive),
            .script(.pause(.seconds(3600)))
        )
        let server = try await ScriptedServer.start(behaviour)
        var clients: [TestSocket] = []
        for _ in 0..<3 {
            clients.append(try await TestSocket.connected(to: server.port))
        }
        try await server.wait { $0.openConnections == 3 }
        await server.stop()
        #expect(server.log.openConnections == 0 && server.log.failures.isEmpty)
        for client in clients {
            _ = try await client.receiveAll()
        }
        await #expect(throws: TestSocket.Ending.refused) { try await TestSocket.connected(to: server.port) }
        await server.stop()
    }

    @Test("listens on a Unix socket, which a fault proxy can stand in front of")
    func unixSocket() async throws {
        let path = "/tmp/redlock-scripted-\(UInt32.random(in: 0 ... .max)).sock"
        try await withScriptedServer(.always(.ok), unixSocketPath: path) { server in
            #expect(server.port == 0)
            try await withFaultProxy(target: .init(unixSocketPath: path)) { proxy in
                let client = try await TestSocket.connected(to: proxy.port)
                try await client.send(ping)
                #expect(try await client.receive(5) == "+OK\r\n")
            }
        }
        // The path is free again.
        try await withScriptedServer(.always(.ok), unixSocketPath: path) { _ in }
    }

    private func answer(of server: ScriptedServer) async throws -> String {
        let client = try await TestSocket.connected(to: server.port)
        try await client.send(ping)
        var answer = ""
        while !answer.hasSuffix("\r\n") {
            answer += String(decoding: try await client.receiveSome(), as: UTF8.self)
        }
        return answer
    }
}

// SPDX-License-Identifier: Apache-2.0

import RedlockTesting
import Testing

@Suite("Fault proxy: bytes", .timeLimit(.minutes(1)))
struct FaultProxyByteTests {
    @Test("passes bytes both ways, counts them, and passes on the end of the stream")
    func pass() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            try await client.send("hello")
            #expect(try await client.receive(5) == "hello")
            client.endSending()
            #expect(try await client.receiveAll().ending == .endOfStream)
            let statistics = try await proxy.wait { $0.openConnections == 0 }
            #expect(statistics.acceptedConnections == 1)
            #expect(statistics.toServer.received == 5 && statistics.toServer.forwarded == 5)
            #expect(statistics.toClient.received == 5 && statistics.toClient.forwarded == 5)
            #expect(statistics.toClient.held == 0 && statistics.toClient.discarded == 0)
        }
    }

    @Test("passes large amounts unchanged, to the last byte before the end")
    func large() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            let text = String((0..<400_000).map { "\($0 % 10)" }.joined())
            async let received = client.receive(text.utf8.count)
            try await client.send(text)
            client.endSending()
            #expect(try await received == text)
            #expect(try await client.receiveAll().ending == .endOfStream)
        }
    }

    @Test("stall holds replies of open and of new connections, and releases them in order")
    func stall() async throws {
        try await withProxiedEcho { proxy in
            let old = try await TestSocket.connected(to: proxy.port)
            try await old.send("a")
            #expect(try await old.receive(1) == "a")
            await proxy.set(.stall, direction: .toClient)
            let new = try await TestSocket.connected(to: proxy.port)
            try await old.send("12")
            try await new.send("34")
            try await proxy.wait { $0.toClient.held == 4 }
            try await old.send("56")
            try await proxy.wait { $0.toClient.held == 6 }
            #expect(try await old.isSilent(for: .milliseconds(50)))
            await proxy.set(.pass, direction: .toClient)
            #expect(try await old.receive(4) == "1256")
            #expect(try await new.receive(2) == "34")
            #expect(proxy.statistics.toClient.held == 0)
        }
    }

    @Test("stall in one direction leaves the other alone: the server hears what it cannot answer")
    func oneWayPartition() async throws {
        try await withProxiedEcho { proxy in
            await proxy.set(.stall, direction: .toServer)
            let client = try await TestSocket.connected(to: proxy.port)
            try await client.send("lost?")
            try await proxy.wait { $0.toServer.held == 5 }
            #expect(proxy.statistics.toServer.forwarded == 0)
            try await proxy.heal()
            #expect(try await client.receive(5) == "lost?")
        }
    }

    @Test("black hole swallows bytes for ever and keeps the connection open")
    func blackHole() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            await proxy.set(.blackHole, direction: .toClient)
            try await client.send("gone")
            try await proxy.wait { $0.toClient.discarded == 4 }
            await proxy.set(.pass, direction: .toClient)
            try await client.send("back")
            #expect(try await client.receive(4) == "back")
            #expect(try await client.isSilent(for: .milliseconds(20)))
        }
    }

    @Test("black hole hides from the server that the client has gone, until the server speaks to it")
    func halfOpen() async throws {
        let (listener, port) = try TestSocket.listening()
        try await withFaultProxy(target: .init(port: port)) { proxy in
            var client: TestSocket? = try await TestSocket.connected(to: proxy.port)
            let server = try await listener.accepted()
            try await client?.send("x")
            #expect(try await server.receive(1) == "x")
            await proxy.set(.blackHole)
            client = nil
            #expect(try await server.isSilent(for: .milliseconds(100)))
            #expect(proxy.statistics.openConnections == 1)
            try await proxy.heal()
            try await server.send("are you there?")
            _ = try await server.receiveAll()
            try await proxy.wait { $0.openConnections == 0 }
        }
    }

    @Test("delay lets everything arrive late, in order, with the jitter of the seed")
    func delay() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            await proxy.set(.delay(.milliseconds(100), jitter: .milliseconds(50)), direction: .toClient)
            let start = ContinuousClock.now
            for part in 0..<5 {
                try await client.send("\(part)")
                try await proxy.wait { $0.toClient.received == part + 1 }
            }
            #expect(try await client.receive(5) == "01234")
            #expect(ContinuousClock.now - start >= .milliseconds(100))
        }
    }

    @Test("delay also holds back the end of the stream")
    func delayedEnd() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            await proxy.set(.delay(.milliseconds(100)), direction: .toServer)
            let start = ContinuousClock.now
            try await client.send("z")
            client.endSending()
            let (text, ending) = try await client.receiveAll()
            #expect(text == "z" && ending == .endOfStream)
            #expect(ContinuousClock.now - start >= .milliseconds(100))
        }
    }

    @Test("healing a delay releases what was under way")
    func healedDelay() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            await proxy.set(.delay(.seconds(3600)))
            try await client.send("soon")
            try await proxy.wait { $0.toServer.held == 4 }
            try await proxy.heal()
            #expect(try await client.receive(4) == "soon")
        }
    }

    @Test("trickle sends byte after byte")
    func trickle() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            await proxy.set(.trickle(interval: .milliseconds(20)), direction: .toClient)
            let start = ContinuousClock.now
            try await client.send("12345")
            #expect(try await client.receive(5) == "12345")
            #expect(ContinuousClock.now - start >= .milliseconds(80))
        }
    }

    @Test("truncate lets so many bytes pass and closes both sides", arguments: [0, 3, 5])
    func truncate(byteCount: Int) async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            try await client.send("before")
            #expect(try await client.receive(6) == "before")
            await proxy.set(.truncate(afterBytes: byteCount), direction: .toClient)
            try await client.send("hello")
            #expect(try await client.receiveAll().text == String("hello".prefix(byteCount)))
            let statistics = try await proxy.wait { $0.openConnections == 0 }
            #expect(statistics.toServer.forwarded == 11)
            #expect(statistics.toClient.forwarded == 6 + byteCount)
            #expect(statistics.toClient.discarded == 5 - byteCount)
        }
    }

    @Test("end of stream in one direction leaves the other open")
    func endOfStream() async throws {
        let (listener, port) = try TestSocket.listening()
        try await withFaultProxy(target: .init(port: port)) { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            let server = try await listener.accepted()
            try await client.send("1")
            #expect(try await server.receive(1) == "1")
            await proxy.set(.endOfStream, direction: .toClient)
            let (text, ending) = try await client.receiveAll()
            #expect(text.isEmpty && ending == .endOfStream)
            try await client.send("2")
            #expect(try await server.receive(1) == "2")
            try await server.send("unheard")
            try await proxy.wait { $0.toClient.discarded == 7 }
        }
    }

    @Test("duplicate gives every reply twice")
    func duplicate() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            await proxy.set(.duplicate, direction: .toClient)
            try await client.send("+OK\r\n")
            #expect(try await client.receive(10) == "+OK\r\n+OK\r\n")
            #expect(proxy.statistics.toClient.forwarded == 10)
        }
    }

    @Test("injected bytes reach every client ahead of those that are held")
    func inject() async throws {
        try await withProxiedEcho { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            await proxy.set(.stall, direction: .toClient)
            try await client.send("late")
            try await proxy.wait { $0.toClient.held == 4 }
            #expect(await proxy.inject(Array("early".utf8)) == 1)
            #expect(try await client.receive(5) == "early")
            try await proxy.heal()
            #expect(try await client.receive(4) == "late")
        }
    }
}

@Suite("Fault proxy: connections", .timeLimit(.minutes(1)))
struct FaultProxyConnectionTests {
    @Test("refuses new clients on a port that stays reserved, and accepts them again")
    func refuse() async throws {
        try await withProxiedEcho { proxy in
            let open = try await TestSocket.connected(to: proxy.port)
            try await open.send("1")
            #expect(try await open.receive(1) == "1")
            for _ in 0..<20 {
                try await proxy.setNewConnections(.refused)
                await #expect(throws: TestSocket.Ending.refused) {
                    try await TestSocket.connected(to: proxy.port)
                }
                try await open.send("2")
                #expect(try await open.receive(1) == "2")
                try await proxy.setNewConnections(.accepted)
                let new = try await TestSocket.connected(to: proxy.port)
                try await new.send("3")
                #expect(try await new.receive(1) == "3")
            }
        }
    }

    @Test("closes new clients at once")
    func closeAtOnce() async throws {
        try await withProxiedEcho { proxy in
            try await proxy.setNewConnections(.closedAtOnce)
            let client = try await TestSocket.connected(to: proxy.port)
            #expect(try await client.receiveAll().ending == .endOfStream)
            try await proxy.wait { $0.acceptedConnections == 1 && $0.openConnections == 0 }
        }
    }

    @Test("cut closes all connections and refuses new ones until healed", arguments: [false, true])
    func cut(reset: Bool) async throws {
        let (listener, port) = try TestSocket.listening()
        try await withFaultProxy(target: .init(port: port)) { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            let server = try await listener.accepted()
            try await proxy.wait { $0.openConnections == 1 }
            await proxy.set(.stall)
            try await client.send("held")
            try await proxy.wait { $0.toServer.held == 4 }
            try await proxy.cut(reset: reset)
            #expect(proxy.statistics.openConnections == 0)
            #expect(proxy.statistics.toServer.held == 0 && proxy.statistics.toServer.discarded == 4)
            let expected: TestSocket.Ending = reset ? .reset : .endOfStream
            #expect(try await client.receiveAll().ending == expected)
            #expect(try await server.receiveAll().ending == expected)
            await #expect(throws: TestSocket.Ending.refused) { try await TestSocket.connected(to: proxy.port) }
            try await proxy.heal()
            _ = try await TestSocket.connected(to: proxy.port)
            _ = try await listener.accepted()
        }
    }

    @Test("passes on that the server has gone")
    func serverGone() async throws {
        let (listener, port) = try TestSocket.listening()
        try await withFaultProxy(target: .init(port: port)) { proxy in
            let client = try await TestSocket.connected(to: proxy.port)
            var server: TestSocket? = try await listener.accepted()
            try await server?.send("last words")
            server = nil
            let (text, ending) = try await client.receiveAll()
            #expect(text == "last words" && ending == .endOfStream)
            client.endSending()
            try await proxy.wait { $0.openConnections == 0 }
        }
    }

    @Test("closes the client when the server cannot be reached, and counts it")
    func serverUnreachable() async throws {
        try await withProxiedEcho { unused in
            try await unused.setNewConnections(.refused)
            try await withFaultProxy(target: .init(port: unused.port)) { proxy in
                let client = try await TestSocket.connected(to: proxy.port)
                _ = try await client.receiveAll()
                try await proxy.wait { $0.failedServerConnections == 1 && $0.openConnections == 0 }
            }
        }
    }

    @Test("stops with connections open and bytes held, for good")
    func stop() async throws {
        try await withEchoServer { port in
            let proxy = try await FaultProxy.start(target: .init(port: port))
            await proxy.set(.stall)
            let clients = try await connect(10, to: proxy.port)
            try await proxy.wait { $0.openConnections == 10 && $0.toServer.held == 10 }
            await proxy.stop()
            #expect(proxy.statistics.openConnections == 0)
            for client in clients {
                _ = try await client.receiveAll()
            }
            await #expect(throws: TestSocket.Ending.refused) { try await TestSocket.connected(to: proxy.port) }
            await #expect(throws: FaultProxyError.stopped) { try await proxy.heal() }
            await proxy.stop()
        }
    }

    @Test("survives faults that change under load")
    func changingFaults() async throws {
        try await withProxiedEcho { proxy in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        while !Task.isCancelled {
                            // A refusal comes without a suspension, and the others want to run too.
                            await Task.yield()
                            guard let client = try? await TestSocket.connected(to: proxy.port) else { continue }
                            try? await client.send("hello")
                            _ = try? await client.receive(5, within: .milliseconds(20))
                        }
                    }
                }
                var random = SeededRandom(seed: 7)
                let faults: [Fault] = [
                    .pass, .delay(.milliseconds(1), jitter: .milliseconds(3)), .stall, .blackHole, .endOfStream,
                    .trickle(interval: .milliseconds(1)), .truncate(afterBytes: 2), .duplicate,
                ]
                for round in 0..<100 {
                    let direction = FaultDirection.allCases.randomElement(using: &random) ?? .toClient
                    await proxy.set(faults.randomElement(using: &random) ?? .pass, direction: direction)
                    if round % 10 == 0 {
                        try await proxy.cut(newConnections: round % 20 == 0 ? .refused : .closedAtOnce, reset: true)
                        try await proxy.setNewConnections(.accepted)
                    }
                    try await Task.sleep(for: .milliseconds(5))
                }
                group.cancelAll()
            }
            await proxy.closeConnections()
            let statistics = try await proxy.wait { $0.openConnections == 0 }
            for direction in FaultDirection.allCases {
                #expect(statistics[direction].held == 0)
            }
            try await proxy.heal()
            let client = try await TestSocket.connected(to: proxy.port)
            try await client.send("well")
            #expect(try await client.receive(4) == "well")
        }
    }

    @Test("takes addresses, not names, of servers")
    func hostName() async throws {
        await #expect(throws: FaultProxyError.hostIsNotAnAddress("redis.example")) {
            try await FaultProxy.start(target: .init(host: "redis.example", port: 6379))
        }
        let proxy = try await FaultProxy.start(target: .init(host: "localhost", port: 6379))
        await proxy.stop()
    }

    private func connect(_ count: Int, to port: Int) async throws -> [TestSocket] {
        var clients: [TestSocket] = []
        for _ in 0..<count {
            let client = try await TestSocket.connected(to: port)
            try await client.send("x")
            clients.append(client)
        }
        return clients
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RedlockTesting

@Suite("Fake Redis node", .timeLimit(.minutes(1)))
struct FakeRedisNodeTests {
    @Test("locks and unlocks as the published algorithm does, and forgets what has expired")
    func lock() {
        let clock = ManualClock()
        let node = FakeRedisNode(clock: clock)
        var session = FakeRedisNode.Session()
        func reply(_ command: String) -> ScriptedReply {
            node.reply(to: command.split(separator: " ").map(String.init), session: &session)
        }
        #expect(reply("SET lock one NX PX 1000") == .ok)
        #expect(reply("set lock two nx px 1000") == .null)
        #expect(reply("GET lock") == .text("one"))
        clock.advance(by: .milliseconds(400))
        #expect(reply("PTTL lock") == .integer(600))
        #expect(reply("PEXPIRE lock 1000") == .integer(1))
        clock.advance(by: .milliseconds(999))
        #expect(reply("EXISTS lock") == .integer(1))
        clock.advance(by: .milliseconds(1))
        #expect(reply("GET lock") == .null)
        #expect(reply("PTTL lock") == .integer(-2))
        #expect(reply("PEXPIRE lock 1000") == .integer(0))
        #expect(reply("DEL lock") == .integer(0))
        #expect(reply("SET lock two NX PX 1000") == .ok)
        #expect(reply("DEL lock other") == .integer(1))
        #expect(reply("SET lock x XX") == .null)
        #expect(reply("SET lock x") == .ok)
        #expect(reply("PTTL lock") == .integer(-1))
    }

    @Test("refuses what a real server refuses")
    func refusals() {
        let node = FakeRedisNode()
        var session = FakeRedisNode.Session()
        func error(_ command: String) -> String? {
            let reply = node.reply(to: command.split(separator: " ").map(String.init), session: &session)
            if case .error(let text) = reply { return text }
            return nil
        }
        #expect(error("SET k v PX 0")?.contains("invalid expire") == true)
        #expect(error("SET k v PX soon")?.contains("not an integer") == true)
        #expect(error("SET k v WHAT")?.contains("syntax") == true)
        #expect(error("LPUSH k v")?.contains("unknown command") == true)
        #expect(error("SELECT 16")?.contains("out of range") == true)
        #expect(error("AUTH secret")?.contains("without any password") == true)
        #expect(error("EVALSHA 0000 0")?.hasPrefix("NOSCRIPT") == true)
        #expect(error("EVAL script 2 onlyone") != nil)
        #expect(error("SET k text") == nil)
        #expect(error("INCR k")?.contains("not an integer") == true)
        #expect(error("SET k 9223372036854775807") == nil)
        #expect(error("INCRBY k 1")?.contains("overflow") == true)
    }

    @Test("asks for its password, per connection")
    func password() {
        let node = FakeRedisNode(password: "secret")
        var session = FakeRedisNode.Session()
        #expect(node.reply(to: ["PING"], session: &session) == .error("NOAUTH Authentication required."))
        guard case .error(let text) = node.reply(to: ["AUTH", "wrong"], session: &session) else {
            Issue.record("a wrong password was accepted")
            return
        }
        #expect(text.hasPrefix("WRONGPASS"))
        #expect(node.reply(to: ["AUTH", "default", "secret"], session: &session) == .ok)
        #expect(node.reply(to: ["PING"], session: &session) == .status("PONG"))
        var other = FakeRedisNode.Session()
        #expect(node.reply(to: ["PING"], session: &other) != .status("PONG"))
    }

    @Test("runs stand-ins for scripts, by source and by digest")
    func scripts() {
        let node = FakeRedisNode(evaluate: { script, keys, arguments, keyspace in
            guard script == "compare and delete", keyspace[keys[0]] == arguments[0] else { return .integer(0) }
            keyspace.remove(keys[0])
            return .integer(1)
        })
        var session = FakeRedisNode.Session()
        node.withKeyspace { $0.set("lock", to: "mine", timeToLive: .seconds(10)) }
        guard case .text(let digest) = node.reply(to: ["SCRIPT", "LOAD", "compare and delete"], session: &session)
        else {
            Issue.record("the script was not loaded")
            return
        }
        #expect(node.reply(to: ["EVALSHA", digest, "1", "lock", "yours"], session: &session) == .integer(0))
        #expect(
            node.reply(to: ["EVALSHA", digest.uppercased(), "1", "lock", "mine"], session: &session) == .integer(1)
        )
        #expect(node.withKeyspace { $0["lock"] } == nil)
        #expect(node.reply(to: ["EVAL", "another", "0"], session: &session) == .integer(0))
    }

    @Test("lets the test answer in its place")
    func intercept() {
        let node = FakeRedisNode(intercept: { $0.first == "SET" ? .error("OOM command not allowed") : nil })
        var session = FakeRedisNode.Session()
        #expect(node.reply(to: ["SET", "a", "b"], session: &session) == .error("OOM command not allowed"))
        #expect(node.reply(to: ["PING"], session: &session) == .status("PONG"))
    }

    @Test("tells the time, which follows its clock")
    func time() throws {
        let clock = ManualClock()
        let node = FakeRedisNode(clock: clock)
        let before = try microseconds(of: node)
        clock.advance(by: .milliseconds(1_500))
        let after = try microseconds(of: node)
        #expect(after - before == 1_500_000)
    }

    @Test("serves several connections with one memory")
    func shared() async throws {
        try await withScriptedServer(.healthyNode()) { server in
            let one = try await TestSocket.connected(to: server.port)
            let other = try await TestSocket.connected(to: server.port)
            try await one.send("SET lock one NX PX 60000\r\n")
            #expect(try await one.receive(5) == "+OK\r\n")
            try await other.send("SET lock other NX PX 60000\r\n")
            #expect(try await other.receive(5) == "$-1\r\n")
            try await other.send("GET lock\r\nQUIT\r\n")
            #expect(try await other.receiveAll().text == "$3\r\none\r\n+OK\r\n")
        }
    }

    @Test(
        "names scripts by their SHA-1",
        arguments: [
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
            ),
            (String(repeating: "a", count: 1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        ]
    )
    func digest(text: String, expected: String) {
        #expect(SHA1.hexDigest(of: text) == expected)
    }

    private func microseconds(of node: FakeRedisNode) throws -> Int {
        var session = FakeRedisNode.Session()
        guard case .array(let parts) = node.reply(to: ["TIME"], session: &session), parts.count == 2,
            case .text(let seconds) = parts[0], case .text(let microseconds) = parts[1]
        else {
            return 0
        }
        let wholeSeconds = try #require(Int(seconds))
        return try wholeSeconds * 1_000_000 + #require(Int(microseconds))
    }
}

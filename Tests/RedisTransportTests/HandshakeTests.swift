// SPDX-License-Identifier: Apache-2.0

import Hiredis
import Testing

@testable import RedisTransport

@Suite
struct HandshakeTests {
    private func handshake(_ url: String, further: [[String]] = []) throws -> Handshake {
        Handshake(endpoint: try RedisEndpoint(url: url), connectionName: "me", furtherCommands: further)
    }

    @Test(arguments: [
        ("redis://a", [["CLIENT", "SETNAME", "me"]]),
        ("redis://:secret@a", [["AUTH", "secret"], ["CLIENT", "SETNAME", "me"]]),
        ("redis://user:secret@a", [["AUTH", "user", "secret"], ["CLIENT", "SETNAME", "me"]]),
        ("redis://a/7", [["SELECT", "7"], ["CLIENT", "SETNAME", "me"]]),
        ("redis://user:p%40s@a/7", [["AUTH", "user", "p@s"], ["SELECT", "7"], ["CLIENT", "SETNAME", "me"]]),
    ])
    func signsInBeforeAnythingElse(_ url: String, commands: [[String]]) throws {
        #expect(try handshake(url).commands == commands)
        #expect(try handshake(url, further: [["TIME"]]).commands == commands + [["TIME"]])
    }

    private static let ok = RESPValue.simpleString("OK")

    /// The answer to AUTH, to SELECT and to CLIENT SETNAME, and what they mean together; nil if the node can be used.
    private static let judgements: [([RESPValue], NodeFailure.Kind?)] = [
        ([ok, ok, ok], nil),
        ([ok, ok, .error("ERR unknown command 'CLIENT'")], nil),
        ([ok, ok, .error("NOPERM this user has no permissions")], nil),
        ([ok, ok, .integer(7)], nil),
        ([.error("WRONGPASS invalid username-password pair"), ok, ok], .authentication),
        ([.error("ERR AUTH <password> called without any password configured"), ok, ok], .authentication),
        ([.error("ERR Client sent AUTH, but no password is set"), ok, ok], .authentication),
        ([.error(""), ok, ok], .authentication),
        ([.error("LOADING Redis is loading"), ok, ok], .notServing),
        ([.error("DENIED Redis is running in protected mode"), ok, ok], .permission),
        ([.error("ERR max number of clients reached"), ok, ok], .notServing),
        ([.error("ERR max number of clients reached")], .notServing),
        ([.simpleString("PONG"), ok, ok], .protocolViolation),
        ([.integer(1), ok, ok], .protocolViolation),
        ([.null, ok, ok], .protocolViolation),
        ([.array([]), ok, ok], .protocolViolation),
        ([.bulkString(Array("OK".utf8)), ok, ok], .protocolViolation),
        ([ok, .error("ERR DB index is out of range"), ok], .permission),
        ([ok, .error("NOPERM this user has no permissions to run 'select'"), ok], .permission),
        ([ok, .error("NOAUTH Authentication required."), ok], .authentication),
        ([ok, .null, ok], .protocolViolation),
        ([ok, ok, .error("NOAUTH Authentication required.")], .authentication),
        ([ok, ok, .error("MASTERDOWN Link with MASTER is down")], .notServing),
        ([ok, ok, .error("LOADING Redis is loading")], .notServing),
    ]

    @Test(arguments: judgements)
    func judges(_ replies: [RESPValue], kind: NodeFailure.Kind?) throws {
        let handshake = try handshake("redis://user:secret@a/7")
        do throws(NodeFailure) {
            #expect(try handshake.judge(replies).isEmpty)
            #expect(kind == nil)
        } catch {
            #expect(error.kind == kind, "\(error)")
            #expect(!error.message.contains("secret"))
        }
    }

    @Test
    func handsOnTheFurtherReplies() throws {
        let handshake = try handshake("redis://:secret@a", further: [["TIME"], ["X"]])
        let further: [RESPValue] = [.integer(1), .error("ERR unknown command")]
        #expect(try handshake.judge([Self.ok, Self.ok] + further) == further)
        for text in ["NOAUTH x", "LOADING x", "MASTERDOWN x", "DENIED x", "WRONGPASS x"] {
            #expect(throws: NodeFailure.self) { try handshake.judge([Self.ok, Self.ok, .integer(1), .error(text)]) }
        }
    }

    @Test
    func codeIsAWholeWord() throws {
        let handshake = try handshake("redis://a", further: [["X"]])
        for text in ["NOAUTHORITY x", "x NOAUTH", "ERR LOADING", "loading"] {
            #expect(try handshake.judge([Self.ok, .error(text)]) == [.error(text)])
        }
    }

    /// The connection ended before all answers came; those that came still tell more than the end.
    @Test
    func judgesWhatCame() throws {
        let handshake = try handshake("redis://:secret@a/7", further: [["TIME"]])
        #expect(try handshake.judge([]).isEmpty)
        #expect(try handshake.judge([Self.ok]).isEmpty)
        #expect(throws: NodeFailure.self) { try handshake.judge([.error("WRONGPASS x")]) }
    }

    @Test
    func refusalIsOneShortLine() throws {
        let evil = "ERR \r\n\u{1B}[2J\u{0}\u{7F}\u{9B}31m" + String(repeating: "x", count: 10_000)
        let handshake = try handshake("redis://a/7")
        let failure = #expect(throws: NodeFailure.self) { try handshake.judge([.error(evil), Self.ok]) }
        let message = try #require(failure?.message)
        #expect(message.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) })
        #expect(message.count < 300)
    }

    @Test
    func showsNoPassword() throws {
        let handshake = try handshake("redis://user:hunter2@a")
        var dumped = ""
        dump(handshake, to: &dumped)
        for text in ["\(handshake)", String(reflecting: handshake), dumped] { #expect(!text.contains("hunter2")) }
    }
}

@Suite
struct NodeFailureTests {
    @Test(arguments: [
        (NodeFailure.Kind.connecting, false), (.unreachable, false), (.timedOut, false), (.closed, false),
        (.notServing, false), (.protocolViolation, true), (.tls, true), (.authentication, true), (.permission, true),
    ])
    func permanence(_ kind: NodeFailure.Kind, isPermanent: Bool) {
        #expect(NodeFailure(kind, "x").isPermanent == isPermanent)
        #expect("\(NodeFailure(kind, "what happened"))" == "what happened")
    }
}

@Suite
struct BackoffTests {
    @Test
    func delaysLieBetweenHalfAndTheWholeOfADoublingCeiling() {
        for random in [UInt64(0), 1, 12345, .max / 2, .max - 1, .max] {
            var backoff = Backoff(firstNanoseconds: 50, longestNanoseconds: 2_000)
            for ceiling in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000] as [Int64] {
                let delay = backoff.nextNanoseconds(random: random)
                #expect(ceiling / 2 <= delay && delay <= ceiling, "\(delay) of \(ceiling)")
            }
            backoff.reset()
            #expect((25...50).contains(backoff.nextNanoseconds(random: random)))
        }
    }

    @Test
    func bothEndsAreReached() {
        let delays = Set(
            (UInt64(0)..<1_000).map { random in
                var backoff = Backoff(firstNanoseconds: 10, longestNanoseconds: 10)
                return backoff.nextNanoseconds(random: random)
            }
        )
        #expect(delays == [5, 6, 7, 8, 9, 10])
    }

    @Test
    func tinyOnesAreNoTrap() {
        var backoff = Backoff(firstNanoseconds: 1, longestNanoseconds: 1)
        for random in [UInt64(0), 1, .max] { #expect((0...1).contains(backoff.nextNanoseconds(random: random))) }
    }
}

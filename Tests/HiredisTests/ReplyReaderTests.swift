// SPDX-License-Identifier: Apache-2.0

import Hiredis
import RedlockTesting
import Testing

@Suite("Reading replies")
struct ReplyReaderTests {
    static let validReplies: [(wire: String, value: RESPValue)] = [
        ("+OK\r\n", .simpleString("OK")),
        ("+\r\n", .simpleString("")),
        ("+a status of more than fifteen bytes\r\n", .simpleString("a status of more than fifteen bytes")),
        ("+grüße\r\n", .simpleString("grüße")),
        ("-ERR unknown command\r\n", .error("ERR unknown command")),
        (":0\r\n", .integer(0)),
        (":-1\r\n", .integer(-1)),
        (":9223372036854775807\r\n", .integer(.max)),
        (":-9223372036854775808\r\n", .integer(.min)),
        ("$0\r\n\r\n", .bulkString([])),
        ("$5\r\nhello\r\n", .bulk("hello")),
        ("$9\r\n\r\n+OK\r\n\0\r\r\n", .bulk("\r\n+OK\r\n\0\r")),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("*0\r\n", .array([])),
        ("*1\r\n*0\r\n", .array([.array([])])),
        ("*2\r\n$-1\r\n*-1\r\n", .array([.null, .null])),
        (
            "*4\r\n*2\r\n:1\r\n*1\r\n+a\r\n*0\r\n$1\r\nb\r\n-ERR c\r\n",
            .array([
                .array([.integer(1), .array([.simpleString("a")])]), .array([]), .bulk("b"), .error("ERR c"),
            ])
        ),
    ]

    @Test("Every type of RESP2 is read", arguments: validReplies)
    func everyType(wire: String, value: RESPValue) {
        #expect(read(wire) == Outcome(replies: [value]))
    }

    @Test("It does not matter where the bytes are cut", arguments: validReplies)
    func everyCut(wire: String, value: RESPValue) {
        let bytes = Array(wire.utf8)
        for cut in 0...bytes.count {
            #expect(read(bytes, pieces: [cut]) == Outcome(replies: [value]), "cut at \(cut)")
        }
        #expect(read(bytes, pieces: bytes.map { _ in 1 }) == Outcome(replies: [value]), "byte by byte")
    }

    @Test("A reply is there with its last byte and not before", arguments: validReplies)
    func notEarly(wire: String, value: RESPValue) {
        let bytes = Array(wire.utf8)
        for count in 0..<bytes.count {
            #expect(read(bytes.prefix(count)) == Outcome(), "\(count) of \(bytes.count) bytes")
        }
    }

    @Test("Pipelined replies come out in order, one by one")
    func pipelined() throws {
        let values = Self.validReplies.map(\.value)
        let wire = Self.validReplies.map(\.wire).joined()
        #expect(read(wire) == Outcome(replies: values))

        let reader = ReplyReader()
        try reader.feed("-ERR x\r\n+OK\r\n")
        #expect(try reader.next() == .error("ERR x"))
        #expect(try reader.next() == .simpleString("OK"))
        #expect(try reader.next() == nil)
    }

    @Test("More replies than any buffer holds at once pass through one reader")
    func longStream() throws {
        let reader = ReplyReader()
        let block = String(repeating: "+OK\r\n:7\r\n$3\r\nabc\r\n", count: 2_000)
        for _ in 0..<20 {
            try reader.feed(block)
            for _ in 0..<2_000 {
                #expect(try reader.next() == .simpleString("OK"))
                #expect(try reader.next() == .integer(7))
                #expect(try reader.next() == .bulk("abc"))
            }
            #expect(try reader.next() == nil)
        }
    }

    @Test("Random replies survive the way through the wire, however they are cut")
    func roundTrip() {
        var generator = SeededRandom(seed: 1)
        for _ in 0..<2_000 {
            let values = (0..<3).map { _ in RESPValue.random(depth: 4, using: &generator) }
            let bytes = values.flatMap(\.encoded)
            let lengths = (0..<20).map { _ in Int.random(in: 0...20, using: &generator) }
            #expect(read(bytes, pieces: lengths) == Outcome(replies: values))
        }
    }

    @Test("A status that is not UTF-8 is repaired, a bulk string is not touched")
    func notUTF8() {
        #expect(read([0x2b, 0xff, 0x0d, 0x0a]) == Outcome(replies: [.simpleString("\u{fffd}")]))
        #expect(read(Array("$1\r\n".utf8) + [0xff, 0x0d, 0x0a]) == Outcome(replies: [.bulkString([0xff])]))
    }

    @Test(
        "What is not RESP2 is refused",
        arguments: [
            ":+1\r\n", ":\r\n", ":01\r\n", ": 1\r\n", ":1 \r\n", ":1.5\r\n", ":-\r\n", ":9223372036854775808\r\n",
            "$-2\r\n", "$+1\r\n", "$\r\n", "$x\r\n", "$01\r\na\r\n", "$92233720368547758070\r\n",
            "*-2\r\n", "*+1\r\n", "*\r\n", "*x\r\n", "*9223372036854775808\r\n",
            "HTTP/1.1 400 Bad Request\r\n", "\r\n", "\n", "OK\r\n", "\0", "SSH-2.0-OpenSSH_9.2\r\n",
            "*1\r\nOK\r\n", "*2\r\n:1\r\n\r\n",
        ]
    )
    func violations(wire: String) {
        let outcome = read(wire)
        #expect(outcome.replies.isEmpty)
        #expect(outcome.error?.code == .protocolViolation)
        #expect(read(wire, pieces: wire.utf8.map { _ in 1 }) == outcome, "byte by byte")
    }

    @Test(
        "A bulk string must end with CRLF",
        arguments: ["$2\r\nabcd", "$2\r\nabc\n", "$2\r\nab\rx", "$0\r\n$0", "*1\r\n$2\r\nab:1\r\n"]
    )
    func bulkWithoutLineEnd(wire: String) {
        #expect(read(wire).error?.code == .protocolViolation)
    }

    @Test("A line ends at CRLF only", arguments: ["+a\rb\r\n", "+a\nb\r\n", "-a\nb\r\n", "+a\r\r\n", "+\n\r\n"])
    func loneLineEnds(wire: String) {
        #expect(read(wire).error?.code == .protocolViolation)
    }

    @Test(
        "The types of RESP3 are refused, alone and inside an array",
        arguments: [
            "_\r\n", ",3.14\r\n", ",inf\r\n", "#t\r\n", "#f\r\n", "(3492890328409238509324850943850943825024385\r\n",
            "!21\r\nSYNTAX invalid syntax\r\n", "=15\r\ntxt:Some string\r\n", "%1\r\n+a\r\n:1\r\n", "%0\r\n",
            "~2\r\n+a\r\n+b\r\n", "~0\r\n", ">2\r\n+message\r\n+a\r\n", ">0\r\n", "|1\r\n+a\r\n+b\r\n+OK\r\n",
        ]
    )
    func newerTypes(wire: String) {
        for wire in [wire, "*1\r\n\(wire)", "*2\r\n*1\r\n\(wire):5\r\n", "*3\r\n:1\r\n\(wire)*2\r\n:1\r\n:2\r\n"] {
            let outcome = read(wire)
            #expect(outcome.replies.isEmpty, "\(wire)")
            #expect(outcome.error?.code == .protocolViolation, "\(wire)")
        }
    }

    @Test("A reader that failed stays dead and says why", arguments: ["?", "*5000\r\n", "$2\r\nabcd"])
    func deadReader(wire: String) throws {
        let reader = ReplyReader()
        try reader.feed("+OK\r\n\(wire)+OK\r\n")
        #expect(try reader.next() == .simpleString("OK"))
        let first = #expect(throws: ReplyError.self) { try reader.next() }
        for _ in 0..<3 {
            #expect(#expect(throws: ReplyError.self) { try reader.next() } == first)
            #expect(#expect(throws: ReplyError.self) { try reader.feed("+OK\r\n") } == first)
        }
    }

    @Test("No byte of the server makes an error unsafe to log")
    func loggableErrors() throws {
        for byte in UInt8.min...UInt8.max where !"+-:$*".utf8.contains(byte) {
            let message = try #require(read([byte] + Array("\u{1b}[2J\r\n".utf8)).error?.description)
            #expect(message.utf8.count < 250)
            #expect(message.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }, "\(byte)")
        }
    }

    @Test("The views of a value")
    func views() {
        #expect(RESPValue.simpleString("OK").string == "OK")
        #expect(RESPValue.bulk("grüße").string == "grüße")
        #expect(RESPValue.bulkString([0xff]).string == nil)
        #expect(RESPValue.error("ERR").string == nil)
        #expect(RESPValue.error("ERR").error == "ERR")
        #expect(RESPValue.integer(1).integer == 1)
        #expect(RESPValue.bulk("1").integer == nil)
        #expect(RESPValue.array([.null]).array == [.null])
        #expect(RESPValue.null.array == nil)
    }
}

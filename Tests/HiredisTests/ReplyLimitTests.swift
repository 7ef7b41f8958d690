// SPDX-License-Identifier: Apache-2.0

import Hiredis
import Testing

@Suite("Limits of replies")
struct ReplyLimitTests {
    private static func nested(_ depth: Int) -> String {
        String(repeating: "*1\r\n", count: depth) + ":1\r\n"
    }

    @Test("As many array elements as allowed, and not one more")
    func arrayElements() {
        let allowed = RESPValue.array(.init(repeating: .integer(1), count: 1_024))
        let oneMore = RESPValue.array(.init(repeating: .integer(1), count: 1_025))
        #expect(read(allowed.encoded) == Outcome(replies: [allowed]))
        #expect(read(oneMore.encoded).error?.code == .limitExceeded)
        #expect(read("*1\r\n*1025\r\n").error?.code == .limitExceeded)

        let none = ReplyLimits(maximumArrayElements: 0)
        #expect(read("*0\r\n", limits: none) == Outcome(replies: [.array([])]))
        #expect(read("*1\r\n", limits: none).error?.code == .limitExceeded)
    }

    @Test("As deep as allowed, and not one deeper")
    func depth() {
        #expect(read(Self.nested(4)).replies.count == 1)
        #expect(read(Self.nested(5)).error?.code == .limitExceeded)
        #expect(read("*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n").error?.code == .limitExceeded, "an empty array is one too")
        #expect(read("*0\r\n", limits: .init(maximumDepth: 0)).error?.code == .limitExceeded)

        let generous = ReplyLimits(maximumDepth: 100)
        #expect(read(Self.nested(7), limits: generous).replies.count == 1)
        #expect(read(Self.nested(101), limits: generous).error != nil)
    }

    @Test("Depth counts what is open, not what was opened before")
    func depthOfSiblings() {
        let siblings = "*3\r\n" + String(repeating: "*1\r\n*1\r\n*1\r\n:1\r\n", count: 3)
        #expect(read(siblings + siblings).replies.count == 2)
    }

    @Test("A reply as long as allowed, and not one byte longer, in whatever pieces")
    func replyBytes() {
        // `$65526\r\n` and the CRLF at the end are 10 bytes.
        for (length, fits) in [(65_526, true), (65_527, false), (65_536, false), (65_537, false), (200_000, false)] {
            let bytes = RESPValue.bulkString(.init(repeating: 7, count: length)).encoded
            for pieces in [[], [1], [8], [9, 65_000], [8, 65_527], Array(repeating: 997, count: 70)] {
                let outcome = read(bytes, pieces: pieces)
                #expect(outcome.replies.count == (fits ? 1 : 0), "\(length) in \(pieces)")
                #expect(outcome.error?.code == (fits ? nil : .limitExceeded), "\(length) in \(pieces)")
            }
        }
    }

    @Test("The limit is on one reply, not on all that were pipelined")
    func pipelinedReplies() {
        let reply = RESPValue.bulkString(.init(repeating: 7, count: 50_000)).encoded
        #expect(read(reply + reply + reply.dropLast()).replies.count == 2)
        #expect(read(reply + reply + reply.dropLast()).error == nil)
    }

    @Test("Small elements that together are too long are refused, whole or in pieces")
    func sumOfElements() {
        let elements = [RESPValue](repeating: .bulkString(.init(repeating: 7, count: 100)), count: 1_000)
        let bytes = RESPValue.array(elements).encoded
        #expect(read(bytes).error?.code == .limitExceeded)
        #expect(read(bytes, pieces: .init(repeating: 500, count: 1_000)).error?.code == .limitExceeded)
        #expect(read(bytes, limits: .init(maximumReplyBytes: bytes.count)) == Outcome(replies: [.array(elements)]))
        #expect(read(bytes, limits: .init(maximumReplyBytes: bytes.count - 1)).error?.code == .limitExceeded)
    }

    @Test(
        "An announcement that exceeds a limit is refused at once",
        arguments: [
            "*2147483647\r\n", "*1\r\n*2147483647\r\n", "$9223372036854775807\r\n", "$2147483648\r\n", "$65537\r\n",
            "*2\r\n:1\r\n$9223372036854775807\r\n", "*1\r\n$65537\r\n",
        ]
    )
    func announcements(wire: String) {
        var outcome = Outcome()
        let duration = ContinuousClock().measure { outcome = read(wire) }
        #expect(outcome.error?.code == .limitExceeded)
        #expect(duration < .milliseconds(50))
    }

    @Test("A line that never ends is refused", arguments: ["+", "-", ":", "$", "*", "$1", "*1", "*1\r\n+"])
    func endlessLine(start: String) throws {
        let reader = ReplyReader()
        try reader.feed(start)
        var fedByteCount = start.utf8.count
        let error = #expect(throws: ReplyError.self) {
            while fedByteCount < 1_000_000 {
                try reader.feed(String(repeating: "1", count: 1_000))
                fedByteCount += 1_000
                _ = try reader.next()
            }
        }
        #expect(error?.code == .limitExceeded)
        #expect(fedByteCount <= 67_000)
    }

    @Test("An array that arrives bit by bit is refused at the limit, not at its end")
    func endlessArray() throws {
        let reader = ReplyReader()
        var fedByteCount = 0
        try reader.feed("*1024\r\n")
        let error = #expect(throws: ReplyError.self) {
            while fedByteCount < 1_000_000 {
                try reader.feed(RESPValue.bulkString(.init(repeating: 7, count: 990)).encoded[...])
                fedByteCount += 1_000
                _ = try reader.next()
            }
        }
        #expect(error?.code == .limitExceeded)
        #expect(fedByteCount <= 67_000)
    }
}

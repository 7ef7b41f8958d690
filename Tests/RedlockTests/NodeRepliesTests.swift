// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport
import Testing

@testable import Redlock

/// Which reply belongs to which command, and what becomes of votes whose TIME is none.
@Suite
struct NodeRepliesTests {
    private final class Receiver: ReplyReceiver {
        var replies: [RESPValue] = []
        var failures: [NodeFailure] = []

        func received(_ reply: RESPValue, from node: Int) { replies.append(reply) }
        func failed(_ failure: NodeFailure, at node: Int) { failures.append(failure) }
    }

    private final class Abandoned {
        var failures: [NodeFailure] = []
    }

    private let time = RESPValue.array([.bulkString(Array("1767225600".utf8)), .bulkString(Array("5".utf8))])

    private func replies(_ abandoned: Abandoned) -> NodeReplies {
        NodeReplies(
            node: 0,
            verifiesVotes: true,
            now: { Instant(nanoseconds: 0) },
            judge: { _ in true },
            sendWhole: { _, _ in },
            abandonConnection: { abandoned.failures.append($0) }
        )
    }

    private func extend() -> NodeCommand {
        .extend(
            [NodeCommand.LockKeys(prefix: "", kind: .nameAlone, name: "a")],
            ownerToken: OwnerToken(highBits: 1, lowBits: 2, label: "x"),
            ttlMilliseconds: 1_000
        )
    }

    @Test
    func voteCountsWhenTheTimeBehindItIsThere() {
        let (abandoned, receiver) = (Abandoned(), Receiver())
        let replies = replies(abandoned)
        replies.expect(replyTo: extend(), .digest, receiver: receiver)
        replies.expectTime(sent: Instant(nanoseconds: 0))
        replies.received(.integer(7), from: 0)
        #expect(receiver.replies.isEmpty)
        replies.received(time, from: 0)
        #expect(receiver.replies == [.integer(7)])
        #expect(abandoned.failures.isEmpty)
    }

    /// One reply too many, while others are awaited, moves every later one by a place: the first TIME shows it.
    @Test
    func oneReplyTooManyEndsTheConnection() {
        let (abandoned, receiver) = (Abandoned(), Receiver())
        let replies = replies(abandoned)
        for _ in 0..<2 {
            replies.expect(replyTo: extend(), .digest, receiver: receiver)
            replies.expectTime(sent: Instant(nanoseconds: 0))
        }
        replies.received(.integer(7), from: 0)
        replies.received(.integer(7), from: 0)
        #expect(receiver.replies.isEmpty)
        #expect(receiver.failures.map(\.kind) == [.protocolViolation])
        #expect(abandoned.failures.map(\.kind) == [.protocolViolation])
    }

    /// A user who may not ask for the time has no votes, and keeps the connection.
    @Test
    func refusedTimeIsNoViolation() {
        let (abandoned, receiver) = (Abandoned(), Receiver())
        let replies = replies(abandoned)
        replies.expect(replyTo: extend(), .digest, receiver: receiver)
        replies.expectTime(sent: Instant(nanoseconds: 0))
        replies.received(.integer(7), from: 0)
        replies.received(.error("NOPERM this user has no permissions to run the 'time' command"), from: 0)
        #expect(receiver.failures.map(\.kind) == [.permission])
        #expect(abandoned.failures.isEmpty)
    }
}

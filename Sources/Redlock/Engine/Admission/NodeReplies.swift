// SPDX-License-Identifier: Apache-2.0

import DequeModule
package import Hiredis
import LockCore
package import RedisTransport

/// Who sends a script to nodes, some of which may not have it: they were restarted, or told to forget their scripts.
///
/// Such a node has done nothing. It is sent the whole script, and the sender is told the answer to that.
protocol ScriptSender: ReplyReceiver {
    /// The command as it is to be sent to the node now; nil if it must not be sent any more, and then the sender is told
    /// the answer to the first.
    func command(for node: Int) -> NodeCommand?
}

/// Takes the replies of one node and hands them to those who wait for them.
///
/// Every write to a node of the standard profile ends with one TIME. The votes of the write are handed on only when that
/// answer is there and the clock is good: a key that expired early, because the clock jumped, would make room for a
/// grant that must not be. TIME comes last because a jump may lie between the commands of one write.
package final class NodeReplies: ReplyReceiver {
    private struct Awaited {
        enum Kind {
            case vote
            case answer
            /// The TIME at the end of a write, which was sent at this instant.
            case time(sent: Instant)
        }

        let kind: Kind
        let receiver: any ReplyReceiver
        /// Whether it was sent as the digest of a script, which the node may not have.
        var isDigest = false
    }

    private struct Vote {
        let reply: RESPValue
        let receiver: any ReplyReceiver
    }

    private let node: Int
    private let judge: (ClockSample) -> Bool
    private let sendWhole: (NodeCommand, any ReplyReceiver) -> Void
    private let abandonConnection: (NodeFailure) -> Void
    private let now: () -> Instant
    @exclusivity(unchecked) private var awaited = Deque<Awaited>()
    @exclusivity(unchecked) private var unverified: [Vote] = []
    @exclusivity(unchecked) private var votesAtHand: [Vote] = []
    private let verifiesVotes: Bool

    /// - Parameters:
    ///   - verifiesVotes: whether votes wait for the TIME behind them.
    ///   - judge: takes a reading of the node's clock; tells whether the clock is good.
    ///   - sendWhole: sends a script whole to the node, which does not have it.
    ///   - abandonConnection: ends the connection, whose replies are not those to the commands any more.
    init(
        node: Int,
        verifiesVotes: Bool,
        now: @escaping () -> Instant,
        judge: @escaping (ClockSample) -> Bool,
        sendWhole: @escaping (NodeCommand, any ReplyReceiver) -> Void,
        abandonConnection: @escaping (NodeFailure) -> Void
    ) {
        self.node = node
        self.verifiesVotes = verifiesVotes
        self.now = now
        self.judge = judge
        self.sendWhole = sendWhole
        self.abandonConnection = abandonConnection
    }

    /// Whether the node has not answered everything yet.
    var isAwaiting: Bool { !awaited.isEmpty }

    /// Notes that a command is on its way.
    func expect(replyTo command: NodeCommand, _ form: ScriptForm, receiver: any ReplyReceiver) {
        awaited.append(
            Awaited(
                kind: verifiesVotes && command.isVote && !isPlanted(.votesNotVerified) ? .vote : .answer,
                receiver: receiver,
                isDigest: form == .digest
            )
        )
    }

    /// Takes back the last note: the command was not sent.
    func expectNoReply() {
        _ = awaited.popLast()
    }

    /// Notes that a TIME is on its way, behind everything that was sent before.
    func expectTime(sent: Instant) {
        awaited.append(Awaited(kind: .time(sent: sent), receiver: self))
    }

    package func received(_ reply: RESPValue, from node: Int) {
        guard let first = awaited.popFirst() else { return }
        // Once: a node that does not know the whole script either gives an answer like any other.
        if first.isDigest, reply.isScriptMissing, let sender = first.receiver as? any ScriptSender,
            let command = sender.command(for: node)
        {
            return sendWhole(command, sender)
        }
        switch first.kind {
        case .answer: first.receiver.received(reply, from: node)
        case .vote: unverified.append(Vote(reply: reply, receiver: first.receiver))
        case .time(let sent): timeReceived(reply, sent: sent)
        }
    }

    package func failed(_ failure: NodeFailure, at node: Int) {
        let first = awaited.popFirst()
        // Those came before: what their votes are worth will never be known.
        failUnverified(failure)
        if let first, first.receiver !== self { first.receiver.failed(failure, at: node) }
    }

    private func timeReceived(_ reply: RESPValue, sent: Instant) {
        guard let serverMicroseconds = reply.serverMicroseconds else {
            if reply.error != nil {
                return failUnverified(NodeFailure(.permission, "TIME was refused: \(reply.problem)"))
            }
            // One reply too many or too few, while others are awaited, shows here: nobody knows any more which reply
            // belongs to which command.
            let failure = NodeFailure(.protocolViolation, "the server answered TIME with something else")
            failUnverified(failure)
            return abandonConnection(failure)
        }
        let sample = ClockSample(sent: sent, received: now(), serverMicroseconds: serverMicroseconds)
        guard judge(sample) else {
            return failUnverified(NodeFailure(.notServing, "its clock jumped"))
        }
        // Their memory is used in turn.
        swap(&unverified, &votesAtHand)
        for vote in votesAtHand { vote.receiver.received(vote.reply, from: node) }
        votesAtHand.removeAll(keepingCapacity: true)
    }

    private func failUnverified(_ failure: NodeFailure) {
        guard !unverified.isEmpty else { return }
        let votes = unverified
        unverified = []
        for vote in votes { vote.receiver.failed(failure, at: node) }
    }
}

extension RESPValue {
    /// Whether the node says that it does not have the script; then it has done nothing.
    var isScriptMissing: Bool { error?.hasPrefix("NOSCRIPT") ?? false }
}

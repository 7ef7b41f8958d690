// SPDX-License-Identifier: Apache-2.0

package import Hiredis
import LockCore
import NIOCore
package import RedisTransport

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
    }

    private let node: Int
    private let judge: (ClockSample) -> Bool
    private let now: () -> Instant
    private var awaited = CircularBuffer<Awaited>()
    private var unverified: [(reply: RESPValue, receiver: any ReplyReceiver)] = []
    private let verifiesVotes: Bool

    /// - Parameters:
    ///   - verifiesVotes: whether votes wait for the TIME behind them.
    ///   - judge: takes a reading of the node's clock; tells whether the clock is good.
    init(node: Int, verifiesVotes: Bool, now: @escaping () -> Instant, judge: @escaping (ClockSample) -> Bool) {
        self.node = node
        self.verifiesVotes = verifiesVotes
        self.now = now
        self.judge = judge
    }

    /// Notes that a command is on its way.
    func expect(replyTo command: NodeCommand, receiver: any ReplyReceiver) {
        awaited.append(Awaited(kind: verifiesVotes && command.isVote ? .vote : .answer, receiver: receiver))
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
        switch first.kind {
        case .answer: first.receiver.received(reply, from: node)
        case .vote: unverified.append((reply, first.receiver))
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
            return failUnverified(NodeFailure(.permission, "TIME was refused: \(reply.problem)"))
        }
        let sample = ClockSample(sent: sent, received: now(), serverMicroseconds: serverMicroseconds)
        guard judge(sample) else {
            return failUnverified(NodeFailure(.notServing, "its clock jumped"))
        }
        let votes = unverified
        unverified.removeAll(keepingCapacity: true)
        for vote in votes { vote.receiver.received(vote.reply, from: node) }
    }

    private func failUnverified(_ failure: NodeFailure) {
        guard !unverified.isEmpty else { return }
        let votes = unverified
        unverified = []
        for vote in votes { vote.receiver.failed(failure, at: node) }
    }
}

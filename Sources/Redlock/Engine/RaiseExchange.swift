// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// The request of one attempt to raise counters that stand below its token.
final class RaiseExchange: ScriptSender {
    private let command: NodeCommand
    private let attempt: AcquireAttempt
    private let engine: LockEngine

    init(command: NodeCommand, attempt: AcquireAttempt, engine: LockEngine) {
        self.command = command
        self.attempt = attempt
        self.engine = engine
    }

    func command(for node: Int) -> NodeCommand? { command }

    func received(_ reply: RESPValue, from node: Int) {
        switch reply {
        case .integer(1): attempt.countRaise(.raised, by: node, problem: nil)
        case .integer(0): attempt.countRaise(.gone, by: node, problem: "lost the lock again")
        default: attempt.countRaise(.unknown, by: node, problem: reply.problem)
        }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        attempt.countRaise(.unknown, by: node, problem: failure.message)
    }
}

extension LockEngine {
    /// Has nodes that granted raise their counters to the end of the block that begins with the token.
    func raise(to token: Int64, for attempt: AcquireAttempt, on nodes: NodeSet) {
        let command = NodeCommand.raise(
            attempt.claim.locks.map(profile.keys(of:)),
            ownerToken: attempt.ownerToken,
            blockEnd: token + attempt.tokenCount - 1,
            lifeMilliseconds: counterLifeMilliseconds(token: token)
        )
        metrics.raised()
        send(command, to: nodes, receiver: RaiseExchange(command: command, attempt: attempt, engine: self))
    }

    func counterLifeMilliseconds(token: Int64) -> Int64 {
        let now = admission.nodeMicroseconds ?? surroundings.wallMicroseconds
        return NodeCommand.counterLifeMilliseconds(token: token, microseconds: now)
    }
}

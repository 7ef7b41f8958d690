// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// One round of extending a lease, on its way to the nodes.
final class ExtendExchange: ReplyReceiver {
    typealias Completion = (ExtendRound.Decision, [Int: String]) -> Void

    private let command: NodeCommand
    private var round: ExtendRound
    private var problems: [Int: String] = [:]
    private var fallback = WholeScriptFallback()
    private let engine: LockEngine
    private var completion: Completion?

    init(command: NodeCommand, round: ExtendRound, engine: LockEngine, completion: @escaping Completion) {
        self.command = command
        self.round = round
        self.engine = engine
        self.completion = completion
    }

    /// Asks the nodes, and counts those that cannot be asked.
    func send(to nodes: NodeSet) {
        engine.send(command, to: nodes, receiver: self)
        for node in engine.allNodes.subtracting(nodes) {
            problems[node] = engine.problem(ofNodeNotAsked: node)
            count(.unknown, by: node)
        }
    }

    func received(_ reply: RESPValue, from node: Int) {
        guard !fallback.answers(reply, to: command, from: node, receiver: self, engine: engine) else { return }
        switch reply {
        case .integer(1):
            count(.stillMine, by: node)
        case .integer(0):
            problems[node] = "does not have the lock"
            count(.missing, by: node)
        case .integer(-1):
            problems[node] = "another owner has the lock"
            count(.foreign, by: node)
        default:
            problems[node] = reply.problem
            count(.unknown, by: node)
        }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        problems[node] = failure.message
        count(.unknown, by: node)
    }

    private func count(_ answer: ExtendRound.Answer, by node: Int) {
        guard let decision = round.answered(answer, by: node, at: engine.surroundings.now) else { return }
        let completion = self.completion
        self.completion = nil
        completion?(decision, problems)
    }
}

extension LockEngine {
    /// Asks every node to keep the key at least for the TTL from now.
    ///
    /// `validUntil` is the end of the validity so far, nil if the caller has the owner token and no more. Nodes that are
    /// excluded are not asked and have no vote.
    func extend(
        resource: String,
        ownerToken: OwnerToken,
        timing: LeaseTiming,
        validUntil: Instant?,
        without excluded: NodeSet = [],
        completion: @escaping ExtendExchange.Completion
    ) {
        let round = ExtendRound(quorum: quorum, timing: timing, start: surroundings.now, validUntil: validUntil)
        let command = NodeCommand.expireIfEqual(
            key: resource,
            ownerToken: ownerToken,
            ttlMilliseconds: timing.ttlMilliseconds
        )
        ExtendExchange(command: command, round: round, engine: self, completion: completion)
            .send(to: usableNodes.subtracting(excluded))
    }
}

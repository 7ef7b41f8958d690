// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// One look at a lock on every node.
final class ReadExchange: ScriptSender {
    private struct Reading {
        let value: [UInt8]
        let remainingMilliseconds: Int64?
    }

    /// The highest token that any node ever granted.
    private var lastToken: FencingToken?
    /// How many clients wait on the node that knows of most.
    private var waitingClients: Int?

    private let resource: String
    private let engine: LockEngine
    private var readings: [Int: Reading] = [:]
    private var problems: [Int: String] = [:]
    private var open: NodeSet
    private var timer: (any LoopTimer)?
    private var completion: ((LockStatus) -> Void)?

    init(resource: String, engine: LockEngine, completion: @escaping (LockStatus) -> Void) {
        self.resource = resource
        self.engine = engine
        self.open = engine.allNodes
        self.completion = completion
    }

    private var command: NodeCommand {
        let profile = engine.profile
        let counting = profile.waitingQueue(resource).map { queue in
            NodeCommand.Counting(fence: profile.fenceKey(resource), queue: queue.queue)
        }
        return .read(lock: profile.lockKey(resource), counting: counting)
    }

    func send(to nodes: NodeSet, within nanoseconds: Int64) {
        let end = engine.surroundings.now.advanced(byNanoseconds: nanoseconds)
        timer = engine.surroundings.schedule(at: end) { [weak self] in self?.complete() }
        engine.send(command, to: nodes, receiver: self)
        for (node, problem) in engine.problems(ofNodesOutside: nodes) { failed(problem, at: node) }
    }

    func command(for node: Int) -> NodeCommand? { command }

    func received(_ reply: RESPValue, from node: Int) {
        guard case .array(let elements) = reply, elements.count == 4, let milliseconds = elements[1].integer else {
            return failed(reply.problem, at: node)
        }
        if let counter = elements[2].string.flatMap({ Int64($0) }) {
            lastToken = max(lastToken ?? FencingToken(rawValue: counter), FencingToken(rawValue: counter))
        }
        if let waiting = elements[3].integer { waitingClients = max(waitingClients ?? 0, Int(waiting)) }
        if case .bulkString(let value) = elements[0] {
            readings[node] = Reading(value: value, remainingMilliseconds: milliseconds < 0 ? nil : milliseconds)
        }
        settle(node)
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        failed(failure.message, at: node)
    }

    private func failed(_ problem: String, at node: Int) {
        problems[node] = problem
        settle(node)
    }

    private func settle(_ node: Int) {
        open.remove(node)
        if open.isEmpty { complete() }
    }

    private func complete() {
        guard let completion else { return }
        self.completion = nil
        timer?.cancel()
        completion(status())
    }

    // MARK: The picture

    private func status() -> LockStatus {
        for node in open { problems[node] = "no answer in time" }
        var ownerNumbers: [[UInt8]: Int] = [:]
        var nodes: [LockStatus.Node] = []
        for node in engine.nodeNames.indices {
            let state: LockStatus.NodeState
            if let reading = readings[node] {
                let number = ownerNumbers[reading.value] ?? ownerNumbers.count + 1
                ownerNumbers[reading.value] = number
                state = .held(Self.holder(reading.value, reading.remainingMilliseconds), ownerNumber: number)
            } else if let problem = problems[node] {
                state = .unavailable(reason: problem.printable())
            } else {
                state = .free
            }
            nodes.append(LockStatus.Node(name: engine.nodeNames[node], state: state))
        }
        return LockStatus(
            resource: resource,
            nodes: nodes,
            holder: holderOfQuorum(),
            lastFencingToken: lastToken,
            waitingClients: waitingClients,
            ownerTokens: ownerNumbers.sorted { $0.value < $1.value }.compactMap { value, _ in
                String(validating: value, as: UTF8.self).flatMap { OwnerToken(secretText: $0) }
            },
            ownerMarks: ownerNumbers.sorted { $0.value < $1.value }.map(\.key.hashValue),
            isQuorumReachable: nodes.count - problems.count >= engine.quorum.votesNeeded
        )
    }

    /// The owner that a quorum shows; it holds as long as a quorum does, so the Q-th longest life counts.
    private func holderOfQuorum() -> LockStatus.Holder? {
        let votesNeeded = engine.quorum.votesNeeded
        for (value, group) in Dictionary(grouping: readings.values, by: \.value) where group.count >= votesNeeded {
            let lives = group.compactMap(\.remainingMilliseconds).sorted(by: >)
            return Self.holder(value, lives.count >= votesNeeded ? lives[votesNeeded - 1] : nil)
        }
        return nil
    }

    private static func holder(_ value: [UInt8], _ milliseconds: Int64?) -> LockStatus.Holder {
        LockStatus.Holder(
            ownerToken: String(decoding: value, as: UTF8.self),
            remaining: milliseconds.map { .milliseconds($0) }
        )
    }
}

extension LockEngine {
    /// Looks at a lock on every node that can be asked; completes when all have answered or the time is over.
    func read(_ resource: String, within nanoseconds: Int64, completion: @escaping (LockStatus) -> Void) {
        ReadExchange(resource: resource, engine: self, completion: completion)
            .send(to: connectedNodes, within: nanoseconds)
    }
}

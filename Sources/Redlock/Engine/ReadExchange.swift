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

    /// The highest token that each node ever granted.
    private var lastTokens: [Int: FencingToken] = [:]
    /// How many clients wait on the node that knows of most.
    private var waitingClients: Int?

    private let name: ResourceName
    private let engine: LockEngine
    private var readings: [Int: Reading] = [:]
    /// What each node says of those who share the lock.
    private var shares: [Int: [Reading]] = [:]
    private var problems: [Int: String] = [:]
    /// The nodes that have something else in place of the lock.
    private var foreign: NodeSet = []
    private var open: NodeSet
    private var timer: (any LoopTimer)?
    private var completion: ((LockStatus) -> Void)?

    init(_ name: ResourceName, engine: LockEngine, completion: @escaping (LockStatus) -> Void) {
        self.name = name
        self.engine = engine
        self.open = engine.allNodes
        self.completion = completion
    }

    private var command: NodeCommand {
        let profile = engine.profile
        return .read(profile.keys(of: name), waiting: profile.waitingQueue(of: name))
    }

    func send(to nodes: NodeSet, within nanoseconds: Int64) {
        let end = engine.surroundings.now.advanced(byNanoseconds: nanoseconds)
        timer = engine.surroundings.schedule(at: end) { [weak self] in self?.complete() }
        engine.send(command, to: nodes, receiver: self)
        for (node, problem) in engine.problems(ofNodesOutside: nodes) { failed(problem, at: node) }
    }

    func command(for node: Int) -> NodeCommand? { command }

    func received(_ reply: RESPValue, from node: Int) {
        if reply.isOfWrongType {
            foreign.insert(node)
            return settle(node)
        }
        guard case .array(let elements) = reply, elements.count == 5, let milliseconds = elements[1].integer else {
            return failed(engine.problem(reply, of: node), at: node)
        }
        if let counter = elements[2].string.flatMap({ Int64($0) }) {
            lastTokens[node] = FencingToken(rawValue: counter)
        }
        if let waiting = elements[3].integer { waitingClients = max(waitingClients ?? 0, Int(waiting)) }
        if case .bulkString(let value) = elements[0] {
            readings[node] = Reading(value: value, remainingMilliseconds: milliseconds < 0 ? nil : milliseconds)
        }
        noteShares(elements[4].array ?? [], at: node)
        settle(node)
    }

    /// Each owner token before its life.
    private func noteShares(_ elements: [RESPValue], at node: Int) {
        for place in stride(from: 0, to: elements.count - 1, by: 2) {
            guard case .bulkString(let value) = elements[place] else { continue }
            shares[node, default: []].append(
                Reading(value: value, remainingMilliseconds: elements[place + 1].integer)
            )
        }
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
            } else if foreign.contains(node) {
                state = .notALock
            } else if let problem = problems[node] {
                state = .unavailable(reason: problem.printable())
            } else if let shares = shares[node] {
                state = .shared(holderCount: shares.count)
            } else {
                state = .free
            }
            nodes.append(LockStatus.Node(name: engine.nodeNames[node], state: state))
        }
        let owner = ownersOfQuorum(readings.values).first
        let holdingNodes = readings.filter { $0.value.value == owner?.value }.keys
        return LockStatus(
            resource: name.text,
            slot: name.slot,
            nodes: nodes,
            holder: owner.map(Self.holder),
            sharers: ownersOfQuorum(shares.values.joined()).map(Self.holder),
            lastFencingToken: lastTokens.values.max(),
            holderFencingToken: holdingNodes.compactMap { lastTokens[$0] }.max(),
            waitingClients: waitingClients,
            ownerTokens: ownerNumbers.sorted { $0.value < $1.value }.compactMap { Self.ownerToken($0.key) },
            sharerTokens: Set(shares.values.joined().map(\.value)).compactMap(Self.ownerToken),
            ownerMarks: ownerNumbers.sorted { $0.value < $1.value }.map(\.key.hashValue),
            isQuorumReachable: nodes.count - problems.count >= engine.quorum.votesNeeded
        )
    }

    /// The owners that a quorum shows; one holds as long as a quorum does, so the Q-th longest life counts.
    private func ownersOfQuorum(_ readings: some Sequence<Reading>) -> [Reading] {
        let votesNeeded = engine.quorum.votesNeeded
        let groups = Dictionary(grouping: readings, by: \.value).filter { $0.value.count >= votesNeeded }
        return groups.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { value, group in
            let lives = group.compactMap(\.remainingMilliseconds).sorted(by: >)
            return Reading(
                value: value,
                remainingMilliseconds: lives.count >= votesNeeded ? lives[votesNeeded - 1] : nil
            )
        }
    }

    private static func ownerToken(_ value: [UInt8]) -> OwnerToken? {
        String(validating: value, as: UTF8.self).flatMap { OwnerToken(secretText: $0) }
    }

    private static func holder(_ reading: Reading) -> LockStatus.Holder {
        holder(reading.value, reading.remainingMilliseconds)
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
    func read(_ name: ResourceName, within nanoseconds: Int64, completion: @escaping (LockStatus) -> Void) {
        ReadExchange(name, engine: self, completion: completion)
            .send(to: nodesWithLocks, within: nanoseconds)
    }

    /// Looks at the slots of a name side by side; completes with what is known of each, in their order.
    func readSlots(
        of name: ResourceName,
        count: Int,
        within nanoseconds: Int64,
        completion: @escaping ([LockStatus]) -> Void
    ) {
        let count = min(count, LockStatus.mostSlotsLookedAt)
        var statuses: [LockStatus?] = Array(repeating: nil, count: count)
        var awaited = count
        for slot in 0..<count {
            read(ResourceName(name.text, kind: .slot(slot)), within: nanoseconds) { status in
                statuses[slot] = status
                awaited -= 1
                if awaited == 0 { completion(statuses.compactMap { $0 }) }
            }
        }
    }
}

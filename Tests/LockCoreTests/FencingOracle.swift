// SPDX-License-Identifier: Apache-2.0

import LockCore

/// What a client heard in one attempt, and what follows from it by the rules: all of it anew from the whole log,
/// where the round keeps sets and moves nodes between them.
struct FencingOracle {
    enum Heard: Hashable {
        case answer(AcquireRound.Answer, node: Int)
        case raiseAnswer(AcquireRound.RaiseAnswer, node: Int)
    }

    let quorum: Quorum
    let validUntil: Instant
    private(set) var log: [Heard] = []
    private(set) var asked: NodeSet = []
    private(set) var decision: AcquireRound.Decision?

    init(quorum: Quorum, validUntil: Instant) {
        self.quorum = quorum
        self.validUntil = validUntil
    }

    /// The nodes that have not answered.
    var open: NodeSet {
        let answered = log.compactMap { if case .answer(_, let node) = $0 { node } else { nil } }
        return NodeSet(firstNodes: quorum.nodeCount).subtracting(NodeSet(answered))
    }

    /// The nodes that were asked to raise their counters and have not answered.
    var raising: NodeSet {
        let answered = log.compactMap { if case .raiseAnswer(_, let node) = $0 { node } else { nil } }
        return asked.subtracting(NodeSet(answered))
    }

    /// The grants in the order in which they were heard.
    private var grants: [(node: Int, token: Int64)] {
        log.compactMap { if case .answer(.granted(let token?), let node) = $0 { (node, token) } else { nil } }
    }

    /// The token of the lease, if there is to be one: raising begins with the Q-th grant, or never.
    var token: Int64? {
        grants.count < quorum.votesNeeded ? nil : grants.prefix(quorum.votesNeeded).map(\.token).max()
    }

    /// What the client is to do now that it has heard this; what does not count is not to be told here.
    mutating func hear(_ heard: Heard, isLate: Bool = false) -> AcquireRound.Step? {
        log.append(heard)
        guard decision == nil else { return nil }
        if let token {
            let isConfirmed = isConfirmed(for: token)
            let confirmed = (0..<quorum.nodeCount).count { isConfirmed($0) == true }
            let possible = (0..<quorum.nodeCount).count { isConfirmed($0) != false }
            let below = NodeSet(grants.filter { $0.token < token }.map(\.node)).subtracting(asked)
            if confirmed >= quorum.votesNeeded {
                decision = isLate ? .failed(.tooSlow) : .granted(validUntil: validUntil, token: token)
            } else if possible < quorum.votesNeeded {
                decision = .failed(reason { isConfirmed($0) == false })
            } else if !below.isEmpty {
                if !isLate {
                    asked = asked.union(below)
                    return .raise(below, token: token)
                }
                decision = .failed(.tooSlow)
            }
        } else {
            let possible = open.union(NodeSet(grants.map(\.node)))
            if possible.count < quorum.votesNeeded { decision = .failed(reason { !possible.contains($0) }) }
        }
        return decision.map { .end($0) }
    }

    /// Whether a node is confirmed; nil while that is open.
    private func isConfirmed(for token: Int64) -> (Int) -> Bool? {
        var result = [Bool?](repeating: nil, count: quorum.nodeCount)
        for case .answer(let answer, let node) in log {
            switch answer {
            case .granted(let answered?) where answered < token: break
            case .granted(let answered): result[node] = answered == token
            case .held, .refused, .unknown: result[node] = false
            }
        }
        for case .raiseAnswer(let answer, let node) in log { result[node] = answer == .raised }
        return { result[$0] }
    }

    /// Whether a quorum would have been possible, had nobody held the key.
    private func reason(_ isLost: (Int) -> Bool) -> AcquireRound.Failure {
        let working = (0..<quorum.nodeCount).count { !isLost($0) || log.contains(.answer(.held, node: $0)) }
        return working < quorum.votesNeeded ? .quorumUnavailable : .contended
    }
}

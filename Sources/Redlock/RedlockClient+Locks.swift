// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedisTransport

extension RedlockClient {
    /// How many locks are looked at side by side.
    private static let looksAtOnce = 64

    /// The locks that have a holder, sorted by name; and the names of locks in place of which a node has something that
    /// is none, see ``LockStatus/isNotALock``.
    ///
    /// It is a picture of the past, and not of one moment: the nodes are read step by step, so that they serve others in
    /// between, and each lock by itself. A lock that one owner holds all the time is in it.
    ///
    /// - Parameter pattern: which names; `*` stands for any characters, `?` for one, `[ab]` for one of several, and a
    ///   backslash before a character for itself, as in Redis.
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes let their keys be read, which takes the right
    ///   `+scan`, or too few answered for one of the locks.
    public func locks(matching pattern: String = "*") async throws -> [LockStatus] {
        try Self.validate(pattern: pattern)
        return try await statuses(matching: pattern).filter { $0.isHeld || $0.isNotALock }.sorted { one, other in
            if one.resource.utf8.elementsEqual(other.resource.utf8) { return (one.slot ?? -1) < (other.slot ?? -1) }
            return one.resource.utf8.lexicographicallyPrecedes(other.resource.utf8)
        }
    }

    static func validate(pattern: String) throws(RedlockError) {
        guard pattern.utf8.count <= ResourceName.maximumByteCount, !pattern.containsControlCharacters else {
            throw RedlockError(.invalidArgument, "the pattern is too long or has control characters")
        }
    }

    /// What the nodes say about each lock of a matching name that any node has a key for, and about others.
    ///
    /// - Throws: as `locks(matching:)`.
    func statuses(matching pattern: String, and others: Set<ResourceName> = []) async throws -> [LockStatus] {
        try await engine.waitUntilConnected()
        return try await statuses(of: try await names(matching: pattern).union(others))
    }

    /// What the nodes say about each of some locks.
    ///
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered for one of them.
    func statuses(of names: Set<ResourceName>) async throws -> [LockStatus] {
        var locks: [LockStatus] = []
        try await withThrowingTaskGroup(of: LockStatus.self) { group in
            for (place, name) in names.enumerated() {
                if place >= Self.looksAtOnce, let status = try await group.next() { locks.append(status) }
                group.addTask { try await self.inspect(name) }
            }
            for try await status in group { locks.append(status) }
        }
        if let silent = locks.first(where: { !$0.isQuorumReachable }) {
            throw RedlockError.noQuorum(silent.resource, "look at", silent.reports)
        }
        return locks
    }

    /// The names of all that any node has a key for.
    private func names(matching pattern: String) async throws -> Set<ResourceName> {
        let profile = engine.profile
        var names: Set<ResourceName> = []
        let nodes = await engine.onLoop(\.nodesWithLocks)
        var problems = await engine.onLoop { $0.problems(ofNodesOutside: nodes) }
        for node in nodes {
            do throws(NodeFailure) {
                for pattern in profile.holdingPatterns(matching: pattern) {
                    let keys = try await engine.keys(matching: pattern, on: node)
                    names.formUnion(keys.compactMap(profile.holding(ofKey:)))
                }
            } catch {
                problems[node] = error.message
            }
        }
        guard engine.quorum.nodeCount - problems.count >= engine.quorum.votesNeeded else {
            let message = "too few nodes let their locks be listed"
            throw RedlockError(.quorumUnavailable, message, nodes: engine.report(problems, otherwise: "listed"))
        }
        return names
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

extension RedlockClient {
    /// Takes a lock away from whoever holds it, for an operator who knows that the holder hangs or is gone.
    ///
    /// First the fence is raised to the last token that was reserved, on a quorum, so that every later holder has a higher
    /// one; then the keys are deleted, each only if it is still the one that was seen. **The holder is not stopped**: it
    /// finds out at its next renewal, a third of its TTL later at most, and one that does not renew goes on until its
    /// validity ends. Only a store that compares fencing tokens is safe from what it still does.
    ///
    /// - Returns: who held the lock; nil if no quorum of nodes showed one holder. Keys on fewer nodes are deleted all the
    ///   same.
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered; then the lock may be released in part.
    public func releaseByForce(_ resource: String) async throws -> LockStatus.Holder? {
        let status = try await inspect(resource)
        guard status.isQuorumReachable else {
            throw RedlockError.noQuorum(resource, "release", await report([:]))
        }
        if let last = status.lastFencingToken { _ = try await raiseFence(of: resource, toAtLeast: last) }
        var problems: [Int: String] = [:]
        for node in await engine.onLoop(\.connectedNodes) {
            do throws(NodeFailure) {
                try await deleteKey(of: resource, on: node)
            } catch {
                problems[node] = error.message
            }
        }
        let absent = await engine.onLoop { $0.problems(ofNodesOutside: $0.connectedNodes) }
        problems.merge(absent) { problem, _ in problem }
        guard engine.quorum.nodeCount - problems.count >= engine.quorum.votesNeeded else {
            throw RedlockError.noQuorum(resource, "release", await report(problems))
        }
        return status.holder
    }

    private func report(_ problems: [Int: String]) async -> [RedlockError.NodeReport] {
        await engine.onLoop { engine in
            engine.report(
                problems.merging(engine.problems(ofNodesOutside: engine.connectedNodes)) { problem, _ in problem },
                otherwise: "does not have it any more"
            )
        }
    }

    /// Deletes what lies at the key of the lock, unless it is something else by then, and wakes who waits for it.
    private func deleteKey(of resource: String, on node: Int) async throws(NodeFailure) {
        let key = engine.profile.lockKey(resource)
        let found = try await engine.ask(node, [.plain(["GET", key])]).get()[0]
        if found == .null { return }
        guard let value = found.string, let ownerToken = OwnerToken(secretText: value) else {
            throw NodeFailure(.permission, "what lies there is no lock: \(found.problem)")
        }
        let command = NodeCommand.release(
            lock: key,
            ownerToken: ownerToken,
            waking: engine.profile.waitingQueue(resource)
        )
        let reply = try await engine.ask(node, [command]).get()[0]
        guard reply.integer != nil else { throw NodeFailure(.permission, reply.problem) }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Hiredis
internal import LockCore
internal import RedisTransport

extension RedlockClient {
    /// Takes a lock away from whoever was seen to hold it, for an operator who knows that the holder hangs or is gone.
    ///
    /// First the fence is raised to the last token that was reserved, on a quorum, so that every later holder has a higher
    /// one; then the keys are deleted, but only those of the owners that `status` shows: whoever got the lock since keeps
    /// it. **The holder is not stopped**: it finds out at its next renewal, a third of its TTL later at most, and one that
    /// does not renew goes on until its validity ends. Only a store that compares fencing tokens is safe from what it still
    /// does.
    ///
    /// Where a node has something in place of the lock that is none, that is deleted; a lock that was taken since stays.
    ///
    /// - Parameter status: what `inspect(_:)` told. Keys that fewer nodes than a quorum have are deleted as well. Where more
    ///   than 32 share the lock, those who come meanwhile may lose it too.
    /// - Returns: whether a quorum of nodes still held it for one of these owners, or had something else in its place.
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered, then or now, too few have a vote to
    ///   raise the fence, in which case nothing was released, or a node did not delete what it has in place of the lock.
    public func releaseByForce(_ status: LockStatus) async throws -> Bool {
        guard status.isQuorumReachable else { throw RedlockError.noQuorum(status.resource, "release", status.reports) }
        if let last = status.lastFencingToken { _ = try await raiseFence(of: status.name, toAtLeast: last) }
        var wasHeld = try await removeForeignKeys(of: status)
        for ownerToken in status.ownerTokens {
            if try await release(status.claim, ownerToken: ownerToken) { wasHeld = true }
        }
        // A picture tells of some of many who share, so that a full one is followed by another.
        var sharers = Set(status.sharerTokens)
        var released: Set<OwnerToken> = []
        while !sharers.isEmpty {
            for ownerToken in sharers {
                if try await release(status.resource, mode: .shared, ownerToken: ownerToken) { wasHeld = true }
            }
            released.formUnion(sharers)
            guard status.sharerTokens.count >= LockStatus.mostSharers else { break }
            sharers = Set(try await inspect(status.name).sharerTokens).subtracting(released)
        }
        return wasHeld
    }

    /// Deletes what is no lock where it was seen; tells whether a quorum had such.
    private func removeForeignKeys(of status: LockStatus) async throws -> Bool {
        let nodes = status.nodes.indices.filter { status.nodes[$0].state == .notALock }
        let command = NodeCommand.removeForeign(engine.profile.keys(of: status.name))
        var problems: [Int: String] = [:]
        for node in nodes {
            switch await engine.ask(node, [command]) {
            case .success(let replies): if replies[0].integer == nil { problems[node] = replies[0].problem }
            case .failure(let failure): problems[node] = failure.message
            }
        }
        guard problems.isEmpty else {
            throw RedlockError(
                .quorumUnavailable,
                resource: status.resource,
                "not every node deleted what it has in place of \"\(status.title)\"",
                nodes: engine.report(problems, otherwise: "has nothing else in its place any more")
            )
        }
        return nodes.count >= engine.quorum.votesNeeded
    }
}

extension LockStatus {
    var name: ResourceName { ResourceName(resource, kind: slot.map { .slot($0) } ?? .lock) }

    /// What one who has it alone has claimed.
    fileprivate var claim: Claim {
        guard let slot else { return .exclusive(name) }
        // That one slot, and no more of them than are needed for it to be one.
        return .slot(slot, of: ResourceName(resource, kind: .slots), count: slot + 1)
    }

    /// What each node said, as an error tells it.
    package var reports: [RedlockError.NodeReport] {
        nodes.map { node in
            let outcome =
                switch node.state {
                case .free: "free"
                case .held(let holder, _): "held by \(holder.label ?? "a client of another kind")"
                case .shared(let count): "shared by \(count)"
                case .notALock: "has something in its place that is no lock"
                case .unavailable(let reason): reason
                }
            return RedlockError.NodeReport(node: node.name, outcome: outcome)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Hiredis
internal import LockCore
internal import RedisTransport

/// A grant that was written down, see ``LockOptions/recordedGrants``.
///
/// It is for people. Times are what the wall clock of the holder showed, since 1970 (Unix time).
public struct RecordedGrant: Hashable, Sendable {
    /// The token of the grant.
    public let fencingToken: FencingToken
    /// Who had the lock; `remaining` is nil, and `since` is when the lease began.
    public let holder: LockStatus.Holder
    /// When the lease ended; nil if its holder has not said so: it has the lock still, or ended without being able to.
    public let ended: Duration?
    /// Why it ended, as the holder told; nil if it did not.
    public let ending: String?
    /// Until when the lock was to stay after that, for its minimum hold; nil if it was not.
    public let keptUntil: Duration?

    init?(line: [UInt8]) {
        let text = String(decoding: line, as: UTF8.self)
        let fields = OwnerToken.fields(of: text)
        guard let token = fields[.token].flatMap({ Int64($0) }) else { return nil }
        fencingToken = FencingToken(rawValue: token)
        holder = LockStatus.Holder(ownerToken: text, remaining: nil)
        ended = fields[.until].flatMap { Int64($0) }.map { .milliseconds($0) }
        keptUntil = fields[.kept].flatMap { Int64($0) }.map { .milliseconds($0) }
        ending = fields[.ending].map { String($0).printable() }
    }
}

extension RedlockClient {
    /// The last grants of a lock, as far as their holders had them written down, in the order of their tokens.
    ///
    /// What one node has is enough, so that a grant is here even if most nodes were out of reach when it began or ended. What
    /// no node was told is not.
    ///
    /// - Parameter resource: the name of the lock.
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered.
    public func recordedGrants(of resource: String) async throws -> [RecordedGrant] {
        try ResourceName.validate(resource)
        try await engine.waitUntilConnected()
        let key = engine.profile.recordsKey(of: ResourceName(resource))
        let nodes = await engine.onLoop(\.nodesWithLocks)
        var problems = await engine.onLoop { $0.problems(ofNodesOutside: nodes) }
        var grants: [FencingToken: RecordedGrant] = [:]
        for node in nodes {
            switch await engine.ask(node, [.plain(["LRANGE", key, "\(-2 * LeaseTerms.mostRecords)", "-1"])]) {
            case .success(let replies):
                guard let lines = replies[0].array else {
                    let problem =
                        replies[0].isOfWrongType
                        ? "\(key) is no list; delete that key"
                        : await engine.onLoop { $0.problem(replies[0], of: node, rights: "+lrange") }
                    problems[node] = "its records cannot be read: \(problem)"
                    continue
                }
                for case .bulkString(let line) in lines {
                    guard let grant = RecordedGrant(line: line) else { continue }
                    if grants[grant.fencingToken]?.ended == nil { grants[grant.fencingToken] = grant }
                }
            case .failure(let failure): problems[node] = failure.message
            }
        }
        guard engine.quorum.nodeCount - problems.count >= engine.quorum.votesNeeded else {
            let message = "too few nodes told who had \"\(resource)\""
            throw RedlockError(
                .quorumUnavailable,
                resource: resource,
                message,
                nodes: engine.report(problems, otherwise: "told")
            )
        }
        // Nodes that missed some of them have older ones.
        return grants.values.sorted { $0.fencingToken < $1.fencingToken }.suffix(LeaseTerms.mostRecords)
    }
}

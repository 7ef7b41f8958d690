// SPDX-License-Identifier: Apache-2.0

extension LockChange: CustomStringConvertible {
    /// What happened to which lock or node, in one line.
    public var description: String {
        switch self {
        case .held(let status): "already held: \(status)"
        case .acquired(let status): "acquired: \(status)"
        case .changedHands(let status, let former): "changed hands: \(status); held before by \(former)"
        case .released(let resource, let holder): "released: \"\(resource)\", by \(holder)"
        case .expired(let resource, let holder): "expired: \"\(resource)\", last held by \(holder)"
        case .lost(let status, let holder): "lost by \(holder): \(status)"
        case .sharersJoined(let status, let count): "shared by \(count) more: \(status)"
        case .sharersLeft(let status, let count): "shared by \(count) fewer: \(status)"
        case .waitersJoined(let status, let count): "awaited by \(count) more: \(status)"
        case .waitersLeft(let status, let count): "awaited by \(count) fewer: \(status)"
        case .notALock(let status): "not a lock: \(status)"
        case .foreignDataGone(let resource): "a lock again: \"\(resource)\""
        case .nodeUnreachable(let node, let reason): "node \(node) cannot be reached: \(reason)"
        case .nodeLostVote(let node, let reason): "node \(node) has no vote: \(reason)"
        case .nodeRegainedVote(let node): "node \(node) has a vote again"
        case .quorumLost(let nodes): "too few nodes answer: \(nodes.map(\.description).joined(separator: "; "))"
        case .quorumRegained: "enough nodes answer again"
        }
    }
}

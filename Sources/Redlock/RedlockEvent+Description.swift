// SPDX-License-Identifier: Apache-2.0

extension RedlockEvent: CustomStringConvertible {
    /// What happened, in one line.
    public var description: String {
        switch self {
        case .granted(let resource, let token, let waited):
            "granted \"\(resource)\"" + (token.map { ", fencing token \($0)" } ?? "") + " after \(waited.briefText)"
        case .contended(let resource): "\"\(resource)\" is held by others"
        case .lost(let resource, let reason): "lost \"\(resource)\": \(reason)"
        case .releaseUnconfirmed(let release): release.description
        case .nodeAdmitted(let node): "node \(node) has a vote"
        case .nodeRefused(let node, let reason): "node \(node) has no vote: \(reason)"
        case .clockJumped(let node, let duration): "the clock of node \(node) jumped by \(duration)"
        case .ownClockJumped(let duration):
            "the clock of this client stood still or jumped, by \(duration); its leases were dropped"
        case .repaired(let resource, let node): "set the key of \"\(resource)\" again on node \(node)"
        case .unknownReply(let resource, let node, let reason):
            "it is not known what node \(node) did for \"\(resource)\": \(reason)"
        }
    }
}

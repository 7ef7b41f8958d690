// SPDX-License-Identifier: Apache-2.0

/// The locks of one election, all of which any client can look at.
struct ElectionNames: Sendable {
    /// So long that every name with what is added to it can be that of a lock, in bytes.
    static let longestElection = 256
    static let longestIdentity = 128

    /// Whoever has it leads.
    let leadership: String

    init(_ election: String) {
        leadership = election
    }

    /// Whoever has it asks the leader to hand over to the candidate that it notes.
    var handover: String { leadership + "/handover" }

    /// A candidate has a share in it for as long as it campaigns.
    func candidacy(of identity: String) -> String { leadership + "/candidate/" + identity }

    /// All candidates.
    var candidacies: String { leadership + "/candidate/*" }
}

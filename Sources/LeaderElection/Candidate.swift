// SPDX-License-Identifier: Apache-2.0

import Redlock

/// Who can lead.
public struct Candidate: Hashable, Sendable {
    /// What tells candidates apart.
    public let identity: String
    /// What else a candidate tells of itself, such as where it can be reached; nil if nothing.
    public let metadata: String?

    /// What stands for the identity of a holder of the lock that is no candidate, and has no label.
    static let unknownIdentity = "a client of another kind"

    /// A candidate of the given identity.
    public init(identity: String, metadata: String? = nil) {
        self.identity = identity
        self.metadata = metadata
    }
}

/// A candidate that campaigns now, as the nodes show it.
public struct LiveCandidate: Hashable, Sendable {
    /// Who it is.
    public let candidate: Candidate
    /// Of those who wait, the one with the highest leads next.
    public let priority: Int
    /// Where it runs.
    public let host: String?
    /// The id of its process there.
    public let process: Int32?
    /// Since when it campaigns, since 1970 (Unix time), by its own wall clock.
    public let since: Duration?

    /// What a leader that hands over to it names it by.
    let client: ClientIdentifier

    /// What the holder of a share in a candidate's lock says; nil if somebody else wrote it.
    init?(_ holder: LockStatus.Holder) {
        guard let identity = holder.label, let note = holder.note.flatMap({ CandidateNote($0) }) else { return nil }
        candidate = Candidate(identity: identity, metadata: note.metadata)
        priority = note.priority
        client = note.client
        host = holder.host
        process = holder.process
        since = holder.since
    }
}

/// What a candidate notes for others, in one line.
struct CandidateNote {
    /// So long may metadata be that they fit into the note of a lock with the rest, in bytes.
    static let longestMetadata = 220

    let client: ClientIdentifier
    let priority: Int
    let metadata: String?

    init(client: ClientIdentifier, priority: Int, metadata: String?) {
        self.client = client
        self.priority = priority
        self.metadata = metadata
    }

    init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 2)
        guard parts.count >= 2, let client = ClientIdentifier(String(parts[0])), let priority = Int(parts[1]) else {
            return nil
        }
        self.init(client: client, priority: priority, metadata: parts.count > 2 ? String(parts[2]) : nil)
    }

    var text: String { "\(client) \(priority)" + (metadata.map { " " + $0 } ?? "") }
}

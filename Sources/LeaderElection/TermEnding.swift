// SPDX-License-Identifier: Apache-2.0

public import Redlock

/// Why a leader ends its term before what leads has returned by itself.
enum TermEnding: Sendable {
    case resigned
    case handedOver(to: LiveCandidate)
    case notEligible

    /// The client that is to lead next.
    var successor: ClientIdentifier? {
        if case .handedOver(let successor) = self { successor.client } else { nil }
    }

    /// The reason as the history of terms tells it.
    var text: String {
        switch self {
        case .resigned: "resigned"
        case .handedOver(let successor): "handed over to \(successor.candidate.identity)"
        case .notEligible: "not eligible any more"
        }
    }

    func error(candidate: String, election: String) -> ElectionError {
        switch self {
        case .resigned: ElectionError(.resigned, "the candidate \"\(candidate)\" resigned from \"\(election)\"")
        case .handedOver(let successor):
            ElectionError(
                .handedOver,
                "the candidate \"\(candidate)\" handed \"\(election)\" over to \"\(successor.candidate.identity)\""
            )
        case .notEligible:
            ElectionError(.notEligible, "the candidate \"\(candidate)\" is not fit to lead \"\(election)\" any more")
        }
    }
}

/// One of the last terms of an election.
public struct PastTerm: Hashable, Sendable {
    /// The number of the term.
    public let number: FencingToken
    /// Who led.
    public let leader: Candidate
    /// Where it ran.
    public let host: String?
    /// The id of its process there.
    public let process: Int32?
    /// When it began, since 1970 (Unix time), by the wall clock of the leader.
    public let began: Duration?
    /// When it ended, by the same clock; nil if the leader has not said so: it leads still, or was gone before it could.
    public let ended: Duration?
    /// Why it ended; nil if the leader has not said so.
    public let ending: String?

    init(_ grant: RecordedGrant) {
        number = grant.fencingToken
        leader = Candidate(identity: grant.holder.label ?? Candidate.unknownIdentity, metadata: grant.holder.note)
        host = grant.holder.host
        process = grant.holder.process
        began = grant.holder.since
        ended = grant.ended
        ending = grant.ending
    }
}

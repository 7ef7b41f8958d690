// SPDX-License-Identifier: Apache-2.0

import Redlock

/// What anybody can see of an election.
extension LeaderElector {
    /// How many of the last terms the nodes keep a record of.
    static let termsInHistory = 32

    /// Who leads now, as a quorum of nodes shows it; nil if nobody does.
    ///
    /// - Throws: ``ElectionError`` with `outOfTouch` if too few nodes answer.
    public func currentLeader() async throws -> Leadership.Leader? {
        let status = try await redlock.inspect(name)
        guard status.isQuorumReachable else {
            throw ElectionError(
                .outOfTouch,
                "too few nodes answered to say who leads \"\(name)\"",
                nodes: status.reports
            )
        }
        return Leadership(status).leader
    }

    /// Who leads, from the first look on, and whenever it changes; the elector need not campaign.
    public func observe() -> LeadershipChanges {
        LeadershipChanges(
            elector: self,
            interval: min(max(configuration.retryPeriod / 4, .milliseconds(100)), .seconds(1))
        )
    }

    /// Who campaigns now, the leader among them, by priority and then by time: the first who does not lead is the next to.
    ///
    /// One that is gone is shown for as long as a lease lasts. The nodes look through their keys for it, so that it is for
    /// people and not for a loop.
    ///
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered, or let their keys be read.
    public func candidates() async throws -> [LiveCandidate] {
        let statuses = try await redlock.locks(matching: names.candidacies)
        return statuses.flatMap(\.sharers).compactMap(LiveCandidate.init).sorted { one, other in
            if one.priority != other.priority { return one.priority > other.priority }
            if one.since != other.since { return one.since ?? .zero < other.since ?? .zero }
            return one.candidate.identity < other.candidate.identity
        }
    }

    /// The last 32 terms in the order of their numbers, as far as their leaders had them written down.
    ///
    /// For people, after something went wrong: a leader that was cut off from all nodes left no trace of its end.
    ///
    /// - Throws: `RedlockError` with `quorumUnavailable` if too few nodes answered.
    public func history() async throws -> [PastTerm] {
        try await redlock.recordedGrants(of: name).map(PastTerm.init)
    }
}

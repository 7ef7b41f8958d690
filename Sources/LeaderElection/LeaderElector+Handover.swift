// SPDX-License-Identifier: Apache-2.0

import Redlock

/// Handing over to a candidate that is named.
extension LeaderElector {
    /// Lets another candidate lead.
    ///
    /// The leader, whoever it is, ends its term, and its release wakes the named candidate, which has the first turn. If it
    /// happens not to wait just then, somebody else may lead before it, and hands over as well.
    ///
    /// There is never more than one leader, and there is none for as long as what leads takes to end, the release, and the
    /// attempt of the successor: two round trips to the nodes. This elector need not campaign: a leader elsewhere sees the
    /// request within half a retry period.
    ///
    /// - Parameters:
    ///   - identity: the candidate that is to lead.
    ///   - patience: how long to wait for that; 15 s by default.
    /// - Throws: ``ElectionError`` with `noSuchCandidate` if nobody of that identity campaigns, with `handoverFailed` if it does
    ///   not lead when the time is over, two others have led meanwhile, or another request is under way, and with `outOfTouch`
    ///   if too few nodes answer; `CancellationError`.
    public func handOver(to identity: String, within patience: Duration = .seconds(15)) async throws {
        if try await currentLeader()?.candidate.identity == identity { return }
        let successor = try await candidateAfterItsPause(identity)
        let request = LockOptions(
            ttl: configuration.leaseDuration,
            wait: .atMost(.zero),
            label: candidate.identity,
            note: identity
        )
        do {
            // It stands until the successor leads: should another come first, that one hands over as well.
            try await redlock.withLock(names.handover, options: request) { _ in
                // If this is the leader, it need not find out.
                if identity != candidate.identity { end(.handedOver(to: successor)) }
                try await untilLeading(identity, within: patience)
            }
        } catch let error as RedlockError where error.code == .timedOut {
            throw ElectionError(
                .handoverFailed,
                "\"\(error.holder?.label ?? "somebody")\" is asking the leader of \"\(name)\" to hand over already"
            )
        } catch let error as RedlockError where [.quorumUnavailable, .lost].contains(error.code) {
            throw ElectionError(
                .outOfTouch,
                "too few nodes answered to ask for a handover of \"\(name)\": \(error.message)",
                nodes: error.nodes
            )
        }
    }

    /// A candidate that campaigns, or will as soon as the pause after its last term is over.
    private func candidateAfterItsPause(_ identity: String) async throws -> LiveCandidate {
        let end = surroundings.now() + configuration.retryPeriod * 2
        while true {
            do {
                return try await liveCandidate(identity)
            } catch let error as ElectionError where error.code == .noSuchCandidate && surroundings.now() < end {
                try await surroundings.sleep(for: Self.lookInterval)
            }
        }
    }

    private static let lookInterval = Duration.milliseconds(50)

    /// Waits until the named candidate leads; gives up if it does not take its turn, so that no more leaders make way for it.
    private func untilLeading(_ identity: String, within patience: Duration) async throws {
        let end = surroundings.now() + patience
        var others: Set<FencingToken> = []
        while others.count <= Self.mostOthersInBetween {
            // Nodes that do not answer for a moment are asked again.
            if let leader = try? await currentLeader() {
                if leader.candidate.identity == identity { return }
                if let term = leader.term { others.insert(term) }
            }
            guard surroundings.now() < end else { break }
            try await surroundings.sleep(for: Self.lookInterval)
        }
        throw ElectionError(
            .handoverFailed,
            surroundings.now() < end
                ? "\"\(identity)\" did not take its turn to lead \"\(name)\" when others made way for it: is it alive?"
                : "\"\(identity)\" does not lead \"\(name)\" after \(patience): look at what the leader is busy with"
        )
    }

    /// The one that led when it was asked, and two more.
    private static let mostOthersInBetween = 3

    /// The candidate that somebody asks the leader to hand over to; nil if nobody does, or too few nodes answer.
    func requestedSuccessor() async -> String? {
        try? await redlock.inspect(names.handover).holder?.note
    }

    /// A candidate that campaigns; of several of one identity, the one that came last.
    func liveCandidate(_ identity: String) async throws -> LiveCandidate {
        try LeaderElector.validateIdentity(identity)
        let status = try await redlock.inspect(names.candidacy(of: identity))
        guard status.isQuorumReachable else {
            throw ElectionError(
                .outOfTouch,
                "too few nodes answered to say whether \"\(identity)\" campaigns for \"\(name)\"",
                nodes: status.reports
            )
        }
        guard
            let found = status.sharers.compactMap(LiveCandidate.init).max(by: { $0.since ?? .zero < $1.since ?? .zero })
        else { throw ElectionError(.noSuchCandidate, "nobody called \"\(identity)\" campaigns for \"\(name)\"") }
        return found
    }
}

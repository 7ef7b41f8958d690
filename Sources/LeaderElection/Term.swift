// SPDX-License-Identifier: Apache-2.0

public import Redlock

/// One time of leading, from the grant to its end.
///
/// It is a grant: stores that compare its number refuse what a former leader writes late.
///
/// ```swift
/// try await elector.run { term in
///     try term.requireValid(for: .seconds(3))
///     try await store.write(term) { db in … }
/// }
/// ```
public struct Term: FencedGrant {
    /// What the election is called.
    public let election: String
    /// Who leads.
    public let leader: Candidate

    let lease: Lease<Fenced>

    init(_ lease: Lease<Fenced>, leader: Candidate) {
        self.lease = lease
        self.leader = leader
        election = lease.resource
    }

    /// The number of the term: higher than that of every term before.
    public var number: FencingToken { lease.fencingToken }

    /// The number of the term.
    public var fencingToken: FencingToken { number }

    /// The name of the election.
    public var fencedResources: [String] { lease.fencedResources }

    /// Until when nobody else leads, as far as is proved now; every renewal moves it.
    ///
    /// What leads is cancelled before that: see ``ElectionConfiguration/renewDeadline``.
    public var validUntil: ContinuousClock.Instant { lease.validUntil }

    /// The same, for stores.
    public var endOfValidity: ContinuousClock.Instant? { lease.validUntil }

    /// How long nobody else leads, as far as is proved now; zero when the term has ended.
    public var remaining: Duration { lease.remaining }

    /// Whether the term goes on, by the continuous clock.
    public var isValid: Bool { lease.isValid }

    /// What came of the release of the lock at the end of the term, once the nodes have answered; nil before that.
    public var releaseOutcome: ReleaseOutcome? { lease.releaseOutcome }

    /// Throws unless a step of the given length fits into what is proved of the term.
    ///
    /// It says nothing of a step that takes longer than it was thought to: only a store that compares the number does.
    ///
    /// - Throws: ``ElectionError`` with `termEnds`.
    public func requireValid(for duration: Duration = .zero) throws {
        let remaining = lease.remaining
        guard remaining > duration else {
            throw ElectionError(
                .termEnds,
                remaining > .zero
                    ? "a step of \(duration) does not fit into the term \(number) of \"\(election)\", "
                        + "of which \(remaining) are left until it is renewed"
                    : "the term \(number) of \"\(election)\" has ended"
            )
        }
    }
}

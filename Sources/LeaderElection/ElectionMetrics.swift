// SPDX-License-Identifier: Apache-2.0

import Metrics

/// What is counted and shown of a candidate, in the names that monitoring sees.
struct ElectionMetrics: Sendable {
    /// 1 while the candidate leads, 0 otherwise.
    private let isLeading: Gauge
    /// The terms that it began.
    private let terms: Counter
    /// The terms that ended while what led was still at work.
    private let overruns: Counter
    /// How long ago the term under way was renewed, in seconds; somewhat more, by what clocks may drift.
    private let secondsSinceRenewal: Gauge

    init(election: String) {
        let dimensions = [("election", election)]
        isLeading = Gauge(label: "redlock_election_leading", dimensions: dimensions)
        terms = Counter(label: "redlock_election_terms", dimensions: dimensions)
        overruns = Counter(label: "redlock_election_overruns", dimensions: dimensions)
        secondsSinceRenewal = Gauge(label: "redlock_election_seconds_since_renewal", dimensions: dimensions)
        isLeading.record(0)
    }

    func termBegan() {
        terms.increment()
        isLeading.record(1)
    }

    func termEnded() {
        isLeading.record(0)
        secondsSinceRenewal.record(0)
    }

    func overran() {
        overruns.increment()
    }

    /// The term under way was renewed so long ago.
    func renewed(_ age: Duration) {
        secondsSinceRenewal.record(age / .seconds(1))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Histogram

/// How long something took, any number of times: an HdrHistogram of nanoseconds with three digits.
struct LatencyRecord: Sendable {
    private var histogram = Histogram<UInt64>(highestTrackableValue: 600_000_000_000)

    /// Counts one duration; none is below zero but for a clock that is wrong, and such a one counts as zero.
    mutating func record(nanoseconds: Int64) {
        let value = UInt64(max(0, nanoseconds))
        if !histogram.record(value) { histogram.record(histogram.highestTrackableValue) }
    }

    /// The percentiles; nil if nothing was recorded.
    var latency: Latency? {
        guard histogram.totalCount > 0 else { return nil }
        func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1_000 }
        func percentile(_ percent: Double) -> Double { microseconds(histogram.valueAtPercentile(percent)) }
        return Latency(
            median: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            p999: percentile(99.9),
            longest: microseconds(histogram.max),
            distribution: histogram.percentiles(ticksPerHalfDistance: 5).map { step in
                Latency.Point(part: step.percentile / 100, microseconds: microseconds(step.value))
            }
        )
    }
}

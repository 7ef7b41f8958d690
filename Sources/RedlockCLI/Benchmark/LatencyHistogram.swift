// SPDX-License-Identifier: Apache-2.0

/// How long something took, any number of times, in a fixed amount of memory.
///
/// Durations are counted in buckets that are at most 1/128 of their durations wide. A bucket stands for its middle, so that
/// a percentile is wrong by 1/256 (0.4 %) at most, or by half a nanosecond; the longest duration is exact.
struct LatencyHistogram: Sendable {
    /// Twice as many buckets are there for each power of two, and below it every nanosecond has its own.
    private static let bucketsPerPower = 128
    private static let powersWithin = 7

    private var counts = [Int](repeating: 0, count: (64 - powersWithin) * bucketsPerPower)

    /// How many durations were recorded.
    private(set) var count = 0

    /// The longest of them; zero if there is none.
    private(set) var longest: Duration = .zero

    /// Counts one duration; one below zero counts as zero.
    mutating func record(_ duration: Duration) {
        let nanoseconds = Int64(clamping: max(0, duration.wholeNanoseconds))
        counts[Self.bucket(of: nanoseconds)] += 1
        count += 1
        longest = max(longest, .nanoseconds(nanoseconds))
    }

    /// What the given part of all durations did not exceed: 0.5 is the median; zero if there is none.
    func percentile(_ part: Double) -> Duration {
        var rest = max(1, Int((part * Double(count)).rounded(.up)))
        for (bucket, count) in counts.enumerated() {
            rest -= count
            if rest <= 0 { return min(longest, .nanoseconds(Self.middle(of: bucket))) }
        }
        return longest
    }

    private static func bucket(of nanoseconds: Int64) -> Int {
        let shift = max(0, 63 - nanoseconds.leadingZeroBitCount - powersWithin)
        return shift * bucketsPerPower + Int(nanoseconds >> shift)
    }

    private static func middle(of bucket: Int) -> Int64 {
        let shift = max(0, bucket / bucketsPerPower - 1)
        let start = Int64(bucket - shift * bucketsPerPower) << shift
        return start + (Int64(1) << shift) / 2
    }
}

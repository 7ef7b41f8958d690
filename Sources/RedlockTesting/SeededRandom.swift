// SPDX-License-Identifier: Apache-2.0

/// A random number generator that gives the same numbers for the same seed (SplitMix64).
///
/// For tests only: its numbers are predictable by design and must never become an owner token.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts the sequence that belongs to `seed`.
    public init(seed: UInt64) {
        self.state = seed
    }

    /// The next number of the sequence.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A duration between zero and `limit`, in whole nanoseconds.
    mutating func duration(upTo limit: Duration) -> Duration {
        let nanoseconds = limit.nanoseconds
        return nanoseconds > 0 ? .nanoseconds(Int64.random(in: 0...nanoseconds, using: &self)) : .zero
    }
}

extension Duration {
    /// Whole nanoseconds; a longer duration is cut to 146 years, which added to any time of today still fits 64 bits.
    var nanoseconds: Int64 {
        let longest = Duration.nanoseconds(Int64.max / 2)
        let (seconds, attoseconds) = min(max(self, .zero - longest), longest).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Delays that grow and are spread by chance, so that those who failed together do not try again together.
package struct Backoff: Hashable, Sendable {
    /// The longest first delay.
    package var firstNanoseconds: Int64

    /// What the delays never exceed.
    package var longestNanoseconds: Int64

    private var ceilingNanoseconds: Int64

    /// A backoff that has not delayed anything yet.
    package init(firstNanoseconds: Int64, longestNanoseconds: Int64) {
        self.firstNanoseconds = firstNanoseconds
        self.longestNanoseconds = longestNanoseconds
        self.ceilingNanoseconds = firstNanoseconds
    }

    /// The next delay: between half of and the whole of a ceiling that doubles each time.
    package mutating func nextNanoseconds(random: UInt64) -> Int64 {
        let half = ceilingNanoseconds / 2
        let delay = half + Int64(random % UInt64(ceilingNanoseconds - half + 1))
        ceilingNanoseconds = min(ceilingNanoseconds * 2, longestNanoseconds)
        return delay
    }

    /// Starts again with the first delay.
    package mutating func reset() {
        ceilingNanoseconds = firstNanoseconds
    }
}

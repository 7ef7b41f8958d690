// SPDX-License-Identifier: Apache-2.0

/// A point on the clock that the protocol counts on: nanoseconds since an origin that the surroundings choose once.
///
/// The clock must run on while the machine sleeps and must never be set, because keys expire meanwhile. The protocol
/// never reads it: every instant comes in as an argument.
package struct Instant: Hashable, Comparable, Sendable {
    /// Nanoseconds since the origin.
    package var nanoseconds: Int64

    /// An instant that lies the given nanoseconds after the origin.
    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Whether the left instant lies before the right one.
    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant that lies the given nanoseconds later; stays at the last one there is rather than overflow.
    package func advanced(byNanoseconds nanoseconds: Int64) -> Instant {
        let (sum, overflow) = self.nanoseconds.addingReportingOverflow(nanoseconds)
        return Instant(nanoseconds: overflow ? (nanoseconds < 0 ? .min : .max) : sum)
    }

    /// The nanoseconds from this instant to a later one; negative if the other lies before.
    ///
    /// A distance that 64 bits do not hold is the largest that they do.
    package func nanoseconds(until later: Instant) -> Int64 {
        let (difference, overflow) = later.nanoseconds.subtractingReportingOverflow(nanoseconds)
        return overflow ? (later < self ? .min : .max) : difference
    }
}

// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// The duration, or three weeks if it is longer: servers and clocks can count no further.
    var bounded: Duration { min(max(self, .zero), .seconds(21 * 86_400)) }

    /// Whole milliseconds of it, as far as it is bounded.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = bounded.components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

/// The guess at a server's clock.
struct ClockOffsetTests {
    /// A reading of a clock that is ahead by so much, asked at a time, with so long on the way there and back.
    private func sample(ahead: Int64, at sent: Int64, there: Int64, back: Int64) -> ClockSample {
        ClockSample(
            sent: Instant(nanoseconds: sent),
            received: Instant(nanoseconds: sent + there + back),
            serverMicroseconds: (sent + there + ahead) / 1_000
        )
    }

    private let second: Int64 = 1_000_000_000
    private let millisecond: Int64 = 1_000_000

    @Test
    func slowReadingsDoNotSpoilTheGuess() {
        var offset = ClockOffset()
        #expect(offset.nanoseconds == nil)
        offset.read(sample(ahead: 5 * second, at: 0, there: millisecond / 2, back: millisecond / 2))
        #expect(offset.nanoseconds == 5 * second)
        for round in 1...20 {
            // Slow on the way there, or back.
            let (there, back) = round % 2 == 0 ? (90 * millisecond, 0) : (0, 90 * millisecond)
            offset.read(sample(ahead: 5 * second, at: Int64(round) * second, there: there, back: back))
            #expect(offset.nanoseconds == 5 * second)
        }
        // The last alone is wrong by half of what it took.
        let last = sample(ahead: 5 * second, at: 0, there: 90 * millisecond, back: 0)
        #expect(last.offsetNanoseconds == 5 * second + 45 * millisecond)
    }

    @Test
    func anyReadingIsBetterThanAGuess() {
        var offset = ClockOffset()
        offset.guess(serverMicroseconds: 3_000_000, heard: Instant(nanoseconds: second))
        #expect(offset.nanoseconds == 2 * second)
        offset.read(sample(ahead: 5 * second, at: 2 * second, there: 40 * millisecond, back: 40 * millisecond))
        #expect(offset.nanoseconds == 5 * second)
        offset.guess(serverMicroseconds: 0, heard: Instant(nanoseconds: 3 * second))
        #expect(offset.nanoseconds == 5 * second)
    }

    @Test
    func followsAClockThatRunsApart() {
        var offset = ClockOffset()
        for round in 0..<1_000 {
            let drift = Int64(round) * second / 10_000
            let width = round % 10 == 0 ? 40 * millisecond : millisecond
            offset.read(sample(ahead: drift, at: Int64(round) * second, there: width, back: 0))
            #expect(abs((offset.nanoseconds ?? .max) - drift) <= 2 * millisecond || round == 0)
        }
    }

    @Test
    func followsAClockThatWasSet() {
        var offset = ClockOffset()
        offset.read(sample(ahead: 0, at: 0, there: 0, back: 0))
        offset.read(sample(ahead: 3_600 * second, at: second, there: 90 * millisecond, back: 0))
        #expect(abs((offset.nanoseconds ?? 0) - 3_600 * second) <= 45 * millisecond)
        offset.read(sample(ahead: 0, at: 2 * second, there: millisecond, back: millisecond))
        #expect(offset.nanoseconds == 0)
    }
}

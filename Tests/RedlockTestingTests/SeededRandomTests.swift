// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RedlockTesting

@Suite("Seeded random numbers")
struct SeededRandomTests {
    @Test("are the published SplitMix64 sequence")
    func publishedSequence() {
        var random = SeededRandom(seed: 1_234_567)
        #expect(random.next() == 6_457_827_717_110_365_317)
        #expect(random.next() == 3_203_168_211_198_807_973)
    }

    @Test("give durations within the limit, the same for the same seed")
    func durations() {
        func durations(seed: UInt64) -> [Duration] {
            var random = SeededRandom(seed: seed)
            return (0..<100).map { _ in random.duration(upTo: .milliseconds(5)) }
        }
        #expect(durations(seed: 1) == durations(seed: 1))
        #expect(durations(seed: 1) != durations(seed: 2))
        #expect(durations(seed: 3).allSatisfy { $0 >= .zero && $0 <= .milliseconds(5) })
    }

    @Test("cut endless durations to what fits 64 bits of nanoseconds")
    func endless() {
        #expect(Duration.seconds(Int64.max).nanoseconds == .max / 2)
        #expect(Duration.seconds(-1).nanoseconds == -1_000_000_000)
        #expect(Duration.microseconds(1_500_001).nanoseconds == 1_500_001_000)
    }
}

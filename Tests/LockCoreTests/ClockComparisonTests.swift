// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@Suite
struct ClockComparisonTests {
    private func deviation(_ range: ClosedRange<Int64>) -> ClockDeviation {
        ClockDeviation(range: range)
    }

    // MARK: Offsets

    @Test
    func offsetIsTakenInTheMiddleOfTheRoundTrip() {
        let sample = ClockSample(
            sent: Instant(nanoseconds: 1_000),
            received: Instant(nanoseconds: 5_000),
            serverMicroseconds: 10
        )
        #expect(sample.offsetNanoseconds == 7_000)
    }

    @Test
    func median() {
        let cases: [([Int64], Int64?)] = [
            ([], nil), ([5], 5), ([6, 2], 4), ([9, 1, 5], 5), ([-4, 8, 0, 100], 4), ([.max, .max], .max - 1),
            ([.min, .max], -1), ([.min, .min, .max], .min),
        ]
        for (offsets, expected) in cases {
            #expect(ClockComparison.median(offsets) == expected)
            #expect(ClockComparison.median(offsets.reversed()) == expected)
        }
    }

    // MARK: Whose clock it is

    @Test
    func deviationsAreAlikeIfTheyMayBeTheSame() {
        #expect(deviation(1...5).isAlike(deviation(5...9)))
        #expect(!deviation(1...5).isAlike(deviation(6...9)))
        #expect(deviation(0...9).isAlike(deviation(3...3)))
    }

    /// A clock of the client's that stood still shows at every node alike, however long each round trip took.
    @Test(arguments: 3...7)
    func majorityThatDeviatesAlikeShowsTheClientsClock(nodeCount: Int) {
        let majority = nodeCount / 2 + 1
        for count in 0...nodeCount {
            let alike = (0..<count).map { deviation(100 - Int64($0)...100 + Int64($0)) }
            let expected: ClockComparison.Culprit = count >= majority ? .client : .servers
            // Others that deviate otherwise change nothing.
            let others = (count..<nodeCount).map { deviation(-10 * Int64($0)...(-10 * Int64($0) + 1)) }
            for deviations in [alike, others + alike] {
                let culprit = ClockComparison.culprit(deviations, nodeCount: nodeCount)
                #expect(culprit == expected, "\(count) of \(nodeCount)")
            }
        }
    }

    /// All in different directions: a majority, but no majority for anything.
    @Test
    func majorityThatDeviatesUnlikeShowsTheServers() {
        let deviations = [deviation(10...20), deviation(30...40), deviation(-20...(-10))]
        #expect(ClockComparison.culprit(deviations, nodeCount: 3) == .servers)
    }

    /// A reading that took long is like both of two that are not like each other; no single deviation explains all.
    @Test
    func wideRangeDoesNotJoinOthers() {
        let wide = deviation(0...100)
        for order in orders(count: 3) {
            let deviations = order.map { [wide, deviation(0...10), deviation(90...100)][$0] }
            #expect(ClockComparison.culprit(deviations, nodeCount: 5) == .servers)
            // Of three nodes, the wide one and one other are a majority.
            #expect(ClockComparison.culprit(deviations, nodeCount: 3) == .client)
        }
    }

    /// What all of the majority may have in common is what is left of the ranges when they are laid over each other.
    @Test
    func commonDeviationIsWhatTheMajorityShares() {
        let deviations = [deviation(10...20), deviation(-5...(-1)), deviation(15...40), deviation(12...18)]
        for order in orders(count: 4) {
            let common = ClockComparison.commonDeviation(order.map { deviations[$0] }, nodeCount: 5)
            #expect(common == deviation(15...18))
        }
        #expect(ClockComparison.commonDeviation(deviations, nodeCount: 7) == nil)
        #expect(ClockComparison.commonDeviation([], nodeCount: 3) == nil)
    }

    @Test
    func differenceOfDeviationsKeepsWhatBothLeaveOpen() {
        #expect(deviation(30...40).minus(deviation(1...3)) == deviation(27...39))
        #expect(deviation(0...0).minus(deviation(-4...9)) == deviation(-9...4))
        #expect(deviation(.min ... .max).minus(deviation(.min ... .max)) == deviation(.min ... .max))
    }

    @Test(arguments: 1...2)
    func oneOrTwoNodesShowNothing(nodeCount: Int) {
        for count in 1...nodeCount {
            let alike = Array(repeating: deviation(10...20), count: count)
            #expect(ClockComparison.culprit(alike, nodeCount: nodeCount) == .either)
        }
        #expect(ClockComparison.culprit([deviation(1...2), deviation(8...9)], nodeCount: 2) == .either)
    }
}

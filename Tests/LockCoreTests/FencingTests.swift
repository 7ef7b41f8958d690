// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

/// A grant has a higher token than all that were finished before it began, and no two grants have the same.
///
/// Every test has a control, in which the same worlds without the rule show that it is needed.
@Suite
struct FencingTests {
    private struct Result {
        var grants = 0
        var losses = 0
        var violations: [String] = []
    }

    private func run(_ rules: FencingWorld.Rules, nodeCount: Int, seedCount: Int, stepCount: Int) -> Result {
        var result = Result()
        for seed in 0..<seedCount {
            var world = FencingWorld(seed: UInt64(seed * 10 + nodeCount), nodeCount: nodeCount, rules: rules)
            world.run(stepCount: stepCount)
            result.grants += world.grants
            result.losses += world.losses
            if let violation = world.violation { result.violations.append("seed \(seed): \(violation)") }
        }
        return result
    }

    // MARK: Keys that expire early

    @Test(arguments: 1...5)
    func tokensIncreaseWhateverTheClocksDo(nodeCount: Int) {
        let result = run(FencingWorld.Rules(), nodeCount: nodeCount, seedCount: 1_000, stepCount: 400)
        #expect(result.violations.isEmpty)
        #expect(result.grants > 2_000, "\(result.grants) grants")
    }

    /// Where the token is the highest answer and nobody looks whether the others' counters stand there.
    ///
    /// Two nodes are too few for it: each must grant every time.
    @Test(arguments: 3...5)
    func controlWithoutConfirmation(nodeCount: Int) {
        let rules = FencingWorld.Rules(confirms: false)
        let result = run(rules, nodeCount: nodeCount, seedCount: 200, stepCount: 400)
        #expect(result.violations.count > 50, "\(result.violations.count) seeds of 200")
    }

    // MARK: Counters that are lost

    /// Nodes come back empty or from an old file, and counters end with their lives.
    ///
    /// The clocks are at most 1.2 s apart, and the quarantine takes 1.4 s.
    @Test(arguments: [1, 3, 5])
    func tokensIncreaseWhereCountersAreLost(nodeCount: Int) {
        let rules = FencingWorld.Rules(losesData: true)
        let result = run(rules, nodeCount: nodeCount, seedCount: 250, stepCount: 2_000)
        #expect(result.violations.isEmpty)
        #expect(result.grants > 1_200 && result.losses > 1_200, "\(result.grants) grants, \(result.losses) losses")
    }

    /// Where a counter that was lost begins at nothing, or goes on from where it stood in an old file.
    @Test(arguments: [1, 3])
    func controlWithoutFloor(nodeCount: Int) {
        let rules = FencingWorld.Rules(losesData: true, seeds: false)
        let result = run(rules, nodeCount: nodeCount, seedCount: 200, stepCount: 2_000)
        #expect(result.violations.count > 10, "\(result.violations.count) seeds of 200")
    }

    /// Where the clocks are further apart than a quarantine is long: a new counter may begin below an old token.
    @Test
    func controlWithClocksThatDisagree() {
        let rules = FencingWorld.Rules(losesData: true, clockErrorMilliseconds: 10_000)
        let result = run(rules, nodeCount: 3, seedCount: 200, stepCount: 2_000)
        #expect(result.violations.count > 3, "\(result.violations.count) seeds of 200")
    }
}

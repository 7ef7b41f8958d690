// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@testable import RedlockSimulator

/// The small model, in worlds that are small enough for a debug build.
@Suite
struct ModelTests {
    @Test
    func nothingGoesWrongWithEveryGuard() {
        let worlds = [
            ModelBounds(attempts: 2, ticks: 0),
            ModelBounds(attempts: 2, extensions: 1, ticks: 0),
        ]
        for bounds in worlds {
            var explorer = Explorer(rules: ModelRules(bounds: bounds))
            let exploration = explorer.explore()
            guard case .noViolation = exploration.outcome else {
                Issue.record("\(bounds): \(exploration.outcome)")
                continue
            }
            // A world in which nobody gets anything shows nothing.
            #expect(exploration.grants > 0)
        }
    }

    @Test(arguments: [
        (ModelDefect.oneVoteIsEnough, ModelBounds(attempts: 2, ticks: 0), ModelViolation.twoHolders),
        (.noQuarantine, ModelBounds(attempts: 2, losses: 1, lossKinds: [.emptied], ticks: 0), .twoHolders),
        (.noClockAudit, ModelBounds(attempts: 2, jumps: 1, ticks: 0), .twoHolders),
        (.noFencingConfirmation, ModelBounds(attempts: 3, ticks: 0), .sameTokenTwice),
        (.releaseDeletesForeignKeys, ModelBounds(attempts: 3, ticks: 0), .twoHolders),
    ])
    func aMissingGuardIsFound(_ defect: ModelDefect, _ bounds: ModelBounds, _ expected: ModelViolation) {
        var explorer = Explorer(rules: ModelRules(bounds: bounds, defect: defect))
        guard case .violation(let violation, let steps) = explorer.explore().outcome else {
            Issue.record("found nothing")
            return
        }
        #expect(violation == expected)
        #expect(steps.count > 2)
    }

    @Test
    func aRunThatMeetsItsLimitIsUnfinished() {
        var explorer = Explorer(rules: ModelRules(bounds: ModelBounds()), limits: ExplorerLimits(worlds: 100))
        guard case .unfinished = explorer.explore().outcome else {
            Issue.record("the limit was passed over")
            return
        }
    }

    /// The machines do not care about the order of the nodes: mirrored there and back, each is what it was.
    @Test
    func theRoundsAreSymmetric() {
        let model = Model(rules: ModelRules(bounds: ModelBounds()))
        let book = model.acquireRounds
        var round = book.begin(AcquireRound.NoBeginning())
        for (node, token) in [(0, 5), (2, 7)] {
            let answer = AcquireRound.AnyAnswer.vote(.granted(token: Int64(token)))
            round = book.take(RoundEvent(answer: answer, node: node, elapsedTicks: 1), by: round).round
            for order in NodeOrder.all.indices {
                let back = NodeOrder.all.indices.contains {
                    book.mirror(book.mirror(round, by: order), by: $0) == round
                }
                #expect(back)
            }
        }
    }

    @Test
    func theTimesAreThoseOfTheProtocol() {
        let rules = ModelRules(bounds: ModelBounds())
        // A quarter of the TTL for drift; TTL, drift and a second for a node that may have forgotten.
        #expect(rules.validTicks == 3)
        #expect(rules.quarantineTicks == 6)
    }
}

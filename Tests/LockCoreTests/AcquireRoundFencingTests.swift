// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting
import Testing

@Suite
struct AcquireRoundFencingTests {
    private static let timing = LeaseTiming(ttlMilliseconds: 10_000, drift: .standard)
    private static let start = Instant(nanoseconds: 1_000_000_000)
    private static let validUntil = timing.validUntil(start: start)
    /// The last moment at which half the TTL is left.
    private static let lastChance = validUntil.advanced(byNanoseconds: -timing.ttlNanoseconds / 2)
    private static let tooLate = lastChance.advanced(byNanoseconds: 1)

    private static let allAnswers: [AcquireRound.Answer] = [
        .granted(token: 1), .granted(token: 2), .granted(token: 3), .held, .refused, .unknown,
    ]
    private static let allRaiseAnswers: [AcquireRound.RaiseAnswer] = [.raised, .gone, .unknown]

    private static func round(_ quorum: Quorum) -> AcquireRound {
        AcquireRound(quorum: quorum, timing: timing, start: start)
    }

    // MARK: All that may be heard, in every order

    /// One attempt, as the round sees it and as the oracle does.
    private struct Attempt {
        var round: AcquireRound
        var oracle: FencingOracle

        init(_ quorum: Quorum) {
            round = AcquireRoundFencingTests.round(quorum)
            oracle = FencingOracle(quorum: quorum, validUntil: validUntil)
        }

        /// Tells both; returns what is wrong.
        mutating func hear(_ heard: FencingOracle.Heard, isLate: Bool = false) -> String? {
            let askedBefore = oracle.asked
            let expected = oracle.hear(heard, isLate: isLate)
            let step = step(after: heard, at: isLate ? tooLate : start)
            guard step == expected, round.decision == oracle.decision else {
                return "\(oracle.log): \(String(describing: step)) instead of \(String(describing: expected))"
            }
            switch step {
            case .raise(let nodes, let token)
            where !nodes.intersection(askedBefore).isEmpty || !nodes.allSatisfy({ hasAnswered($0) { $0 < token } }):
                return "\(oracle.log): asks \(Array(nodes))"
            case .end(.granted(_, let token)) where !isConfirmed(by: oracle.quorum.votesNeeded, token):
                return "\(oracle.log): grants \(String(describing: token))"
            default: return nil
            }
        }

        mutating func step(after heard: FencingOracle.Heard, at now: Instant) -> AcquireRound.Step? {
            switch heard {
            case .answer(let answer, let node): round.answered(answer, by: node, at: now)
            case .raiseAnswer(let answer, let node): round.answered(answer, by: node, at: now)
            }
        }

        private func hasAnswered(_ node: Int, _ isGood: (Int64) -> Bool) -> Bool {
            oracle.log.contains {
                if case .answer(.granted(let token?), node) = $0 { isGood(token) } else { false }
            }
        }

        /// The rule itself: Q nodes answered the token, or less and then raised their counter.
        private func isConfirmed(by votesNeeded: Int, _ token: Int64?) -> Bool {
            guard let token else { return false }
            let confirmed = (0..<oracle.quorum.nodeCount).count { node in
                hasAnswered(node) { $0 == token }
                    || hasAnswered(node) { $0 < token } && oracle.log.contains(.raiseAnswer(.raised, node: node))
            }
            return confirmed >= votesNeeded
        }
    }

    /// Goes on with everything that may be heard next.
    private struct Walk {
        /// Whether any node may answer next; if not, the nodes answer in the order of their numbers, which with all
        /// answers is the same but for the numbers.
        let anyOrder: Bool
        var answers = allAnswers
        var raiseAnswers = allRaiseAnswers
        var problem: String?
        var steps = 0
        var raises = 0
        var grants = 0
        var grantsAfterRaising = 0

        mutating func goOn(_ attempt: Attempt) {
            let open = Array(attempt.oracle.open)
            let raising = Array(attempt.oracle.raising)
            if open.isEmpty, raising.isEmpty, attempt.round.decision == nil {
                problem = "\(attempt.oracle.log): no decision"
            }
            for node in anyOrder ? open : Array(open.prefix(1)) {
                for answer in answers { take(.answer(answer, node: node), in: attempt) }
            }
            for node in raising {
                for answer in raiseAnswers { take(.raiseAnswer(answer, node: node), in: attempt) }
            }
        }

        private mutating func take(_ heard: FencingOracle.Heard, in attempt: Attempt) {
            guard problem == nil else { return }
            steps += 1
            var attempt = attempt
            let isOver = attempt.round.decision != nil
            let asked = attempt.oracle.asked
            problem = attempt.hear(heard)
            if attempt.oracle.asked != asked { raises += 1 }
            if !isOver, case .granted = attempt.round.decision {
                grants += 1
                if !asked.isEmpty { grantsAfterRaising += 1 }
            }
            // What is heard after the decision must change nothing, whatever it is; one thing is enough to show it.
            if problem == nil, attempt.round.decision == nil || anyOrder && !isOver { goOn(attempt) }
        }
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 2), (3, 3)])
    func grantsOnlyWhatAQuorumConfirmed(nodeCount: Int, votesNeeded: Int) {
        check(Walk(anyOrder: true), Quorum(nodeCount: nodeCount, votesNeeded: votesNeeded))
    }

    @Test(arguments: [(4, 3), (4, 4)])
    func grantsOnlyWhatAQuorumOfFourConfirmed(nodeCount: Int, votesNeeded: Int) {
        check(Walk(anyOrder: false), Quorum(nodeCount: nodeCount, votesNeeded: votesNeeded))
    }

    /// With one answer of each kind: all of them would take most of a minute.
    @Test
    func grantsOnlyWhatAQuorumOfFiveConfirmed() {
        var walk = Walk(anyOrder: false)
        walk.answers = [.granted(token: 1), .granted(token: 2), .granted(token: 3), .refused]
        walk.raiseAnswers = [.raised, .gone]
        check(walk, Quorum(majorityOf: 5))
    }

    private func check(_ walk: Walk, _ quorum: Quorum) {
        var walk = walk
        walk.goOn(Attempt(quorum))
        if let problem = walk.problem { recordIssue("\(problem)") }
        #expect(walk.grants > 0)
        #expect((walk.raises > 0) == (quorum.nodeCount > 1))
        #expect((walk.grantsAfterRaising > 0) == (quorum.nodeCount > 1))
    }

    /// Up to seven nodes, any quorum; nodes answer twice, and some answer what they were not asked.
    @Test
    func onlyFirstAnswersCount() {
        var random = SeededRandom(seed: 20)
        for attemptNumber in 0..<2_000 {
            let nodeCount = Int.random(in: 1...7, using: &random)
            let majority = Quorum(majorityOf: nodeCount).votesNeeded
            let votesNeeded = Int.random(in: majority...nodeCount, using: &random)
            var attempt = Attempt(Quorum(nodeCount: nodeCount, votesNeeded: votesNeeded))
            for _ in 0..<6 * nodeCount {
                let node = Int.random(in: 0..<nodeCount, using: &random)
                let heard: FencingOracle.Heard
                let counts: Bool
                if Bool.random(using: &random) {
                    heard = .answer(Self.allAnswers.randomElement(using: &random) ?? .held, node: node)
                    counts = attempt.oracle.open.contains(node)
                } else {
                    heard = .raiseAnswer(Self.allRaiseAnswers.randomElement(using: &random) ?? .gone, node: node)
                    counts = attempt.oracle.raising.contains(node)
                }
                if counts {
                    if let problem = attempt.hear(heard) { return recordIssue("attempt \(attemptNumber): \(problem)") }
                } else if let step = attempt.step(after: heard, at: Self.start) {
                    return recordIssue("attempt \(attemptNumber): \(step) after \(heard), which does not count")
                }
            }
        }
    }

    // MARK: Single rules

    /// Somebody else's grant may have driven the counter there above the token after ours was fixed.
    @Test
    func lateGrantWithAHigherTokenIsNeverConfirmed() {
        var round = Self.round(Quorum(majorityOf: 3))
        #expect(round.answered(.granted(token: 5), by: 0, at: Self.start) == nil)
        #expect(round.answered(.granted(token: 4), by: 1, at: Self.start) == .raise([1], token: 5))
        #expect(round.answered(.granted(token: 6), by: 2, at: Self.start) == nil)
        #expect(round.decision == nil)
        let unknown = AcquireRound.RaiseAnswer.unknown
        #expect(round.answered(unknown, by: 1, at: Self.start) == .end(.failed(.quorumUnavailable)))
        #expect(round.mayHoldKey == [0, 1, 2])
    }

    @Test
    func lateGrantWithALowerTokenIsRaisedOnItsOwn() {
        var round = Self.round(Quorum(majorityOf: 3))
        _ = round.answered(.granted(token: 5), by: 0, at: Self.start)
        _ = round.answered(.granted(token: 4), by: 1, at: Self.start)
        #expect(round.answered(.granted(token: 3), by: 2, at: Self.start) == .raise([2], token: 5))
        let granted = AcquireRound.Decision.granted(validUntil: Self.validUntil, token: 5)
        #expect(round.answered(.raised, by: 2, at: Self.start) == .end(granted))
        #expect(round.answered(.gone, by: 1, at: Self.start) == nil)
        #expect(round.decision == granted)
    }

    @Test
    func nodeThatDidNotGrantIsNotConfirmedByRaising() {
        var round = Self.round(Quorum(majorityOf: 3))
        _ = round.answered(.held, by: 2, at: Self.start)
        _ = round.answered(.granted(token: 5), by: 0, at: Self.start)
        _ = round.answered(.granted(token: 4), by: 1, at: Self.start)
        #expect(round.answered(.raised, by: 2, at: Self.start) == nil)
        #expect(round.decision == nil)
        // One node has it under another owner token, so the nodes work.
        #expect(round.answered(.gone, by: 1, at: Self.start) == .end(.failed(.contended)))
    }

    @Test(arguments: [0, 1, 20_000_000_000])
    func grantThatIsTooLateIsNotRaised(nanoseconds: Int64) {
        for tokens in assignments(of: [Int64(1), 2], count: 2) {
            var attempt = Attempt(Quorum(majorityOf: 3))
            #expect(attempt.hear(.answer(.granted(token: tokens[0]), node: 0)) == nil)
            let now = Self.tooLate.advanced(byNanoseconds: nanoseconds)
            #expect(attempt.round.answered(.granted(token: tokens[1]), by: 1, at: now) == .end(.failed(.tooSlow)))
        }
    }

    @Test
    func leaseThatIsConfirmedTooLateIsNotGranted() {
        for (now, decision) in [
            (Self.lastChance, AcquireRound.Decision.granted(validUntil: Self.validUntil, token: 9)),
            (Self.tooLate, .failed(.tooSlow)), (Instant(nanoseconds: .max), .failed(.tooSlow)),
        ] {
            var round = Self.round(Quorum(majorityOf: 3))
            _ = round.answered(.granted(token: 9), by: 0, at: Self.start)
            #expect(round.answered(.granted(token: 1), by: 2, at: Self.lastChance) == .raise([2], token: 9))
            #expect(round.answered(.raised, by: 2, at: now) == .end(decision))
            // Nothing more comes of it, in time or not.
            #expect(round.answered(.granted(token: 9), by: 1, at: Self.start) == nil)
            #expect(round.decision == decision)
        }
    }

    /// While it is raising, a late answer alone decides nothing; one that would have nodes raise ends it.
    @Test
    func lateAnswersWhileRaising() {
        for (token, isEnd) in [(Int64(1), true), (10, false)] {
            var attempt = Attempt(Quorum(majorityOf: 5))
            for node in 0..<3 { #expect(attempt.hear(.answer(.granted(token: 7 - Int64(node)), node: node)) == nil) }
            #expect(attempt.oracle.asked == [1, 2])
            #expect(attempt.hear(.answer(.granted(token: token), node: 3), isLate: true) == nil)
            #expect(attempt.round.decision == (isEnd ? .failed(.tooSlow) : nil))
        }
    }

    @Test(arguments: 1...4)
    func nodesThatDoNotCountAreNotAskedToRaise(nodeCount: Int) {
        let allAnswers: [AcquireRound.Answer] = [.granted(token: nil), .held, .refused, .unknown]
        for answers in assignments(of: allAnswers, count: nodeCount) {
            for order in orders(count: nodeCount) {
                var round = Self.round(Quorum(majorityOf: nodeCount))
                for node in order {
                    switch round.answered(answers[node], by: node, at: Self.start) {
                    case nil, .end(.failed), .end(.granted(_, token: nil)): break
                    case let step: return recordIssue("\(answers) in the order \(order): \(String(describing: step))")
                    }
                }
            }
        }
    }

    /// The normal case: all counters stand alike, and the round is over with the Q-th grant.
    @Test(arguments: 1...7)
    func equalTokensNeedNoSecondRoundTrip(nodeCount: Int) {
        let quorum = Quorum(majorityOf: nodeCount)
        var round = Self.round(quorum)
        for node in 0..<quorum.votesNeeded - 1 {
            #expect(round.answered(.granted(token: 40), by: node, at: Self.start) == nil)
        }
        let granted = AcquireRound.Decision.granted(validUntil: Self.validUntil, token: 40)
        #expect(round.answered(.granted(token: 40), by: nodeCount - 1, at: Self.start) == .end(granted))
    }
}

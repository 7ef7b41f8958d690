// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@Suite
struct ExtendRoundTests {
    private static let timing = LeaseTiming(ttlMilliseconds: 10_000, drift: .standard)
    private static let start = Instant(nanoseconds: 50_000_000_000)
    private static let extended = timing.validUntil(start: start)
    private static let allAnswers: [ExtendRound.Answer] = [.stillMine, .missing, .foreign, .unknown]

    private func round(nodeCount: Int, validUntil: Instant?) -> ExtendRound {
        ExtendRound(
            quorum: Quorum(majorityOf: nodeCount),
            timing: Self.timing,
            start: Self.start,
            validUntil: validUntil
        )
    }

    /// What the answers that were heard decide.
    private func expected(_ heard: [ExtendRound.Answer], nodeCount: Int) -> ExtendRound.Decision? {
        let needed = nodeCount / 2 + 1
        if heard.count(where: { $0 == .missing || $0 == .foreign }) > nodeCount - needed { return .lost }
        if heard.count(where: { $0 == .stillMine }) >= needed { return .extended(validUntil: Self.extended) }
        return heard.count == nodeCount ? .inconclusive : nil
    }

    @Test(arguments: 1...5)
    func decidesOnceAndAsSoonAsItCan(nodeCount: Int) {
        let validUntil = Self.start.advanced(byNanoseconds: 5_000_000_000)
        for answers in assignments(of: Self.allAnswers, count: nodeCount) {
            for order in orders(count: nodeCount) {
                var round = self.round(nodeCount: nodeCount, validUntil: validUntil)
                var heard: [ExtendRound.Answer] = []
                var decision: ExtendRound.Decision?
                for node in order {
                    heard.append(answers[node])
                    let returned = round.answered(answers[node], by: node, at: Self.start)
                    let isNew = decision == nil
                    if isNew { decision = expected(heard, nodeCount: nodeCount) }
                    guard returned == (isNew ? decision : nil), round.decision == decision else {
                        return recordIssue("\(heard) of \(nodeCount): \(String(describing: round.decision))")
                    }
                }
                guard decision != nil else { return recordIssue("no decision after \(answers)") }
                // Those that answered after the decision are known as well: the key may be set on them again.
                guard round.missing == NodeSet((0..<nodeCount).filter { answers[$0] == .missing }) else {
                    return recordIssue("\(answers) in the order \(order): missing on \(Array(round.missing))")
                }
            }
        }
    }

    @Test
    func neverExtendsAfterTheOldValidityEnded() {
        let validUntil = Self.start.advanced(byNanoseconds: 1_000_000)
        let cases: [(Int64, ExtendRound.Decision)] = [
            (-1, .extended(validUntil: Self.extended)), (0, .tooLate), (1, .tooLate), (100_000_000_000, .tooLate),
        ]
        for (offset, expected) in cases {
            var round = round(nodeCount: 3, validUntil: validUntil)
            #expect(round.answered(.stillMine, by: 0, at: Self.start) == nil)
            let now = validUntil.advanced(byNanoseconds: offset)
            #expect(round.answered(.stillMine, by: 1, at: now) == expected, "\(offset) ns after the end")
        }
    }

    @Test
    func neverLowersTheValidity() {
        // The lease was granted with a longer TTL than it is extended with.
        let validUntil = Self.extended.advanced(byNanoseconds: 1)
        var round = round(nodeCount: 3, validUntil: validUntil)
        _ = round.answered(.stillMine, by: 0, at: Self.start)
        #expect(round.answered(.stillMine, by: 1, at: Self.start) == .extended(validUntil: validUntil))
    }

    @Test
    func withTheOwnerTokenAloneTheNewValidityMustStillRun() {
        for (offset, expected) in [
            (Int64(-1), ExtendRound.Decision.extended(validUntil: Self.extended)), (0, .tooLate),
        ] {
            var round = round(nodeCount: 3, validUntil: nil)
            _ = round.answered(.stillMine, by: 0, at: Self.start)
            #expect(round.answered(.stillMine, by: 1, at: Self.extended.advanced(byNanoseconds: offset)) == expected)
        }
    }

    @Test
    func silenceAloneNeverLosesALease() {
        var round = round(nodeCount: 5, validUntil: Self.extended)
        for node in 0..<4 { #expect(round.answered(.unknown, by: node, at: Self.start) == nil) }
        #expect(round.answered(.stillMine, by: 4, at: Self.start) == .inconclusive)
    }

    @Test
    func nodesThatAreGoneLoseItAtOnceWhateverIsOpen() {
        var round = round(nodeCount: 5, validUntil: Self.extended)
        _ = round.answered(.missing, by: 3, at: Self.start)
        _ = round.answered(.foreign, by: 0, at: Self.start)
        #expect(round.answered(.missing, by: 1, at: Self.start) == .lost)
        #expect(round.answered(.stillMine, by: 2, at: Self.start) == nil)
        #expect(round.decision == .lost)
    }

    /// Too many are silent for a quorum, but the last one may still say that the lease is gone.
    @Test
    func waitsForTheLastNodeBeforeItGivesUp() {
        var round = round(nodeCount: 3, validUntil: Self.extended)
        _ = round.answered(.unknown, by: 0, at: Self.start)
        #expect(round.answered(.missing, by: 1, at: Self.start) == nil)
        #expect(round.answered(.foreign, by: 2, at: Self.start) == .lost)
    }

    @Test
    func nodeThatSaysTwiceThatItIsMineVotesOnce() {
        var round = round(nodeCount: 3, validUntil: Self.extended)
        #expect(round.answered(.stillMine, by: 0, at: Self.start) == nil)
        #expect(round.answered(.stillMine, by: 0, at: Self.start) == nil)
    }
}

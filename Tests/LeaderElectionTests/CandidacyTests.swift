// SPDX-License-Identifier: Apache-2.0

import LeaderElection
import Redlock
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

/// Who may lead, who is seen to campaign, and what is told of terms that are over.
@Suite(.serialized)
struct CandidacyTests {
    @Test("One that is not fit does not lead; one that becomes unfit gives it up, and campaigns when it is fit again")
    func onlyTheFitLead() async throws {
        let isFit = [Flag(false), Flag(true)]
        try await withCandidates(2, plan: { index in CandidatePlan(isEligible: { isFit[index].value }) }) {
            electors,
            _ in
            let book = TermBook()
            try await withThrowingTaskGroup(of: Void.self) { group in
                campaign([electors[0]], noting: book, in: &group)
                try await eventually { if case .notEligible = electors[0].status { true } else { false } }
                #expect(electors[0].isHealthy)
                #expect(try await electors[0].currentLeader() == nil)
                campaign([electors[1]], noting: book, in: &group)
                try await eventually { electors[1].isLeading }
                isFit[0].value = true
                try await eventually { electors[0].isFollowing }
                isFit[1].value = false
                try await eventually { electors[0].isLeading }
                // While it waits for the next term, it stays away as long as it is not fit.
                isFit[1].value = true
                try await eventually { electors[1].isFollowing }
                isFit[1].value = false
                try await eventually { if case .notEligible = electors[1].status { true } else { false } }
                electors[0].resign()
                try await eventually("its next term") { book.terms.count == 3 }
                #expect(book.terms.map(\.identity) == ["candidate 1", "candidate 0", "candidate 0"])
                #expect(try await electors[0].history().first?.ending == "not eligible any more")
                group.cancelAll()
            }
            #expect(book.mostAtATime == 1)
        }
    }

    @Test("One whose fitness cannot be found out in time is not fit, and keeps nobody else from leading")
    func questionsThatHangAreAnswered() async throws {
        let hangs: @Sendable () async -> Bool = {
            // Deaf to cancellation.
            await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
            return true
        }
        try await withCandidates(2, plan: { CandidatePlan(isEligible: $0 == 0 ? hangs : nil) }) { electors, _ in
            let book = TermBook()
            try await withThrowingTaskGroup(of: Void.self) { group in
                campaign([electors[0]], noting: book, in: &group)
                try await eventually { if case .notEligible = electors[0].status { true } else { false } }
                campaign([electors[1]], noting: book, in: &group)
                try await eventually { electors[1].isLeading }
                group.cancelAll()
            }
            #expect(book.terms.map(\.identity) == ["candidate 1"])
        }
    }

    @Test(
        "Whatever a leader makes of the end of its term, it campaigns again; an error of its own ends its campaigns (control)"
    )
    func theEndOfATermIsNotTheEndOfTheCampaigns() async throws {
        struct Failure: Error {}
        try await withCandidates(1) { electors, _ in
            let terms = Mutex(0)
            await #expect(throws: Failure.self) {
                try await electors[0].run { term in
                    switch terms.withLock({ count -> Int in
                        count += 1
                        return count
                    }) {
                    case 1:
                        // The step does not fit into the term.
                        try term.requireValid(for: .seconds(100))
                    case 2:
                        electors[0].resign()
                        do { try await Task.sleep(for: .seconds(60)) } catch { throw Failure() }
                    default: throw Failure()
                    }
                }
            }
            #expect(terms.withLock { $0 } == 3)
        }
    }

    @Test("A cancelled leader is heard out, whether its fitness is asked for or not")
    func cancelledLeadersAreHeardOut() async throws {
        struct Failure: Error {}
        for isEligible in [nil, { true }] as [(@Sendable () async -> Bool)?] {
            try await withCandidates(1, plan: { _ in CandidatePlan(isEligible: isEligible) }) { electors, _ in
                let leading = Task {
                    try await electors[0].withLeadership { _ in
                        try? await Task.sleep(for: .seconds(60))
                        throw Failure()
                    }
                }
                try await eventually { electors[0].isLeading }
                leading.cancel()
                await #expect(throws: Failure.self) { try await leading.value }
                #expect(try await electors[0].history().last?.ending == "failed: Failure")
            }
        }
    }

    @Test
    func candidatesAreSeenWhileTheyCampaign() async throws {
        try await withCandidates(3) { electors, _ in
            #expect(try await electors[2].candidates().isEmpty)
            try await withThrowingTaskGroup(of: Void.self) { group in
                campaign(Array(electors.prefix(2)), noting: TermBook(), in: &group)
                try await eventually { try await electors[2].candidates().count == 2 }
                let first = try #require(
                    try await electors[2].candidates().min { $0.candidate.identity < $1.candidate.identity }
                )
                #expect(first.candidate == Candidate(identity: "candidate 0", metadata: "port 8000"))
                #expect(first.process != nil && first.host != nil && first.since != nil)
                let error = await #expect(throws: ElectionError.self) { try await electors[0].withLeadership { _ in } }
                #expect(error?.code == .campaignsAlready)
                group.cancelAll()
            }
            #expect(try await electors[2].candidates().isEmpty)
        }
    }

    @Test("The history tells who led, from when to when, and why each term ended")
    func historyTellsOfTerms() async throws {
        struct Failure: Error {}
        try await withCandidates(2) { electors, _ in
            let first = try await electors[0].withLeadership { $0.number }
            try? await electors[1].withLeadership { _ in throw Failure() }
            try? await electors[0].withLeadership { _ in
                electors[0].resign()
                try await Task.sleep(for: .seconds(60))
            }
            try await electors[1].withLeadership { term in
                let history = try await electors[0].history()
                #expect(history.map(\.ending) == ["done", "failed: Failure", "resigned", nil])
                #expect(history.map(\.leader.identity) == (0..<4).map { "candidate \($0 % 2)" })
                #expect(history.first?.number == first)
                #expect(history.last?.number == term.number)
                #expect(history.last?.ended == nil)
                #expect(history.dropLast().allSatisfy { $0.began! <= $0.ended! })
                #expect(zip(history, history.dropFirst()).allSatisfy { $0.number < $1.number })
            }
        }
    }

    @Test
    func eventsTellWhatHappens() async throws {
        try await withCandidates(1) { electors, _ in
            var events = electors[0].events.makeAsyncIterator()
            let number = try await electors[0].withLeadership { $0.number }
            let told = [await events.next(), await events.next(), await events.next()]
            guard case .campaigning? = told[0], case .leading(let term)? = told[1],
                case .ended(let ended, let reason)? = told[2]
            else {
                Issue.record("\(told) is not what happened")
                return
            }
            #expect(term.number == number && ended == number && reason == "done")
        }
    }

    @Test("A service campaigns until the application shuts down, and lets somebody else lead at once")
    func servicesEndWithTheApplication() async throws {
        try await withCandidates(2) { electors, _ in
            let began = Mutex(false)
            let service = electors[0].service { _ in
                began.withLock { $0 = true }
                try await Task.sleep(for: .seconds(60))
            }
            let group = ServiceGroup(services: [service], logger: LogLines().logger)
            async let running: Void = group.run()
            try await eventually { began.withLock { $0 } }
            await group.triggerGracefulShutdown()
            try await running
            #expect(try await electors[1].currentLeader() == nil)
        }
    }
}

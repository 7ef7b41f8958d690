// SPDX-License-Identifier: Apache-2.0

import LeaderElection
import Redlock
import Synchronization
import TestSupport
import Testing

/// Who leads next: the one that is named, or the one with the highest priority.
@Suite(.serialized)
struct HandoverTests {
    @Test("The leader hands over to whom it is asked to, from wherever it is asked, and nobody leads in between")
    func handsOverToTheOneThatIsNamed() async throws {
        try await withCandidates(6) { electors, _ in
            let book = TermBook()
            try await withThrowingTaskGroup(of: Void.self) { group in
                campaign(Array(electors.prefix(5)), noting: book, in: &group)
                try await eventually("everybody campaigns") { try await electors[5].candidates().count == 5 }
                try await eventually { book.terms.count == 1 }
                // Asked of the leader itself, of another candidate, and of one that does not campaign.
                for (round, asked) in [nil, 0, 5, nil, 1, 5].enumerated() {
                    let leader = try #require(book.terms.last).identity
                    let successor = try #require(
                        electors.prefix(5).first { $0.candidate.identity != leader && $0.isFollowing }
                    )
                    // Who has a place in the queue is not seen; it has one a moment after it campaigns.
                    try await Task.sleep(for: .milliseconds(300))
                    let own = try #require(electors.first { $0.candidate.identity == leader })
                    let elector = asked.map { electors[$0] } ?? own
                    try await elector.handOver(to: successor.candidate.identity)
                    try await eventually { book.terms.count == round + 2 }
                    #expect(book.terms.last?.identity == successor.candidate.identity)
                }
                let history = try await electors[5].history()
                #expect(history.count == 7)
                #expect(history.dropLast().allSatisfy { $0.ending?.hasPrefix("handed over to candidate") == true })
                for (former, next) in zip(history, history.dropFirst()) {
                    #expect(former.ending == "handed over to \(next.leader.identity)")
                }
                group.cancelAll()
            }
            #expect(book.mostAtATime == 1)
        }
    }

    @Test
    func nobodyHandsOverToWhoDoesNotCampaign() async throws {
        try await withCandidates(2) { electors, _ in
            try await electors[0].withLeadership { term in
                let error = await #expect(throws: ElectionError.self) {
                    try await electors[0].handOver(to: "candidate 1")
                }
                #expect(error?.code == .noSuchCandidate)
                #expect(term.isValid)
                // To itself there is nothing to do.
                try await electors[0].handOver(to: "candidate 0")
                #expect(term.isValid)
            }
        }
    }

    @Test
    func aLeaderThatTakesItsTimeIsTold() async throws {
        try await withCandidates(3) { electors, _ in
            let mayEnd = Flag(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await electors[0].run { _ in
                        // Ignores that it is cancelled.
                        while !mayEnd.value {
                            try? await Task.detached { try await Task.sleep(for: .milliseconds(5)) }.value
                        }
                    }
                }
                try await eventually { electors[0].isLeading }
                group.addTask { try await electors[1].run { _ in try await Task.sleep(for: .seconds(60)) } }
                try await eventually { try await electors[2].candidates().count == 2 }
                let error = await #expect(throws: ElectionError.self) {
                    try await electors[2].handOver(to: "candidate 1", within: .milliseconds(300))
                }
                #expect(error?.code == .handoverFailed)
                // Nobody else leads before it has returned.
                #expect(electors[0].isLeading)
                mayEnd.value = true
                try await eventually { electors[1].isLeading }
                group.cancelAll()
            }
        }
    }

    @Test(
        "The one with the highest priority leads next, whenever it came (control: with equal ones, the first that came)"
    )
    func theFittestLeadsNext() async throws {
        for priorities in [[0, -5, 3, 7, 3], [0, 0, 0, 0, 0]] {
            try await withCandidates(5, plan: { CandidatePlan(priority: priorities[$0]) }) { electors, _ in
                let book = TermBook()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (index, elector) in electors.enumerated() {
                        campaign([elector], noting: book, in: &group)
                        try await eventually { index == 0 ? elector.isLeading : elector.isFollowing }
                        // Until it has its place.
                        try await Task.sleep(for: .milliseconds(300))
                    }
                    let all = try await electors[0].candidates()
                    #expect(all.map(\.priority) == priorities.sorted(by: >))
                    electors[0].resign()
                    let expected = priorities[3] == 7 ? "candidate 3" : "candidate 1"
                    try await eventually("the next leader") { book.terms.count == 2 }
                    #expect(book.terms.last?.identity == expected)
                    group.cancelAll()
                }
            }
        }
    }
}

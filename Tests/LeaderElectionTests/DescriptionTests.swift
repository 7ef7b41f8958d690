// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LeaderElection
@testable import Redlock

/// What is told of an election prints as a person would read it.
@Suite
struct DescriptionTests {
    private static let random = String(repeating: "0", count: 32)

    @Test
    func leadershipTellsWhoLeads() {
        #expect("\(Leadership.vacant)" == "vacant")
        #expect("\(Leadership.unknown)" == "unknown, too few nodes answer")
        let leader = Leadership.Leader(
            candidate: Candidate(identity: "a", metadata: "10.0.0.1:80"),
            term: FencingToken(rawValue: 5),
            since: .seconds(1_767_276_185)
        )
        #expect("\(Leadership.led(leader))" == "led by a, \"10.0.0.1:80\", term 5, since 2026-01-01 14:03:05Z")
    }

    @Test
    func aCandidateTellsWhereItRuns() throws {
        let client = ClientIdentifier(bits: 7)
        let value = "\(Self.random):a\u{1F}note=\(client) 3 zone b\u{1F}host=h\u{1F}pid=7\u{1F}since=1767276185000"
        let live = try #require(LiveCandidate(LockStatus.Holder(ownerToken: value, remaining: nil)))
        #expect("\(live)" == "a, \"zone b\", priority 3, on h process 7, since 2026-01-01 14:03:05Z")
        #expect("\(Candidate(identity: "a"))" == "a")
    }

    @Test
    func aPastTermTellsItsBeginningAndItsEnd() throws {
        let line =
            "\(Self.random):a\u{1F}host=h\u{1F}since=1767276185000\u{1F}token=5"
            + "\u{1F}until=1767276190000\u{1F}ending=resigned"
        let term = PastTerm(try #require(RecordedGrant(line: Array(line.utf8))))
        #expect("\(term)" == "term 5: a, on h, from 2026-01-01 14:03:05Z, to 2026-01-01 14:03:10Z (resigned)")
    }

    @Test
    func eventsAndStatesTellWhatTheCandidateDoes() {
        #expect("\(ElectionEvent.campaigning)" == "campaigns")
        let ended = ElectionEvent.ended(term: FencingToken(rawValue: 5), reason: "lost")
        #expect("\(ended)" == "term 5 has ended: lost")
        #expect("\(LeaderElector.Status.idle)" == "does not campaign")
        #expect("\(LeaderElector.Status.outOfTouch(reason: "refused"))" == "too few nodes answer: refused")
    }
}

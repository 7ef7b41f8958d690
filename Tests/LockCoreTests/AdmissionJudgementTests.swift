// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@Suite
struct AdmissionJudgementTests {
    private static let membership = Membership(node: "b", members: ["c", "b", "a"], maximumTTLMilliseconds: 30_000)

    /// A durable master without a memory bound, whose user may ask for everything.
    private static let facts: ServerFacts = {
        var facts = ServerFacts()
        facts.runID = "f3b1"
        facts.isMaster = true
        facts.isClusterNode = false
        facts.hasAppendOnlyFile = true
        facts.fsyncPolicy = "always"
        facts.suspendsFsyncDuringRewrite = false
        facts.memoryLimitBytes = 0
        facts.evictionPolicy = "noeviction"
        facts.evictedKeys = 0
        return facts
    }()

    /// The record of the same server process.
    private static let record = NodeRecord(
        id: RecordID(bits: 1),
        reason: .noRecord,
        serverMicroseconds: 1_767_225_600_000_000,
        wallMicroseconds: 1_767_225_600_000_000,
        quarantineMilliseconds: 0,
        marker: nil,
        facts: facts,
        membership: membership
    )

    /// What comes of a change to what the server says, to its record, or both.
    private func judge(
        expecting membership: Membership = membership,
        _ change: (inout ServerFacts, inout NodeRecord) -> Void
    ) -> AdmissionJudgement {
        var (facts, record) = (Self.facts, Self.record)
        change(&facts, &record)
        let judgement = AdmissionJudgement.judge(facts, RecordPlace(text: record.text), expecting: membership)
        if case .recordStands(let standing) = judgement { #expect(standing == record) }
        return judgement
    }

    /// Nil where the record stands; which one it is was looked at before.
    private func objection(_ change: (inout ServerFacts, inout NodeRecord) -> Void) -> AdmissionJudgement? {
        let judgement = judge(change)
        if case .recordStands = judgement { return nil } else { return judgement }
    }

    @Test
    func nodeThatIsAsItWasEnrolledVotes() {
        #expect(judge { _, _ in } == .recordStands(Self.record))
    }

    // MARK: The server

    @Test
    func replicaHasNoVoteWhateverItsRecordSays() {
        #expect(objection { facts, _ in facts.isMaster = false } == .refuse(.replica))
        var facts = Self.facts
        facts.isMaster = false
        // Above all it is not enrolled: the record would be its master's to write.
        #expect(AdmissionJudgement.judge(facts, .empty, expecting: Self.membership) == .refuse(.replica))
    }

    @Test
    func sentinelHasNoVote() {
        #expect(objection { facts, _ in facts.isSentinel = true } == .refuse(.sentinel))
    }

    @Test
    func replicaInAClusterIsToldAsANodeOfTheCluster() {
        let refusal = objection { facts, _ in
            facts.isMaster = false
            facts.isClusterNode = true
        }
        #expect(refusal == .refuse(.clusterNode))
    }

    @Test
    func clusterNodeHasNoVote() {
        #expect(objection { facts, _ in facts.isClusterNode = true } == .refuse(.clusterNode))
    }

    @Test
    func nodeThatMayEvictHasNoVote() {
        let cases: [(limit: Int64?, policy: String?, isRefused: Bool)] = [
            (100, "allkeys-lru", true), (100, "volatile-ttl", true), (100, "noeviction", false), (100, nil, false),
            (0, "allkeys-lru", false), (nil, "allkeys-lru", false), (nil, nil, false),
        ]
        for (limit, policy, isRefused) in cases {
            let objection = objection { facts, _ in
                facts.memoryLimitBytes = limit
                facts.evictionPolicy = policy
            }
            #expect(objection == (isRefused ? .refuse(.evicting(policy: policy ?? "")) : nil))
        }
    }

    // MARK: The record

    @Test
    func nodeWithoutARecordIsEnrolled() {
        for facts in [Self.facts, ServerFacts()] {
            let judgement = AdmissionJudgement.judge(facts, .empty, expecting: Self.membership)
            #expect(judgement == .enrol(.noRecord))
        }
    }

    @Test(arguments: ["", "something else", "89abcdef01234567 1767225600000000"])
    func whatIsNoRecordIsNotOverwritten(text: String) {
        let judgement = AdmissionJudgement.judge(Self.facts, RecordPlace(text: text), expecting: Self.membership)
        #expect(judgement == .refuse(.unreadableRecord))
    }

    @Test
    func otherMembershipHasNoVote() {
        let others = [["a", "b"], ["a", "b", "c", "d"], ["a", "b", "d"], ["b"], ["a", "b", "b", "c"]]
        for members in others {
            let objection = objection { _, record in record.members = members }
            #expect(objection == .refuse(.otherMembership(node: "b", members: members)))
        }
        // The record of another node, say in a file that was copied.
        let objection = objection { _, record in record.node = "a" }
        #expect(objection == .refuse(.otherMembership(node: "a", members: ["a", "b", "c"])))
    }

    /// Nor is it enrolled anew if it was restarted: the client may have the wrong list.
    @Test
    func otherMembershipIsNotOverwritten() {
        let objection = objection { facts, record in
            facts.runID = "77aa"
            facts.hasAppendOnlyFile = false
            record.members = ["b"]
        }
        #expect(objection == .refuse(.otherMembership(node: "b", members: ["b"])))
    }

    @Test
    func orderOfTheMembersDoesNotMatter() {
        for order in orders(count: 3) {
            let members = order.map { ["a", "b", "c"][$0] }
            let membership = Membership(node: "b", members: members, maximumTTLMilliseconds: 30_000)
            #expect(judge(expecting: membership) { _, _ in } == .recordStands(Self.record))
        }
    }

    @Test(arguments: [(29_999, true), (30_000, false), (30_001, false), (60_000, false)] as [(Int64, Bool)])
    func nodeMustBeEnrolledForTheLongestTTL(enrolled: Int64, isRefused: Bool) {
        let objection = objection { _, record in record.maximumTTLMilliseconds = enrolled }
        #expect(objection == (isRefused ? .refuse(.maximumTTL(enrolledMilliseconds: enrolled)) : nil))
    }

    // MARK: Restarts

    @Test
    func restartOfADurableServerForgetsNothing() {
        #expect(objection { facts, _ in facts.runID = "77aa" } == nil)
    }

    @Test
    func restartOfAServerThatMayLoseWritesForgets() {
        let changes: [@Sendable (inout ServerFacts) -> Void] = [
            { $0.hasAppendOnlyFile = false }, { $0.hasAppendOnlyFile = nil }, { $0.fsyncPolicy = "everysec" },
            { $0.fsyncPolicy = nil }, { $0.suspendsFsyncDuringRewrite = true }, { $0.suspendsFsyncDuringRewrite = nil },
        ]
        for change in changes {
            let objection = objection { facts, _ in
                facts.runID = "77aa"
                change(&facts)
            }
            #expect(objection == .enrol(.restarted))
            // In the same process nothing was lost.
            #expect(self.objection { facts, _ in change(&facts) } == nil)
        }
    }

    /// What was lost was lost under the settings of the time before the restart.
    @Test
    func durableNowIsNotEnough() {
        let objection = objection { facts, record in
            facts.runID = "77aa"
            record.isDurable = false
        }
        #expect(objection == .enrol(.restarted))
        #expect(self.objection { _, record in record.isDurable = false } == nil)
    }

    /// A server that followed another one has its keys, which may lack the last writes, however durable it is.
    @Test(arguments: ["f3b1", "77aa"])
    func serverThatFollowedAnotherForgets(runID: String) {
        let cases: [(enrolled: String?, current: String?, isPromoted: Bool)] = [
            (nil, "x", true), ("x", "y", true), ("x", "x", false), (nil, nil, false),
            // A restart forgets whom it followed.
            ("x", nil, false),
        ]
        for (enrolled, current, isPromoted) in cases {
            let objection = objection { facts, record in
                record.formerReplicationID = enrolled
                facts.formerReplicationID = current
                facts.runID = runID
            }
            #expect(objection == (isPromoted ? .enrol(.promoted) : nil))
        }
    }

    // MARK: Markers

    /// Which process it is, by its run id where both are known, else by the marker.
    @Test
    func processIsKnownByItsTraces() {
        let (another, unknown) = (AdmissionJudgement.enrol(.restarted), AdmissionJudgement.refuse(.restartsUnknown))
        let cases: [(enrolled: String?, marker: String?, current: String?, hasMarker: Bool?, AdmissionJudgement?)] = [
            ("f3b1", nil, "f3b1", nil, nil), ("f3b1", "m", "f3b1", false, nil), ("f3b1", "m", "f3b1", nil, nil),
            ("f3b1", "m", "77aa", true, another), ("f3b1", nil, "77aa", nil, another),
            // This user may not run INFO.
            ("f3b1", "m", nil, true, nil), ("f3b1", "m", nil, false, another), ("f3b1", "m", nil, nil, unknown),
            ("f3b1", nil, nil, nil, unknown), ("f3b1", nil, nil, true, unknown),
            // Nor was the enroller allowed to.
            (nil, "m", nil, true, nil), (nil, "m", nil, false, another), (nil, "m", nil, nil, unknown),
            (nil, nil, nil, nil, unknown), (nil, nil, nil, true, unknown),
            // Only the enroller was not.
            (nil, "m", "f3b1", true, nil), (nil, "m", "f3b1", false, another), (nil, "m", "f3b1", nil, unknown),
            // It could leave no trace at all: whoever knows the process enrols it so that others can tell.
            (nil, nil, "f3b1", nil, another), (nil, nil, "f3b1", true, another),
        ]
        for (number, (enrolled, marker, current, hasMarker, expected)) in cases.enumerated() {
            let objection = objection { facts, record in
                // So that another process shows.
                record.isDurable = false
                (record.runID, record.marker) = (enrolled, marker)
                (facts.runID, facts.hasMarker) = (current, hasMarker)
            }
            #expect(objection == expected, "case \(number)")
        }
    }

    /// A user who may ask for nothing but the marker: what is not known stands against nobody, but for durability.
    @Test
    func userWithoutRights() {
        for (hasMarker, expected) in [(true, nil), (false, AdmissionJudgement.enrol(.restarted))] {
            let objection = objection { facts, record in
                facts = ServerFacts()
                facts.hasMarker = hasMarker
                record.marker = "m"
            }
            #expect(objection == expected)
        }
        #expect(objection { facts, _ in facts = ServerFacts() } == .refuse(.restartsUnknown))
    }

    // MARK: Evictions

    @Test(arguments: [
        Evictions(enrolled: 3, current: 3, isLoss: false), Evictions(enrolled: 3, current: 4, isLoss: true),
        Evictions(enrolled: 3, current: 2, isLoss: false), Evictions(enrolled: 3, current: nil, isLoss: false),
        // The count begins anew with the process.
        Evictions(enrolled: 3, runID: "77aa", current: 0, isLoss: false),
        Evictions(enrolled: 3, runID: "77aa", current: 1, isLoss: true),
        Evictions(enrolled: 3, runID: "77aa", current: nil, isLoss: false),
    ])
    private func evictionsSinceTheEnrolmentForget(evictions: Evictions) {
        let objection = objection { facts, record in
            record.evictedKeys = evictions.enrolled
            facts.runID = evictions.runID
            facts.evictedKeys = evictions.current
        }
        #expect(objection == (evictions.isLoss ? .enrol(.evicted) : nil))
    }

    private struct Evictions {
        let enrolled: Int64
        var runID = "f3b1"
        let current: Int64?
        let isLoss: Bool
    }
}

// SPDX-License-Identifier: Apache-2.0

import Logging
import Testing

@testable import Redlock

/// Values print as a person would read them, and never with a secret.
@Suite
struct DescriptionTests {
    private static let holder = LockStatus.Holder(
        label: "me@host:7",
        remaining: .milliseconds(8_250),
        host: "host",
        process: 7,
        since: .seconds(1_767_276_185),
        note: "job 4"
    )
    private static let text =
        "me@host:7, on host process 7, since 2026-01-01 14:03:05Z, 8.2s left unless renewed, \"job 4\""

    private func status(
        _ states: [LockStatus.NodeState],
        slot: Int? = nil,
        holder: LockStatus.Holder? = nil,
        sharers: [LockStatus.Holder] = [],
        token: Int64? = nil,
        waiting: Int? = nil,
        ownerTokens: [OwnerToken] = [],
        isQuorumReachable: Bool = true
    ) -> LockStatus {
        LockStatus(
            resource: "a",
            slot: slot,
            nodes: states.enumerated().map { LockStatus.Node(name: "n\($0)", state: $1) },
            holder: holder,
            sharers: sharers,
            lastFencingToken: token.map(FencingToken.init(rawValue:)),
            holderFencingToken: token.map(FencingToken.init(rawValue:)),
            waitingClients: waiting,
            ownerTokens: ownerTokens,
            sharerTokens: ownerTokens,
            ownerMarks: [],
            isQuorumReachable: isQuorumReachable
        )
    }

    @Test
    func aStatusTellsWhoHoldsTheLock() {
        let held = LockStatus.NodeState.held(Self.holder, ownerNumber: 1)
        let status = status([held, held, .free], holder: Self.holder, token: 41, waiting: 2)
        #expect("\(status)" == "\"a\": held by \(Self.text); fencing tokens reserved up to 41; 2 clients wait")
        #expect("\(status.nodes[0])" == "n0: held by \(Self.text)")
        #expect("\(LockStatus.Holder(label: nil, remaining: nil))" == "a client of another kind")
    }

    @Test
    func aStatusTellsWhatIsNotHeld() {
        let (one, two) = (
            LockStatus.Holder(label: "one", remaining: nil), LockStatus.Holder(label: "two", remaining: nil)
        )
        #expect("\(status([.free, .free], waiting: 0))" == "\"a\": free")
        #expect("\(status([.free], slot: 3, waiting: 1))" == "\"a slot 3\": free; 1 client waits")
        #expect("\(status([.shared(holderCount: 2)], sharers: [one, two]))" == "\"a\": shared by one, and by two")
        let split = status([.held(one, ownerNumber: 1), .held(two, ownerNumber: 2)])
        #expect("\(split)" == "\"a\": not held by a quorum (n0: held by one; n1: held by two)")
        #expect("\(status([.notALock, .free]))" == "\"a\": not a lock (n0: something that is not a lock; n1: free)")
        let silent = status([.unavailable(reason: "refused"), .free], isQuorumReachable: false)
        #expect("\(silent)" == "\"a\": unknown, too few nodes answered (n0: unavailable: refused; n1: free)")
    }

    @Test
    func noStatusShowsTheSecretOfAnOwnerToken() {
        let token = OwnerToken(highBits: 0xFEED_FACE, lowBits: 0xFEED_FACE, label: "me")
        #expect(token.secretText.contains("feedface"), "the control: the secret is what is looked for")
        let holder = LockStatus.Holder(ownerToken: token.secretText, remaining: nil)
        let status = status([.held(holder, ownerNumber: 1)], holder: holder, ownerTokens: [token])
        let values: [any Sendable] = [
            status, LockChange.acquired(status), LockChange.changedHands(status, from: holder),
            LockChange.lost(status, by: holder),
        ]
        for text in values.flatMap({ allTexts(of: $0) }) { #expect(!text.contains("feedface"), "\(text)") }
    }

    @Test
    func aLeaseTellsWhatItIsOf() throws {
        let token = OwnerToken(highBits: 0xFEED_FACE, lowBits: 0, label: "me")
        let core = LockClientCore(
            profile: .compatible,
            nodeNames: ["a:6379"],
            configuration: RedlockConfiguration(),
            surroundings: StandingStill(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let lease = Lease<Unfenced>(try heldLease(token, engine: core.engine), of: core)
        #expect("\(lease)".hasPrefix("lease of \"a\", held by host:7, "), "\(lease)")
        #expect("\(lease)".hasSuffix(" left unless renewed"), "\(lease)")
        for text in allTexts(of: lease) { #expect(!text.contains("feedface"), "\(text)") }
    }

    @Test
    func aRecordedGrantTellsItsBeginningAndItsEnd() throws {
        let random = String(repeating: "0", count: 32)
        let line = "\(random):me\u{1F}host=h\u{1F}since=1767276185000\u{1F}token=41"
        let open = try #require(RecordedGrant(line: Array(line.utf8)))
        #expect("\(open)" == "token 41: me, on h, since 2026-01-01 14:03:05Z")
        let ended = line + "\u{1F}until=1767276190000\u{1F}ending=released"
        let closed = try #require(RecordedGrant(line: Array(ended.utf8)))
        #expect("\(closed)" == "\(open), until 2026-01-01 14:03:10Z (released)")
    }

    @Test
    func changesTellWhatHappened() {
        let status = status([.free], waiting: 1)
        let holder = LockStatus.Holder(label: "me", remaining: nil)
        #expect("\(LockChange.released(resource: "a", by: holder))" == "released: \"a\", by me")
        #expect("\(LockChange.expired(resource: "a", by: holder))" == "expired: \"a\", last held by me")
        #expect("\(LockChange.waitersJoined(status, count: 1))" == "awaited by 1 more: \"a\": free; 1 client waits")
        #expect("\(LockChange.nodeLostVote(node: "n", reason: "restarted"))" == "node n has no vote: restarted")
        let report = RedlockError.NodeReport(node: "n", outcome: "refused")
        #expect("\(LockChange.quorumLost(nodes: [report]))" == "too few nodes answer: \(report)")
    }

    @Test
    func aDiagnosisTellsWhatIsWrong() {
        let finding = Diagnosis.Finding(
            assumption: .noEviction,
            verdict: .fail,
            reason: "maxmemory-policy is allkeys-lru",
            remedy: "set maxmemory-policy noeviction"
        )
        #expect(
            "\(finding)" == "no eviction: fail, maxmemory-policy is allkeys-lru -> set maxmemory-policy noeviction"
        )
        let nodes = [
            Diagnosis.Node(name: "n0", server: nil, hasVote: true, reason: nil, quarantineRemaining: nil, findings: []),
            Diagnosis.Node(
                name: "n1",
                server: "Redis 7.0.15",
                hasVote: false,
                reason: "it evicts keys",
                quarantineRemaining: nil,
                findings: [finding]
            ),
        ]
        let diagnosis = Diagnosis(nodes: nodes, client: [], quorum: 2, nodesThatMayFail: 0, nodesThatMayForget: 0)
        #expect(
            "\(diagnosis)"
                == "1 of 2 votes count, 2 are needed; n1: vote does not count, it evicts keys; n1: \(finding)"
        )
        #expect("\(nodes[0])" == "n0: vote counts")
    }

    @Test
    func eventsTellWhatHappened() {
        let granted = RedlockEvent.granted(resource: "a", fencingToken: FencingToken(rawValue: 4), waited: .seconds(2))
        #expect("\(granted)" == "granted \"a\", fencing token 4 after 2s")
        #expect("\(RedlockEvent.lost(resource: "a", reason: "expired"))" == "lost \"a\": expired")
        #expect("\(RedlockEvent.nodeRefused(node: "n", reason: "replica"))" == "node n has no vote: replica")
    }

    @Test(arguments: [
        (0, "1970-01-01 00:00:00Z"), (951_782_399, "2000-02-28 23:59:59Z"), (951_782_400, "2000-02-29 00:00:00Z"),
        (951_868_800, "2000-03-01 00:00:00Z"), (1_767_225_599, "2025-12-31 23:59:59Z"),
        (4_107_542_400, "2100-03-01 00:00:00Z"), (-1, "1969-12-31 23:59:59Z"),
        (253_402_300_799, "9999-12-31 23:59:59Z"),
    ])
    func timesAreTheDatesOfTheCalendar(second: Int64, text: String) {
        #expect(Duration.seconds(second).timeText == text)
    }

    @Test(arguments: [
        (0, "0ms"), (850, "850ms"), (2_000, "2s"), (2_050, "2s"), (2_350, "2.3s"), (310_000, "5m 10s"),
        (3_600_000, "1h"), (10_920_000, "3h 2m"),
    ])
    func durationsAreShort(milliseconds: Int64, text: String) {
        #expect(Duration.milliseconds(milliseconds).briefText == text)
    }
}

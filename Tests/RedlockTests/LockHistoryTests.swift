// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@testable import Redlock

/// What one picture after the other says of locks and nodes.
@Suite
struct LockHistoryTests {
    private var history = LockHistory(quorum: 2)

    /// A lock as three nodes show it: each with its owner, free (nil), no answer ("?"), or something else in its place ("!").
    private func status(
        _ owners: String?...,
        name: String = "a",
        remaining: Duration? = .seconds(10),
        waiting: Int? = 0,
        sharers: [String] = []
    ) -> LockStatus {
        let known = owners.compactMap { $0 == "?" || $0 == "!" ? nil : $0 }
        let distinct = known.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let nodes = owners.enumerated().map { place, owner in
            let state: LockStatus.NodeState =
                switch owner {
                case nil: .free
                case "?": .unavailable(reason: "no answer in time")
                case "!": .notALock
                case let owner?:
                    .held(
                        LockStatus.Holder(label: owner, remaining: remaining),
                        ownerNumber: (distinct.firstIndex(of: owner) ?? 0) + 1
                    )
                }
            return LockStatus.Node(name: "node \(place)", state: state)
        }
        let holder = distinct.first { owner in known.count { $0 == owner } >= 2 }
        return LockStatus(
            resource: name,
            slot: nil,
            nodes: nodes,
            holder: holder.map { LockStatus.Holder(label: $0, remaining: remaining) },
            sharers: sharers.map { LockStatus.Holder(label: $0, remaining: remaining) },
            lastFencingToken: FencingToken(rawValue: 16),
            holderFencingToken: FencingToken(rawValue: 16),
            waitingClients: waiting,
            ownerTokens: [],
            sharerTokens: [],
            ownerMarks: distinct.map(\.hashValue),
            isQuorumReachable: true
        )
    }

    /// A look that takes 10 ms.
    private func picture(
        at second: Double = 0,
        _ locks: LockStatus...,
        nodes: [LockPicture.Node] = []
    ) -> LockPicture {
        let began = Instant(nanoseconds: Int64(second * 1_000_000_000))
        return LockPicture(
            began: began,
            ended: began.advanced(byNanoseconds: 10_000_000),
            nodes: nodes,
            locks: .seen(locks)
        )
    }

    private func outage(_ outcome: String) -> LockPicture {
        let reports = [RedlockError.NodeReport(node: "node 0", outcome: outcome)]
        let now = Instant(nanoseconds: 0)
        return LockPicture(began: now, ended: now, nodes: [], locks: .unknown(reports))
    }

    private func holder(_ label: String, remaining: Duration? = .seconds(10)) -> LockStatus.Holder {
        LockStatus.Holder(label: label, remaining: remaining)
    }

    @Test
    mutating func whatIsHeldAtFirstIsNotCalledAcquired() {
        let (a, b) = (status("x", "x", "x"), status("y", "y", nil, name: "b"))
        #expect(history.changes(in: picture(b, a)) == [.held(a), .held(b)])
        #expect(history.changes(in: picture(at: 1, a, b)).isEmpty)
        let c = status("x", "x", "x", name: "c")
        #expect(history.changes(in: picture(at: 2, a, b, c)) == [.acquired(c)])
    }

    @Test
    mutating func aLockIsAcquiredAndReleased() {
        #expect(history.changes(in: picture(status(nil, nil, nil))).isEmpty)
        let held = status("x", nil, "x")
        #expect(history.changes(in: picture(at: 1, held)) == [.acquired(held)])
        #expect(history.openNames == [ResourceName("a")])
        #expect(history.changes(in: picture(at: 2)) == [.released(resource: "a", by: holder("x"))])
        #expect(history.openNames.isEmpty)
        #expect(history.changes(in: picture(at: 3)).isEmpty)
    }

    /// It was asked for by name, so that the nodes say that it is free.
    @Test
    mutating func aLockThatIsFreeIsReleased() {
        _ = history.changes(in: picture(status("x", "x", "x")))
        let free = status(nil, nil, "?")
        #expect(history.changes(in: picture(at: 1, free)) == [.released(resource: "a", by: holder("x"))])
    }

    /// The life that was seen counts from the beginning of the look, and the next look may end late.
    @Test(arguments: [(9.98, true), (9.995, false), (11.0, false)])
    func onlyWhatLivedLongEnoughMayHaveExpired(_ second: Double, isReleased: Bool) {
        var history = history
        _ = history.changes(in: picture(status("x", "x", "x")))
        let change = history.changes(in: picture(at: second))
        let (released, expired) = (
            LockChange.released(resource: "a", by: holder("x")), LockChange.expired(resource: "a", by: holder("x"))
        )
        #expect(change == [isReleased ? released : expired])
    }

    @Test
    mutating func aRenewalPutsTheEndOff() {
        _ = history.changes(in: picture(status("x", "x", "x")))
        #expect(history.changes(in: picture(at: 8, status("x", "x", "x"))).isEmpty)
        #expect(history.changes(in: picture(at: 12)) == [.released(resource: "a", by: holder("x"))])
    }

    @Test
    mutating func aLockWithoutAnEndDoesNotExpire() {
        _ = history.changes(in: picture(status("x", "x", "x", remaining: nil)))
        let change = LockChange.released(resource: "a", by: holder("x", remaining: nil))
        #expect(history.changes(in: picture(at: 1_000)) == [change])
    }

    @Test
    mutating func anotherOwnerIsAnotherHolder() {
        _ = history.changes(in: picture(status("x", "x", "x")))
        let next = status("y", "x", "y")
        #expect(history.changes(in: picture(at: 1, next)) == [.changedHands(next, from: holder("x"))])
        #expect(history.changes(in: picture(at: 2, status("y", "y", "y"))).isEmpty)
    }

    @Test
    mutating func sharersComeAndGo() {
        _ = history.changes(in: picture(status(nil, nil, nil)))
        let two = status(nil, nil, nil, sharers: ["x", "y"])
        #expect(history.changes(in: picture(at: 1, two)) == [.sharersJoined(two, count: 2)])
        #expect(history.openNames == [ResourceName("a")])
        let one = status(nil, nil, nil, sharers: ["y"])
        #expect(history.changes(in: picture(at: 2, one)) == [.sharersLeft(one, count: 1)])
        #expect(history.changes(in: picture(at: 3, one)).isEmpty)
        let alone = status("z", "z", "z")
        #expect(history.changes(in: picture(at: 4, alone)) == [.acquired(alone), .sharersLeft(alone, count: 1)])
    }

    /// Another owner token of the same client has the same label.
    @Test
    mutating func theSameClientOnceMoreIsAnotherHolder() {
        let first = status("x", "x", "x")
        _ = history.changes(in: picture(first))
        let again = LockStatus(
            resource: "a",
            slot: nil,
            nodes: first.nodes,
            holder: first.holder,
            sharers: [],
            lastFencingToken: nil,
            holderFencingToken: nil,
            waitingClients: 0,
            ownerTokens: [],
            sharerTokens: [],
            ownerMarks: ["another".hashValue],
            isQuorumReachable: true
        )
        #expect(history.changes(in: picture(at: 1, again)) == [.changedHands(again, from: holder("x"))])
    }

    /// A release reaches one node after the other.
    @Test
    mutating func onOneNodeOnceIsNotYetLost() {
        let held = status("x", "x", "x")
        _ = history.changes(in: picture(held))
        #expect(history.changes(in: picture(at: 1, status("x", nil, nil))).isEmpty)
        #expect(history.changes(in: picture(at: 2, held)).isEmpty)
        #expect(history.changes(in: picture(at: 3, status("x", nil, nil))).isEmpty)
        #expect(history.changes(in: picture(at: 4)) == [.released(resource: "a", by: holder("x"))])
    }

    @Test
    mutating func onOneNodeTwiceIsLost() {
        _ = history.changes(in: picture(status("x", "x", "x")))
        #expect(history.changes(in: picture(at: 1, status("x", nil, nil))).isEmpty)
        let rest = status("x", "y", nil)
        #expect(history.changes(in: picture(at: 2, rest)) == [.lost(rest, by: holder("x"))])
        #expect(history.changes(in: picture(at: 3, rest)).isEmpty)
    }

    /// The node that says nothing may have the key.
    @Test
    mutating func whatASilentNodeMayHaveIsNotLost() {
        _ = history.changes(in: picture(status("x", nil, "x")))
        for second in 1..<5 { #expect(history.changes(in: picture(at: Double(second), status("x", nil, "?"))).isEmpty) }
        #expect(history.changes(in: picture(at: 5, status("x", nil, "x"))).isEmpty)
    }

    @Test
    mutating func anAttemptOnOneNodeIsNoHolder() {
        #expect(history.changes(in: picture(status("x", nil, nil))).isEmpty)
        #expect(history.changes(in: picture(at: 1, status("x", "y", "z"))).isEmpty)
        #expect(history.openNames.isEmpty)
    }

    @Test
    mutating func thoseWhoWaitAreCounted() {
        _ = history.changes(in: picture(status("x", "x", "x", waiting: 1)))
        let more = status("x", "x", "x", waiting: 3)
        #expect(history.changes(in: picture(at: 1, more)) == [.waitersJoined(more, count: 2)])
        #expect(history.changes(in: picture(at: 2, more)).isEmpty)
        #expect(history.changes(in: picture(at: 3, status("x", "x", "x", waiting: nil))).isEmpty)
        let none = status("x", "x", "x", waiting: 0)
        _ = history.changes(in: picture(at: 4, more))
        #expect(history.changes(in: picture(at: 5, none)) == [.waitersLeft(none, count: 3)])
    }

    /// The first who waited has it now, and is not told to have gone.
    @Test
    mutating func whoeverGetsTheLockWaitsNoMore() {
        _ = history.changes(in: picture(status("x", "x", "x", waiting: 2)))
        let next = status("y", "y", "y", waiting: 1)
        #expect(history.changes(in: picture(at: 1, next)) == [.changedHands(next, from: holder("x"))])
    }

    /// Told once when it is seen, and once when it is gone from every node, whatever the others grant meanwhile.
    @Test
    mutating func foreignDataComesAndGoes() {
        let foreign = status("!", "!", nil)
        #expect(history.changes(in: picture(foreign)) == [.notALock(foreign)])
        #expect(history.changes(in: picture(at: 1, status("!", "!", nil))).isEmpty)
        let held = status("!", "x", "x")
        #expect(history.changes(in: picture(at: 2, held)) == [.acquired(held)])
        #expect(history.changes(in: picture(at: 3, status("x", "x", "x"))) == [.foreignDataGone(resource: "a")])
        #expect(history.changes(in: picture(at: 4, status("x", "x", "x"))).isEmpty)
    }

    /// The key may be gone from every node at once, and the name with it.
    @Test
    mutating func foreignDataGoesWithItsName() {
        _ = history.changes(in: picture(status("!", "!", "!")))
        #expect(history.changes(in: picture(at: 1)) == [.foreignDataGone(resource: "a")])
        #expect(history.changes(in: picture(at: 2)).isEmpty)
    }

    @Test
    mutating func anOutageIsToldOnceAndForgetsNothing() {
        let held = status("x", "x", "x")
        _ = history.changes(in: picture(held))
        let reports = [RedlockError.NodeReport(node: "node 0", outcome: "dead")]
        #expect(history.changes(in: outage("dead")) == [.quorumLost(nodes: reports)])
        #expect(history.changes(in: outage("still dead")).isEmpty)
        #expect(history.changes(in: picture(at: 3, held)) == [.quorumRegained])
        _ = history.changes(in: outage("dead"))
        let ended = history.changes(in: picture(at: 30))
        #expect(ended == [.quorumRegained, .expired(resource: "a", by: holder("x"))])
    }

    @Test
    mutating func whatIsHeldAfterAnOutageAtFirstIsNotCalledAcquired() {
        let held = status("x", "x", "x")
        _ = history.changes(in: outage("dead"))
        #expect(history.changes(in: picture(held)) == [.quorumRegained, .held(held)])
    }

    @Test
    mutating func nodesComeAndGo() {
        func changes(_ condition: LockPicture.NodeCondition?) -> [LockChange] {
            history.changes(in: picture(nodes: [LockPicture.Node(name: "n", condition: condition)]))
        }
        #expect(changes(.voting).isEmpty)
        let gone = LockChange.nodeUnreachable(node: "n", reason: "refused")
        #expect(changes(.unreachable(reason: "refused")) == [gone])
        #expect(changes(.unreachable(reason: "no route")).isEmpty)
        #expect(changes(nil).isEmpty)
        let quarantined = LockChange.nodeLostVote(node: "n", reason: "for another 31 s")
        #expect(changes(.withoutVote(reason: "for another 31 s")) == [quarantined])
        #expect(changes(.withoutVote(reason: "for another 30 s")).isEmpty)
        #expect(changes(.voting) == [.nodeRegainedVote(node: "n")])
        #expect(changes(.voting).isEmpty)
    }

    @Test
    mutating func aNodeThatIsOutAtFirstIsTold() {
        let node = LockPicture.Node(name: "n", condition: .withoutVote(reason: "evicts"))
        let held = status("x", "x", "x")
        let first = history.changes(in: picture(held, nodes: [node]))
        #expect(first == [.nodeLostVote(node: "n", reason: "evicts"), .held(held)])
    }

    /// Names are one if their bytes are.
    @Test
    mutating func namesThatOnlyLookAlikeAreTwo() {
        let (one, other) = (status("x", "x", "x", name: "\u{E9}"), status("y", "y", "y", name: "e\u{301}"))
        #expect(history.changes(in: picture(one, other)).count == 2)
        #expect(history.changes(in: picture(at: 1, one, other)).isEmpty)
    }
}

/// What is asked of `changes(matching:every:)` before anything is looked at.
@Suite
struct LockChangesTests {
    private func client() throws -> RedlockClient { try RedlockClient(nodes: ["redis://127.0.0.1:1"]) }

    @Test(arguments: ["", String(repeating: "x", count: 513), "a\nb*", "a\nb"])
    func patternsThatCannotBeUsedAreRefused(_ pattern: String) throws {
        let client = try client()
        let error = #expect(throws: RedlockError.self) { try client.changes(matching: pattern) }
        #expect(error?.code == .invalidArgument)
    }

    @Test(arguments: [Duration.zero, .seconds(-1), .milliseconds(99)])
    func intervalsThatAreTooShortAreRefused(_ interval: Duration) throws {
        let client = try client()
        let error = #expect(throws: RedlockError.self) { try client.changes(every: interval) }
        #expect(error?.code == .invalidArgument && error?.message.contains("100 ms") == true)
        _ = try client.changes(every: .milliseconds(100))
    }
}

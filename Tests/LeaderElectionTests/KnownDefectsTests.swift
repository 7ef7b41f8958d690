// SPDX-License-Identifier: Apache-2.0

import Foundation
import LeaderElection
import LocalRedis
import Redlock
import RedlockTesting
import Synchronization
import TestSupport
import Testing

/// Defects that other implementations of leader election had, each of which must not be here.
@Suite(.serialized)
struct KnownDefectsTests {
    /// kubernetes/kubernetes 23731: the lease was lost, the stop callback never ran, and the node went on as leader.
    @Test("Whoever loses its term is told, once, and does not take itself for the leader any more")
    func lossIsTold() async throws {
        try await withCandidates(1) { electors, redis in
            let events = electors[0].events
            let wasCancelled = Flag(false)
            await #expect(throws: RedlockError.self) {
                try await electors[0].withLeadership { _ in
                    for server in redis.servers.prefix(3) { try await server.pause() }
                    do { try await Task.sleep(for: .seconds(60)) } catch { wasCancelled.value = true }
                }
            }
            #expect(wasCancelled.value)
            #expect(!electors[0].isLeading && !electors[0].isHealthy)
            for server in redis.servers.prefix(3) { try await server.resume() }
            var endings: [String] = []
            for await event in events {
                guard case .ended(_, let reason) = event else { continue }
                endings.append(reason)
                break
            }
            #expect(endings == ["lost"])
        }
    }

    /// cilium/cilium 42920: what ran after the end outlived the time that was left for it, and two led.
    @Test("Nobody leads before the former leader has returned, however long it takes, while the nodes can be reached")
    func nobodyLeadsBesideOneThatStops() async throws {
        try await withCandidates(2) { electors, _ in
            let book = TermBook()
            try await withThrowingTaskGroup(of: Void.self) { group in
                let isOver = Flag(false)
                group.addTask {
                    try? await electors[0].withLeadership { term in
                        book.begin(term)
                        defer { book.end() }
                        electors[0].resign()
                        // Longer than the lease duration, and deaf to the cancellation.
                        let end = ContinuousClock.now + .seconds(4)
                        while ContinuousClock.now < end {
                            try? await Task.detached { try await Task.sleep(for: .milliseconds(20)) }.value
                        }
                        isOver.value = true
                    }
                }
                try await eventually { book.terms.count == 1 }
                group.addTask {
                    try await electors[1].withLeadership { term in
                        book.begin(term)
                        defer { book.end() }
                        #expect(isOver.value)
                    }
                }
                try await group.waitForAll()
            }
            #expect(book.terms.count == 2)
            #expect(book.mostAtATime == 1)
        }
    }

    /// etcd-io/etcd 22387: a candidate whose own lease had ended waited for ever, or "won" without a key.
    @Test("A candidate of which the nodes know nothing any more still leads when it is its turn, and then they show it")
    func candidatesSurviveWhatNodesForget() async throws {
        try await withCandidates(2) { electors, redis in
            let book = TermBook()
            try await withThrowingTaskGroup(of: Void.self) { group in
                campaign([electors[0]], noting: book, in: &group)
                try await eventually { electors[0].isLeading }
                campaign([electors[1]], noting: book, in: &group)
                try await eventually { try await electors[0].candidates().count == 2 }
                // Queues, shares and subscriptions are gone; the lock of the leader stays.
                for server in redis.servers {
                    for key in ["queue:scheduler", "readers:scheduler/candidate/candidate 1"] {
                        try await server.send("DEL", "redlock:" + key)
                    }
                    try await server.send("CLIENT", "KILL", "TYPE", "pubsub")
                }
                electors[0].resign()
                try await eventually("the other leads") { book.terms.last?.identity == "candidate 1" }
                #expect(try await electors[0].currentLeader()?.candidate.identity == "candidate 1")
                try await eventually("it is seen again") { try await electors[0].candidates().count == 2 }
                group.cancelAll()
            }
            #expect(book.mostAtATime == 1)
        }
    }

    /// apache/curator 1211, 1137, 1169: after a reconnection, two took themselves for the leader.
    @Test(
        "A leader that was cut off and comes back finds another in its place, and leads again only when that one ends"
    )
    func reconnectionMakesNoSecondLeader() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            try await withProxies(of: redis) { proxies in
                let names = redis.servers.map { "127.0.0.1:\($0.port)" }
                let throughProxies = zip(proxies, names).map { "redis://127.0.0.1:\($0.port)#\($1)" }
                let clients = [try RedlockClient(nodes: throughProxies), try RedlockClient(nodes: redis.urls)]
                let electors = try clients.enumerated().map {
                    try LeaderElector($1, name: "scheduler", identity: "candidate \($0)", configuration: .quick)
                }
                let book = TermBook()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    campaign([electors[0]], noting: book, in: &group)
                    try await eventually { electors[0].isLeading }
                    campaign([electors[1]], noting: book, in: &group)
                    for proxy in proxies { try await proxy.cut() }
                    try await eventually("the other leads") { electors[1].isLeading }
                    #expect(!electors[0].isLeading)
                    for proxy in proxies { try await proxy.heal() }
                    try await eventually("it follows") { electors[0].isFollowing }
                    for _ in 0..<20 {
                        #expect(electors[1].isLeading && !electors[0].isLeading)
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    try await eventually("it is seen again") { try await electors[1].candidates().count == 2 }
                    // Until it has its place in the queues, by connections that are made anew.
                    try await Task.sleep(for: .seconds(1))
                    electors[1].resign()
                    try await eventually("it leads again") { electors[0].isLeading }
                    group.cancelAll()
                }
                #expect(book.mostAtATime == 1)
                for client in clients { await client.shutdown() }
            }
        }
    }

    /// kubernetes/client-go 728: users could not tell whether giving the lease up on cancellation is safe.
    @Test(
        "A cancelled leader gives the lock up once what leads has returned, and not before; nobody waits for the lease"
    )
    func cancellationReleasesAfterTheBody() async throws {
        try await withCandidates(2) { electors, _ in
            let mayReturn = Flag(false)
            let leading = Task {
                try await electors[0].run { _ in
                    while !mayReturn.value {
                        try? await Task.detached { try await Task.sleep(for: .milliseconds(5)) }.value
                    }
                }
            }
            try await eventually { electors[0].isLeading }
            leading.cancel()
            for _ in 0..<20 {
                #expect(try await electors[1].currentLeader()?.candidate.identity == "candidate 0")
                try await Task.sleep(for: .milliseconds(10))
            }
            mayReturn.value = true
            _ = await leading.result
            #expect(try await electors[1].currentLeader() == nil)
        }
    }

    /// ray-project/ray 63773: the start callback ran on the thread of the election and ate the time for renewals; what stops
    /// ran twice.
    @Test("What leads may keep a thread busy for longer than the lease: the term is renewed, and ends once")
    func aBusyLeaderIsRenewed() async throws {
        try await withCandidates(1) { electors, _ in
            let events = electors[0].events
            try await electors[0].withLeadership { term in
                usleep(5_000_000)
                try term.requireValid()
            }
            var endings = 0
            for await event in events {
                if case .ended = event { endings += 1 }
                // What would be told twice, would be told by then.
                if endings == 1 { break }
            }
            #expect(endings == 1)
            #expect(try await electors[0].history().count == 1)
        }
    }

    /// sidekiq/sidekiq 4078: a process that lacks the work was elected.
    @Test("One that is not fit never leads, though nobody else campaigns")
    func theUnfitNeverLead() async throws {
        try await withCandidates(1, plan: { _ in CandidatePlan(isEligible: { false }) }) { electors, _ in
            let led = Flag(false)
            let campaign = Task { try await electors[0].run { _ in led.value = true } }
            try await Task.sleep(for: .milliseconds(500))
            campaign.cancel()
            _ = await campaign.result
            #expect(!led.value)
            #expect(try await electors[0].history().isEmpty)
        }
    }

    private func withProxies(of redis: LocalRedisSet, _ body: ([FaultProxy]) async throws -> Void) async throws {
        var proxies: [FaultProxy] = []
        for server in redis.servers { proxies.append(try await FaultProxy.start(target: .init(port: server.port))) }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(proxies)) } catch { outcome = .failure(error) }
        for proxy in proxies { await proxy.stop() }
        try outcome.get()
    }
}

// SPDX-License-Identifier: Apache-2.0

import FencedStorage
import LeaderElection
import LocalRedis
import Logging
import Redlock
import RedlockTesting
import Synchronization
import TestSupport
import Testing

/// One leader at a time, on real servers.
@Suite(.serialized)
struct LeaderElectorTests {
    @Test("Of many candidates one leads at a time, and every term has a higher number than the one before")
    func oneLeadsAtATime() async throws {
        try await withCandidates(5) { electors, _ in
            let book = TermBook()
            try await withThrowingTaskGroup(of: Void.self) { group in
                campaign(electors, leadingFor: .milliseconds(20), noting: book, in: &group)
                try await eventually("thirty terms") { book.terms.count >= 30 }
                group.cancelAll()
            }
            let terms = book.terms
            #expect(book.mostAtATime == 1)
            #expect(zip(terms, terms.dropFirst()).allSatisfy { $0.number < $1.number })
            #expect(Set(terms.map(\.identity)).count > 1)
        }
    }

    @Test
    func resigningEndsTheTermAndLetsAnotherLead() async throws {
        try await withCandidates(2) { electors, _ in
            let book = TermBook()
            try await withThrowingTaskGroup(of: Void.self) { group in
                campaign(electors, noting: book, in: &group)
                for count in 1...4 {
                    try await eventually("leader \(count)") { book.terms.count == count }
                    let leader = try #require(book.terms.last).identity
                    let elector = try #require(electors.first { $0.candidate.identity == leader })
                    try await eventually { if case .leading = elector.status { true } else { false } }
                    elector.resign()
                }
                group.cancelAll()
            }
            #expect(book.mostAtATime == 1)
            #expect(Set(book.terms.prefix(4).map(\.identity)).count == 2)
        }
    }

    @Test
    func withLeadershipLeadsOnce() async throws {
        try await withCandidates(1) { electors, _ in
            let elector = electors[0]
            let number = try await elector.withLeadership { term in
                #expect(elector.isHealthy)
                try term.requireValid(for: .milliseconds(500))
                let error = #expect(throws: ElectionError.self) { try term.requireValid(for: .seconds(10)) }
                #expect(error?.code == .termEnds)
                let leader = try await elector.currentLeader()
                #expect(leader?.candidate == Candidate(identity: "candidate 0", metadata: "port 8000"))
                #expect(leader?.term == term.number)
                return term.number
            }
            #expect(try await elector.currentLeader() == nil)
            let next = try await elector.withLeadership { $0.number }
            #expect(next > number)
            let resigned = await #expect(throws: ElectionError.self) {
                try await elector.withLeadership { _ in
                    elector.resign()
                    try? await Task.sleep(for: .seconds(60))
                }
            }
            #expect(resigned?.code == .resigned)
        }
    }

    @Test("A leader that is cut off stops before its term ends")
    func leaderThatIsCutOffStops() async throws {
        try await withCandidates(1) { electors, redis in
            let stopped = Mutex<(ended: ContinuousClock.Instant, validUntil: ContinuousClock.Instant)?>(nil)
            let error = await #expect(throws: RedlockError.self) {
                try await electors[0].withLeadership { term in
                    for server in redis.servers.prefix(3) { await server.kill() }
                    try? await Task.sleep(for: .seconds(60))
                    stopped.withLock { $0 = (.now, term.validUntil) }
                }
            }
            #expect(error?.code == .lost)
            let (ended, validUntil) = try #require(stopped.withLock { $0 })
            #expect(ended < validUntil)
            #expect(!electors[0].isHealthy)
        }
    }

    @Test("What goes on leading beyond the end of its term is told, and what stops in time is not (control)")
    func overrunsAreTold() async throws {
        for stopsInTime in [true, false] {
            let log = LogLines()
            try await withCandidates(1, logger: log.logger) { electors, redis in
                let error = await #expect(throws: RedlockError.self) {
                    try await electors[0].withLeadership { term in
                        for server in redis.servers.prefix(3) { await server.kill() }
                        while stopsInTime ? !Task.isCancelled : term.isValid {
                            try? await Task.sleep(for: .milliseconds(10))
                        }
                        if !stopsInTime { await untilNoticed(log) }
                    }
                }
                #expect(error?.code == .lost)
                #expect(log.lines.contains { $0.hasPrefix("critical") } == !stopsInTime)
            }
        }
    }

    /// Waits, whether the task is cancelled or not.
    private func untilNoticed(_ log: LogLines) async {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end, !log.lines.contains(where: { $0.hasPrefix("critical") }) {
            try? await Task.detached { try await Task.sleep(for: .milliseconds(10)) }.value
        }
    }

    @Test
    func errorsOfTheLeaderEndItsCampaigns() async throws {
        struct Failure: Error {}
        try await withCandidates(1) { electors, redis in
            await #expect(throws: Failure.self) { try await electors[0].run { _ in throw Failure() } }
            let leader = try await electors[0].currentLeader()
            #expect(leader == nil)
            // What befalls another lock that the leader wants is its own affair.
            let others = try RedlockClient(nodes: redis.urls)
            let lease = try await others.acquire("other")
            let own = try RedlockClient(nodes: redis.urls)
            let error = await #expect(throws: RedlockError.self) {
                try await electors[0].run { _ in
                    _ = try await own.acquire("other", options: LockOptions(wait: .atMost(.milliseconds(50))))
                }
            }
            #expect(error?.resource == "other")
            await lease.release()
            await own.shutdown()
            await others.shutdown()
        }
    }

    @Test
    func campaignsGoOnAfterAnOutage() async throws {
        try await withCandidates(1) { electors, redis in
            let count = Mutex(0)
            let campaign = Task {
                try await electors[0].run { _ in
                    count.withLock { $0 += 1 }
                    try await Task.sleep(for: .seconds(60))
                }
            }
            try await eventually { count.withLock { $0 } == 1 }
            for server in redis.servers.prefix(3) { try await server.pause() }
            try await eventually("out of touch") {
                if case .outOfTouch = electors[0].status { true } else { false }
            }
            #expect(!electors[0].isHealthy)
            for server in redis.servers.prefix(3) { try await server.resume() }
            try await eventually("another term") { count.withLock { $0 } == 2 }
            campaign.cancel()
            await #expect(throws: CancellationError.self) { try await campaign.value }
        }
    }

    @Test
    func observersSeeWhoLeads() async throws {
        try await withCandidates(2) { electors, _ in
            var seen = electors[1].observe().makeAsyncIterator()
            #expect(await seen.next() == .vacant)
            let mayEnd = AsyncStream.makeStream(of: Void.self)
            let leading = Task {
                try await electors[0].withLeadership { term in
                    for await _ in mayEnd.stream {}
                    return term.number
                }
            }
            let led = await seen.next()
            mayEnd.continuation.finish()
            let number = try await leading.value
            #expect(led?.leader?.candidate.identity == "candidate 0")
            #expect(led?.leader?.candidate.metadata == "port 8000")
            #expect(led?.leader?.term == number)
            #expect(led?.leader?.since != nil)
            #expect(await seen.next() == .vacant)
        }
    }

    @Test("What a former leader writes late is refused by the number of its term")
    func termsAreGrants() async throws {
        try await withCandidates(1) { electors, redis in
            let store = try RedisGuard(redis.urls[0])
            let former = try await electors[0].withLeadership { term in
                try await store.write(term, .command("SET", "data", "first"))
                return term
            }
            try await electors[0].withLeadership { try await store.write($0, .command("SET", "data", "second")) }
            #expect(!former.isValid)
            await #expect(throws: StaleGrantError.self) {
                try await store.write(former, .command("SET", "data", "late"))
            }
            #expect(try await redis[0].send("GET", "data") == "second")
        }
    }

    @Test(arguments: [
        (lease: 10, deadline: 10, retry: 2), (lease: 15, deadline: 2, retry: 2), (lease: 15, deadline: 7, retry: 1),
        (lease: 15, deadline: 10, retry: 0),
    ])
    func timesThatContradictEachOtherAreRefused(lease: Int, deadline: Int, retry: Int) throws {
        var configuration = ElectionConfiguration()
        configuration.leaseDuration = .seconds(lease)
        configuration.renewDeadline = .seconds(deadline)
        configuration.retryPeriod = .seconds(retry)
        let redlock = try RedlockClient(nodes: ["redis://127.0.0.1:1"])
        let error = #expect(throws: ElectionError.self) {
            try LeaderElector(redlock, name: "a", identity: "b", configuration: configuration)
        }
        #expect(error?.code == .invalidConfiguration)
        for name in ["", "a*", "a[b]", "a\\b"] {
            #expect(throws: ElectionError.self) { try LeaderElector(redlock, name: name, identity: "b") }
        }
    }
}

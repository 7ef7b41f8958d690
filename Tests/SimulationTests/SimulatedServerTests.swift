// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock
import RedlockSimulation
import Testing

/// What the simulated server does beyond answering commands, which is compared with a real server.
struct SimulatedServerTests {
    private let driven = Driven()
    private var server: SimulatedServer { driven.server }

    init() {
        driven.enrol()
    }

    // MARK: Time

    @Test
    func lockEndsByTheServersClock() {
        let token = driven.acquire(by: "a")
        #expect(token > 0)
        #expect(driven.acquire(by: "b") == -1 - 10_000)
        driven.clock.microseconds += 10_000_000
        #expect(driven.acquire(by: "b") == -1)
        driven.clock.microseconds += 1_000
        #expect(driven.acquire(by: "b") == token + NodeCommand.tokensPerGrant)
        #expect(driven.release(by: "a") == 0)
        #expect(driven.release(by: "b") == 1)
    }

    @Test
    func whatHasEndedComesBackWithTheClockUnlessItWasDeleted() {
        #expect(driven.acquire(by: "a") > 0)
        driven.clock.microseconds += 20_000_000
        driven.clock.microseconds -= 15_000_000
        #expect(driven.acquire(by: "b") == -1 - 5_000)
        driven.clock.microseconds += 20_000_000
        server.deleteEndedKeys()
        driven.clock.microseconds -= 15_000_000
        #expect(driven.acquire(by: "b") > 0)
    }

    // MARK: Loss

    @Test
    func restartWithEverythingForgetsTheScriptsAlone() {
        #expect(driven.acquire(by: "a") > 0)
        let runID = server.runID
        server.refuse(.loading)
        server.restart(keeping: .everything)
        #expect(server.runID != runID)
        let reply = server.execute(driven.acquisition(by: "b"), recordID: driven.recordID)
        #expect(reply == .error("NOSCRIPT No matching script. Please use EVAL."))
        #expect(driven.acquire(by: "b") == -1 - 10_000)
        #expect(server.execute(driven.acquisition(by: "b"), recordID: driven.recordID) == .integer(-1 - 10_000))
    }

    @Test
    func restartWithNothingIsEmpty() {
        #expect(driven.acquire(by: "a") > 0)
        server.restart(keeping: .nothing)
        #expect(server.keyNames == [])
        #expect(driven.acquire(by: "b") == 0)
    }

    @Test
    func restartFromASnapshotTurnsTheCounterBack() {
        let token = driven.acquire(by: "a")
        #expect(driven.release(by: "a") == 1)
        let snapshot = server.snapshot()
        #expect(driven.acquire(by: "b") == token + NodeCommand.tokensPerGrant)
        server.restart(keeping: .snapshot(snapshot))
        #expect(driven.acquire(by: "c") == token + NodeCommand.tokensPerGrant)
    }

    @Test
    func restartLosesTheLastMoments() {
        server.journalMicroseconds = 2_000_000
        driven.clock.microseconds += 5_000_000
        let token = driven.acquire(by: "a")
        driven.clock.microseconds += 1_500_000
        #expect(driven.release(by: "a") == 1)
        #expect(driven.acquire(by: "b") == token + NodeCommand.tokensPerGrant)
        server.flushAll()
        driven.clock.microseconds += 400_000
        server.restart(keeping: .allButTheLast(microseconds: 1_000_000))
        // The first grant was written before, and what came behind it never was.
        #expect(server.keyNames == ["fence:a", "lock:a", "node"])
        #expect(driven.acquire(by: "c") == -1 - 8_100)
        #expect(driven.release(by: "a") == 1)
        #expect(driven.acquire(by: "c") == token + NodeCommand.tokensPerGrant)
    }

    @Test
    func restartLosesAllThatTheJournalHas() {
        driven.clock.microseconds += 5_000_000
        server.journalMicroseconds = 2_000_000
        #expect(driven.acquire(by: "a") > 0)
        server.restart(keeping: .allButTheLast(microseconds: 2_000_000))
        #expect(server.keyNames == ["node"])
    }

    @Test
    func evictionIsCounted() throws {
        #expect(driven.acquire(by: "a") > 0)
        #expect(server.evict("lock:a"))
        #expect(!server.evict("lock:a"))
        #expect(server.evictedKeys == 1)
        #expect(try information().contains("evicted_keys:1\r\n"))
        #expect(driven.acquire(by: "b") > 0)
    }

    // MARK: Facts

    @Test
    func promotedServerTellsOfTheHistoryThatItHad() throws {
        #expect(try information().contains("master_replid2:\(String(repeating: "0", count: 40))\r\n"))
        server.becomeReplica()
        #expect(try information().contains("role:slave\r\n"))
        #expect(driven.acquire(by: "a") == .min)
        server.promote()
        let promoted = try information()
        #expect(promoted.contains("role:master\r\n"))
        #expect(promoted.contains("master_replid2:\(server.formerReplicationID)\r\n"))
        #expect(Set(server.formerReplicationID).count > 1)
        #expect(driven.acquire(by: "a") > 0)
    }

    @Test
    func settingsAreTold() throws {
        server.settings.hasAppendOnlyFile = true
        server.settings.fsyncPolicy = "always"
        server.settings.memoryLimitBytes = 5
        let information = try information()
        #expect(information.contains("aof_enabled:1\r\n"))
        #expect(information.contains("maxmemory:5\r\n"))
        let reply = server.execute(.plain(["CONFIG", "GET", "*appendfsync*"]))
        #expect(reply.array?.map(\.string) == ["no-appendfsync-on-rewrite", "no", "appendfsync", "always"])
    }

    @Test
    func idsFollowFromTheSeed() {
        #expect(Driven(seed: 5).server.runID == Driven(seed: 5).server.runID)
        #expect(Driven(seed: 5).server.runID != Driven(seed: 6).server.runID)
        #expect(server.runID.utf8.count == 40)
    }

    // MARK: Refusals

    @Test
    func refusalEndsAfterAsManyCommands() {
        server.refuse(.outOfMemory, forCommands: 2)
        #expect(driven.acquire(by: "a") == .min)
        #expect(driven.acquire(by: "a") == .min)
        #expect(driven.acquire(by: "a") > 0)
    }

    @Test
    func scriptThatFailsAtItsLastWriteKeepsWhatItWroteBefore() {
        let token = driven.acquire(by: "a")
        #expect(driven.release(by: "a") == 1)
        server.failNextScriptAtItsLastWrite()
        // It writes nothing, so the next one is meant.
        #expect(driven.release(by: "a") == 0)
        #expect(driven.acquire(by: "b") == .min)
        #expect(server.keyNames == ["fence:a", "node"])
        #expect(driven.acquire(by: "b") == token + 2 * NodeCommand.tokensPerGrant)
    }

    @Test
    func loadingServerTellsAboutItself() throws {
        server.refuse(.loading)
        #expect(try information().contains("run_id:\(server.runID)\r\n"))
        #expect(server.execute(.time).array != nil)
        #expect(server.execute(.plain(["GET", "node"])).error?.hasPrefix("LOADING ") == true)
        #expect(driven.acquire(by: "a") == .min)
    }

    private func information() throws -> String {
        try #require(server.execute(.plain(["INFO"])).string)
    }
}

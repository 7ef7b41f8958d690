// SPDX-License-Identifier: Apache-2.0

import FencedStorage
import Redlock
import RedlockTesting
import Synchronization
import Testing

/// The suite finds every mistake that a guard is likely to have, and none where there is none.
struct ConformanceTests {
    @Test
    func faithfulStorePasses() async throws {
        try await check(MemoryStore(mistake: nil), writeCount: 10_000)
    }

    @Test(arguments: MemoryStore.Mistake.allCases)
    func everyMistakeIsFound(_ mistake: MemoryStore.Mistake) async throws {
        await #expect(throws: FencedStoreViolation.self) { try await check(MemoryStore(mistake: mistake)) }
    }

    private func check(_ store: MemoryStore, writeCount: Int = 1_000) async throws {
        try await FencedStoreConformance(
            store,
            appending: { entry in { @Sendable log in log.append(entry) } },
            reading: { store.entries },
            failing: { log in
                log.append(FencedStoreEntry(token: FencingToken(rawValue: 1), number: 0))
                throw MemoryStore.Failure()
            }
        )
        .check(writeCount: writeCount)
    }
}

/// A store in memory, with a mistake or without.
final class MemoryStore: FencedStore {
    typealias Write = @Sendable (_ log: inout [FencedStoreEntry]) throws -> Void

    struct Failure: Error {}

    enum Mistake: CaseIterable {
        case comparesNothing, refusesTheSameToken, comparesFirstOfSeveral, keepsTokensOfRefusedWrites
        case mixesResources, writesBeforeItCompares, keepsNoHigherToken, lowersToken, keepsWhatFailed
        case comparesInAStepOfItsOwn, ignoresCase, reportsNoFailure, namesTheWrongToken
    }

    private struct State {
        var entries: [FencedStoreEntry] = []
        var highest: [[UInt8]: FencingToken] = [:]
    }

    private let mistake: Mistake?
    private let state = Mutex(State())

    init(mistake: Mistake?) {
        self.mistake = mistake
    }

    var entries: [FencedStoreEntry] { state.withLock(\.entries) }

    func apply(_ write: @escaping Write, under grant: some FencedGrant) async throws {
        if mistake == .comparesInAStepOfItsOwn {
            try state.withLock { try admit(grant, in: &$0) }
            try await Task.sleep(for: .milliseconds(1))
            return try state.withLock { try write(&$0.entries) }
        }
        try state.withLock { state in
            var changed = state
            if mistake == .writesBeforeItCompares {
                try write(&changed.entries)
                state.entries = changed.entries
                try admit(grant, in: &changed)
                state = changed
                return
            }
            do {
                try admit(grant, in: &changed)
                try write(&changed.entries)
            } catch {
                if mistake == .keepsTokensOfRefusedWrites { state.highest = changed.highest }
                if mistake == .keepsWhatFailed { state.entries = changed.entries }
                if mistake == .reportsNoFailure, error is Failure { return }
                throw error
            }
            state = changed
        }
    }

    func highestToken(of resource: String) async throws -> FencingToken? {
        state.withLock { $0.highest[key(of: resource)] }
    }

    private func admit(_ grant: some FencedGrant, in state: inout State) throws {
        let token = grant.fencingToken
        let resources =
            mistake == .comparesFirstOfSeveral
            ? Array(grant.fencedResources.suffix(1)) : grant.fencedResources.reversed()
        for resource in resources {
            let key = key(of: resource)
            let kept = state.highest[key] ?? FencingToken(rawValue: 0)
            let isStale = mistake == .refusesTheSameToken ? kept >= token : kept > token
            if isStale, mistake != .comparesNothing, mistake != .lowersToken {
                let named = mistake == .namesTheWrongToken ? token : kept
                throw StaleGrantError(resource: resource, token: token, highestToken: named)
            }
            if mistake == .keepsNoHigherToken, state.highest[key] != nil { continue }
            state.highest[key] = mistake == .lowersToken ? token : max(kept, token)
        }
    }

    private func key(of resource: String) -> [UInt8] {
        switch mistake {
        case .mixesResources: []
        case .ignoresCase: Array(resource.lowercased().utf8)
        default: Array(resource.utf8)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

public import FencedStorage
public import Redlock

/// Tries whether a store keeps what `FencedStore` promises.
///
/// The store is used as a log: the suite gives entries to append, and reads them all again. For a store of one's own:
///
/// ```swift
/// let suite = FencedStoreConformance(
///     store,
///     appending: { entry in { @Sendable transaction in try transaction.insert(entry.text) } },
///     reading: { try await log.all().compactMap(FencedStoreEntry.init) }
/// )
/// try await suite.check()
/// ```
///
/// Nothing else may write to the log meanwhile. What a crash leaves, only a crash can tell.
public struct FencedStoreConformance<Store: FencedStore>: Sendable {
    private let store: Store
    private let appending: @Sendable (FencedStoreEntry) -> Store.Write
    private let reading: @Sendable () async throws -> [FencedStoreEntry]
    private let failing: Store.Write?

    /// A suite for a store.
    ///
    /// - Parameters:
    ///   - store: what is tried.
    ///   - appending: the write that appends an entry to the log.
    ///   - reading: all entries, in the order in which they were appended.
    ///   - failing: a write that fails; nil if the store has none.
    public init(
        _ store: Store,
        appending: @escaping @Sendable (FencedStoreEntry) -> Store.Write,
        reading: @escaping @Sendable () async throws -> [FencedStoreEntry],
        failing: Store.Write? = nil
    ) {
        self.store = store
        self.appending = appending
        self.reading = reading
        self.failing = failing
    }

    /// Tries everything.
    ///
    /// - Parameters:
    ///   - writeCount: how many writes to make while many are under way; three of ten are stale.
    ///   - concurrency: how many are under way at a time.
    ///   - seed: what the random choices come from.
    /// - Throws: ``FencedStoreViolation`` for the first promise that is broken; what the store throws otherwise.
    public func check(writeCount: Int = 1_000, concurrency: Int = 32, seed: UInt64 = 1) async throws {
        precondition(concurrency > 0, "one write at a time is the least")
        var random = SeededRandom(seed: seed)
        // The store may have been tried before.
        let name = "conformance/\(random.next())/\(UInt64.random(in: 0 ... .max))"
        try await checkOrder(name + "/order")
        try await checkNeighbours(name)
        try await checkSeveralResources(name)
        try await checkFailure(name + "/failure")
        try await checkHolders(name + "/holders", writeCount: writeCount, concurrency: concurrency, &random)
        try await checkRace(name + "/race", writeCount: writeCount / 4, concurrency: concurrency, &random)
    }

    // MARK: One after the other

    private func checkOrder(_ resource: String) async throws {
        try await expectHighest(nil, of: resource)
        let highest: Int64 = 1 << 53
        for (number, token) in [1, 1, 2, 57, 57, highest - 1, highest, highest].enumerated() {
            try await expectAccepted(token, resource, number)
            try await expectHighest(token, of: resource)
        }
        for token in [1, 56, highest - 1] { try await expectRefused(token, resource, highest: highest) }
        try await expectHighest(highest, of: resource)
        try await expectAccepted(highest, resource, 99)
    }

    private func checkNeighbours(_ name: String) async throws {
        // Names that a careless key, pattern or comparison takes for each other.
        let resources = ["", "/a", "/A", "/a ", "/a%", "/a'b", "/ä", "/a\u{308}", "/a\u{1F}0"].map { name + $0 }
        for (index, resource) in resources.enumerated() {
            try await expectAccepted(Int64(100 - index), resource, index)
        }
        for (index, resource) in resources.enumerated() {
            try await expectHighest(Int64(100 - index), of: resource)
        }
    }

    private func checkSeveralResources(_ name: String) async throws {
        let first = name + "/several/a"
        let second = name + "/several/b"
        let both = SeveralResources(fencedResources: [second, first], fencingToken: FencingToken(rawValue: 5))
        try await expectAccepted(7, second, 0)
        let before = try await reading()
        do {
            try await store.apply(appending(FencedStoreEntry(token: both.fencingToken, number: 1)), under: both)
            throw FencedStoreViolation("a grant of several resources was accepted, though it is stale for one of them")
        } catch let error as StaleGrantError where error.resource == second {}
        guard try await reading() == before else {
            throw FencedStoreViolation(
                "a write was refused for one of several resources, and left something all the same"
            )
        }
        // Had the refused write left its token there, this would be stale.
        try await expectHighest(nil, of: first)
        let later = SeveralResources(fencedResources: [second, first], fencingToken: FencingToken(rawValue: 9))
        try await store.apply(appending(FencedStoreEntry(token: later.fencingToken, number: 2)), under: later)
        for resource in [first, second] {
            try await expectHighest(9, of: resource)
            try await expectRefused(8, resource, highest: 9)
        }
    }

    private func checkFailure(_ resource: String) async throws {
        guard let failing else { return }
        try await expectAccepted(3, resource, 0)
        let before = try await reading()
        do {
            try await store.apply(failing, under: ReceivedGrant(resource, FencingToken(rawValue: 4)))
        } catch is StaleGrantError {
            throw FencedStoreViolation("a write that fails was refused as stale, though its token is the highest")
        } catch {
            guard try await reading() == before else {
                throw FencedStoreViolation("a write that failed left something in the log")
            }
            try await expectAccepted(4, resource, 1)
            return
        }
        throw FencedStoreViolation("a write that fails was reported as done")
    }

    // MARK: Many at once

    /// Holders come and go, each writes several times at once, and those of before go on writing.
    private func checkHolders(
        _ resource: String,
        writeCount: Int,
        concurrency: Int,
        _ random: inout SeededRandom
    ) async throws {
        var number = 0
        var entryCount = try await reading().count
        while number < writeCount {
            let current = try await highest(of: resource) + Int64.random(in: 2...50, using: &random)
            let first = Attempt(token: current, number: number)
            guard try await outcomes(of: [first], resource) == [true] else {
                throw FencedStoreViolation("a write was refused with token \(current), the highest of all")
            }
            number += 1
            let attempts = (0..<concurrency).map { offset in
                let isStale = Int.random(in: 0..<10, using: &random) < 3
                let token = isStale ? Int64.random(in: 1..<current, using: &random) : current
                return Attempt(token: token, number: number + offset)
            }
            number += concurrency
            let outcomes = try await outcomes(of: attempts, resource)
            for (attempt, isAccepted) in zip(attempts, outcomes) where isAccepted != (attempt.token == current) {
                throw FencedStoreViolation(
                    "a write with token \(attempt.token) was \(isAccepted ? "accepted" : "refused") after \(current) wrote"
                )
            }
            let written = try await reading().dropFirst(entryCount)
            entryCount += written.count
            guard written.first == first.entry, written.count == Set(written).count,
                Set(written) == Set(([first] + attempts).filter { $0.token == current }.map(\.entry))
            else {
                throw FencedStoreViolation("the log has not what was accepted while token \(current) was the highest")
            }
        }
    }

    /// Many begin to write at the same time, each with a token of its own: any of them may be overtaken.
    private func checkRace(
        _ resource: String,
        writeCount: Int,
        concurrency: Int,
        _ random: inout SeededRandom
    ) async throws {
        var entryCount = try await reading().count
        for round in 0..<max(1, writeCount / concurrency) {
            let attempts = (1...concurrency)
                .map { Attempt(token: Int64(round * concurrency + $0), number: round) }
                .shuffled(using: &random)
            let outcomes = try await outcomes(of: attempts, resource)
            let written = Array(try await reading().dropFirst(entryCount))
            entryCount += written.count
            guard written.map(\.token) == written.map(\.token).sorted() else {
                throw FencedStoreViolation("tokens went back in the log: \(written.map(\.token))")
            }
            guard Set(written) == Set(zip(attempts, outcomes).filter(\.1).map(\.0.entry)) else {
                throw FencedStoreViolation("the log has not what was accepted in a race")
            }
            guard written.last?.token.rawValue == Int64((round + 1) * concurrency) else {
                throw FencedStoreViolation("the highest token of a race was refused")
            }
        }
    }

    private struct Attempt: Sendable {
        let token: Int64
        let number: Int

        var entry: FencedStoreEntry { FencedStoreEntry(token: FencingToken(rawValue: token), number: number) }

        func grant(of resource: String) -> ReceivedGrant {
            ReceivedGrant(resource, FencingToken(rawValue: token))
        }
    }

    /// Whether each was accepted.
    private func outcomes(of attempts: [Attempt], _ resource: String) async throws -> [Bool] {
        try await withThrowingTaskGroup(of: (Int, Bool).self) { group in
            for (index, attempt) in attempts.enumerated() {
                group.addTask {
                    do {
                        try await store.apply(appending(attempt.entry), under: attempt.grant(of: resource))
                        return (index, true)
                    } catch is StaleGrantError {
                        return (index, false)
                    }
                }
            }
            var outcomes = attempts.map { _ in false }
            for try await (index, isAccepted) in group { outcomes[index] = isAccepted }
            return outcomes
        }
    }

    // MARK: What is expected of one write

    private func expectAccepted(_ token: Int64, _ resource: String, _ number: Int) async throws {
        let attempt = Attempt(token: token, number: number)
        let before = try await reading()
        do {
            try await store.apply(appending(attempt.entry), under: attempt.grant(of: resource))
        } catch let error as StaleGrantError {
            throw FencedStoreViolation("a write was refused that is not stale: \(error)")
        }
        guard try await reading() == before + [attempt.entry] else {
            throw FencedStoreViolation(
                "a write with token \(token) was accepted, and the log is not longer by its entry"
            )
        }
    }

    private func expectRefused(_ token: Int64, _ resource: String, highest: Int64) async throws {
        let attempt = Attempt(token: token, number: -1)
        let before = try await reading()
        do {
            try await store.apply(appending(attempt.entry), under: attempt.grant(of: resource))
        } catch let error as StaleGrantError {
            let expected = StaleGrantError(
                resource: resource,
                token: FencingToken(rawValue: token),
                highestToken: FencingToken(rawValue: highest)
            )
            guard error == expected else { throw FencedStoreViolation("expected \(expected), not \(error)") }
            guard try await reading() == before else {
                throw FencedStoreViolation("a stale write was refused, and left something all the same")
            }
            return
        }
        throw FencedStoreViolation("a write with token \(token) was accepted after \(highest) wrote")
    }

    private func expectHighest(_ token: Int64?, of resource: String) async throws {
        let highest = try await store.highestToken(of: resource)?.rawValue
        guard highest == token else {
            let shown = { (token: Int64?) in token.map(String.init) ?? "none" }
            throw FencedStoreViolation("the highest token is said to be \(shown(highest)), not \(shown(token))")
        }
    }

    private func highest(of resource: String) async throws -> Int64 {
        try await store.highestToken(of: resource)?.rawValue ?? 0
    }
}

/// A grant of several resources, as a lease of several is one.
private struct SeveralResources: FencedGrant {
    let fencedResources: [String]
    let fencingToken: FencingToken
}

/// One entry of the log that a store is tried with.
public struct FencedStoreEntry: Hashable, Sendable {
    /// The token that it was written with.
    public let token: FencingToken
    /// What tells it from others of the same token.
    public let number: Int

    /// An entry.
    public init(token: FencingToken, number: Int) {
        self.token = token
        self.number = number
    }

    /// The entry that was written as text; nil for any other text.
    public init?(_ text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let token = FencingToken(String(parts[0])), let number = Int(parts[1]) else {
            return nil
        }
        self.init(token: token, number: number)
    }

    /// The entry as text without a line end.
    public var text: String { "\(token) \(number)" }
}

/// A promise that a store did not keep.
public struct FencedStoreViolation: Error, CustomStringConvertible {
    /// What happened.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

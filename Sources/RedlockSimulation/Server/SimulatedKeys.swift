// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The keys of a simulated server, and a journal of how they changed.
///
/// Names and values are texts, and compared as Swift compares texts.
struct SimulatedKeys {
    /// What a key holds.
    enum Value: Equatable {
        /// A string that is the canonical form of a 64-bit integer.
        case integer(Int64)
        /// Any other string.
        case text(String)
        /// A sorted set.
        case scores(SimulatedScores)
        /// Something else that is no string: a list, a hash and so on.
        case collection

        /// A string, which is kept as a number where Redis counts on with it.
        init(_ bytes: UnsafeRawBufferPointer) {
            self = Words.integer(bytes).map(Value.integer) ?? .text(String(decoding: bytes, as: UTF8.self))
        }

        /// The string; nil for a collection.
        var string: String? {
            switch self {
            case .integer(let number): String(number)
            case .text(let text): text
            case .scores, .collection: nil
            }
        }
    }

    struct Entry {
        var value: Value
        /// The last millisecond of its life, by the clock of the server; `never` for a key that stays.
        var endMilliseconds: Int64

        static let never = Int64.max
    }

    /// What was there before a change.
    private enum Former {
        case entry(key: String, Entry?)
        case entries(KeyTable)
    }

    private var entries = KeyTable()
    private var journal = CircularBuffer<(microseconds: Int64, former: Former)>()

    /// How many changes could be taken back when they were made.
    private(set) var rememberedCount = 0
    /// How far back changes can be taken back; none can be if it is 0.
    var journalMicroseconds: Int64 = 0
    /// The clock of the server, in microseconds since 1970.
    var now: Int64 = 0
    var nowMilliseconds: Int64 { now / 1_000 }

    // MARK: Reading

    /// Where a key is that has not ended; one that has is deleted, as Redis deletes it when it comes across it.
    private mutating func place(of key: UnsafeRawBufferPointer) -> Int? {
        guard let place = entries.place(of: key) else { return nil }
        guard nowMilliseconds > entries[place].endMilliseconds else { return place }
        remember(key, entries[place])
        entries.remove(at: place)
        return nil
    }

    mutating func entry(_ key: UnsafeRawBufferPointer) -> Entry? {
        place(of: key).map { entries[$0] }
    }

    mutating func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        place(of: key) != nil
    }

    /// The keys that begin so and have not ended, sorted.
    mutating func names(beginningWith prefix: String) -> [String] {
        entries.names.filter { $0.hasPrefix(prefix) }.sorted().filter { entry($0) != nil }
    }

    // MARK: Writing

    mutating func set(_ key: UnsafeRawBufferPointer, to entry: Entry) {
        remember(key, entries.set(key, to: entry))
    }

    /// Whether the key was there.
    mutating func remove(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let place = place(of: key) else { return false }
        remember(key, entries[place])
        entries.remove(at: place)
        return true
    }

    mutating func removeAll() {
        remember(.entries(entries))
        entries = KeyTable()
    }

    /// Changes what a key holds, or its life; nil if there is no such key.
    mutating func change<Result, Failure: Error>(
        _ key: UnsafeRawBufferPointer,
        _ body: (inout Entry) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let place = place(of: key) else { return nil }
        guard journalMicroseconds > 0 else { return try body(&entries[place]) }
        let former = entries[place]
        let result = try body(&entries[place])
        remember(key, former)
        return result
    }

    // MARK: From outside of commands

    mutating func entry(_ key: String) -> Entry? {
        key.withBytes { entry($0) }
    }

    mutating func set(_ key: String, to entry: Entry) {
        key.withBytes { set($0, to: entry) }
    }

    mutating func remove(_ key: String) -> Bool {
        key.withBytes { remove($0) }
    }

    // MARK: Taking back

    private mutating func remember(_ key: UnsafeRawBufferPointer, _ former: Entry?) {
        guard journalMicroseconds > 0 else { return }
        remember(.entry(key: String(decoding: key, as: UTF8.self), former))
    }

    private mutating func remember(_ former: Former) {
        guard journalMicroseconds > 0 else { return }
        rememberedCount += 1
        journal.append((now, former))
        while let first = journal.first, first.microseconds < now - journalMicroseconds { journal.removeFirst() }
    }

    /// Takes back the changes of the last time, the youngest first.
    mutating func takeBack(lastMicroseconds: Int64) {
        precondition(lastMicroseconds <= journalMicroseconds, "the journal does not go back that far")
        while let last = journal.last, last.microseconds > now - lastMicroseconds { takeBackLast() }
    }

    /// Takes back the last change.
    mutating func takeBackLast() {
        switch journal.removeLast().former {
        case .entry(let key, let entry): key.withBytes { entries.put(entry, at: $0) }
        case .entries(let all): entries = all
        }
    }

    /// Has the entries of others from now on; nothing that was before can be taken back.
    mutating func replace(with others: SimulatedKeys) {
        entries = others.entries
        clearJournal()
    }

    /// Forgets what could be taken back.
    mutating func clearJournal() {
        journal.removeAll()
    }
}

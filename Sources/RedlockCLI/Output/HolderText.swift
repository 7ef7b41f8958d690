// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// What is known of the holder of a lock, for people and as JSON.
struct HolderText {
    private let holder: LockStatus.Holder
    /// When the lock was looked at.
    private let time: Date

    init(_ holder: LockStatus.Holder, at time: Date) {
        self.holder = holder
        self.time = time
    }

    /// Everything in one line: who, where, since when, for how much longer, and the note.
    var whole: String {
        [described, age, left, note].compactMap { $0 }.joined(separator: ", ")
    }

    /// The same of somebody whose lock is to be taken away.
    var present: String {
        [described, age, note].compactMap { $0 }.joined(separator: ", ")
    }

    /// The same of somebody who holds the lock no more.
    var past: String {
        [described, age.map { "who held it \($0)" }, note].compactMap { $0 }.joined(separator: ", ")
    }

    /// Who, and where that says more.
    var described: String {
        [holder.name, place].compactMap { $0 }.joined(separator: " ")
    }

    /// The host and the process, as far as the label does not name them.
    var place: String? {
        let host = holder.host.flatMap { isInLabel($0) ? nil : "on \($0)" }
        let process = holder.process.flatMap { isInLabel("\($0)") ? nil : "process \($0)" }
        let place = [host, process].compactMap { $0 }
        return place.isEmpty ? nil : place.joined(separator: ", ")
    }

    /// Whether the label names the word: one number within another is not named.
    private func isInLabel(_ word: String) -> Bool {
        guard let label = holder.label else { return false }
        let isPartOfWord = { (character: Character) in character.isLetter || character.isNumber }
        return label.ranges(of: word).contains { range in
            let before = label[..<range.lowerBound].last
            let behind = label[range.upperBound...].first
            return !(before.map(isPartOfWord) ?? false) && !(behind.map(isPartOfWord) ?? false)
        }
    }

    /// For how long and since when; only since when where the holder's clock is ahead of ours.
    var age: String? {
        guard let since = holder.since else { return nil }
        let start = Date(timeIntervalSince1970: since / .seconds(1))
        let elapsed = Duration.milliseconds(Int64((time.timeIntervalSince(start) * 1_000).rounded()))
        let moment = "since \(ClockText.text(of: start, seenAt: time))"
        return elapsed < .zero ? moment : "for \(elapsed.readable), \(moment)"
    }

    /// How long the key still lives.
    var left: String {
        holder.remaining.map { "\($0.readable) left unless renewed" } ?? "no expiry or not allowed to know"
    }

    /// The note in quotes.
    var note: String? { holder.note.map { "\"\($0)\"" } }

    /// The fields that the help of the commands names.
    static func fields(of holder: LockStatus.Holder?) -> [(String, JSONLine)] {
        [
            ("owner", .optional(holder?.label)),
            ("host", .optional(holder?.host)),
            ("process", .optional(holder?.process.map { Int($0) })),
            ("sinceMilliseconds", .milliseconds(holder?.since)),
            ("note", .optional(holder?.note)),
            ("remainingMilliseconds", .milliseconds(holder?.remaining)),
        ]
    }
}

extension LockStatus.Holder {
    /// The label, or that there is none.
    var name: String { label ?? "another kind of client" }
}

/// Times of day for people, in the time zone of this machine.
enum ClockText {
    /// `14:03:05`, with the date if that is not the one of the moment at which it is read.
    static func text(of date: Date, seenAt now: Date) -> String {
        let (then, today) = (parts(of: date), parts(of: now))
        let isToday = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
        return isToday ? formatted(then, "%H:%M:%S") : dated(date)
    }

    /// `2025-11-26 14:03:05`.
    static func dated(_ date: Date) -> String {
        formatted(parts(of: date), "%Y-%m-%d %H:%M:%S")
    }

    private static func parts(of date: Date) -> tm {
        var seconds = time_t(date.timeIntervalSince1970.rounded(.down))
        var parts = tm()
        localtime_r(&seconds, &parts)
        return parts
    }

    private static func formatted(_ parts: tm, _ format: String) -> String {
        var parts = parts
        var text = [CChar](repeating: 0, count: 64)
        let count = strftime(&text, text.count, format, &parts)
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

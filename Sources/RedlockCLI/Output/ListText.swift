// SPDX-License-Identifier: Apache-2.0

import Redlock

/// Locks that are held, for people and as JSON.
struct ListText {
    private let locks: [LockStatus]

    init(_ locks: [LockStatus]) {
        self.locks = locks
    }

    /// One line for each, in columns.
    var lines: [String] {
        let rows = locks.map(Self.row)
        let widths = rows.reduce(into: [Int](repeating: 0, count: 5)) { widths, row in
            for (column, text) in row.enumerated() { widths[column] = max(widths[column], text.count) }
        }
        return rows.map { row in
            var line = ""
            for (text, width) in zip(row, widths) { line += text.padded(to: width) + "  " }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    private static func row(_ lock: LockStatus) -> [String] {
        let remaining = (lock.holder ?? lock.sharers.first)?.remaining
        return [
            Reporter.inOneLine(lock.resource),
            Reporter.inOneLine(lock.holder?.name ?? sharersText(lock)),
            remaining.map { "\($0.readable) left" } ?? "no expiry or not allowed to know",
            lock.lastFencingToken.map { "tokens up to \($0)" } ?? "",
            StatusText.waitingText(lock) ?? "",
        ]
    }

    private static func sharersText(_ lock: LockStatus) -> String {
        "shared by " + lock.sharers.map(\.name).joined(separator: ", ")
    }

    /// The fields that the help of `redlock list` names.
    var json: JSONLine {
        .object([
            (
                "locks",
                .array(
                    locks.map { lock in
                        .object([
                            ("name", .string(lock.resource)),
                            ("owner", .optional(lock.holder?.label)),
                            ("remainingMilliseconds", .milliseconds(lock.holder?.remaining)),
                            ("sharers", .array(lock.sharers.map { .optional($0.label) })),
                            ("lastFencingToken", .token(lock.lastFencingToken)),
                            ("waitingClients", .optional(lock.waitingClients)),
                        ])
                    }
                )
            )
        ])
    }
}

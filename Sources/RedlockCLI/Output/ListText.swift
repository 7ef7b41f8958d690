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
        let rows = locks.map { lock in
            [
                Reporter.inOneLine(lock.resource),
                Reporter.inOneLine(lock.holder?.name ?? ""),
                lock.holder?.remaining.map { "\($0.readable) left" } ?? "no expiry or not allowed to know",
                lock.lastFencingToken.map { "tokens up to \($0)" } ?? "",
                StatusText.waitingText(lock) ?? "",
            ]
        }
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
                            ("lastFencingToken", .token(lock.lastFencingToken)),
                            ("waitingClients", .optional(lock.waitingClients)),
                        ])
                    }
                )
            )
        ])
    }
}

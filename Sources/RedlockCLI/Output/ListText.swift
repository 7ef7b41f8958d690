// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// Locks that are held, for people and as JSON.
struct ListText {
    private let locks: [LockStatus]
    /// When they were looked at.
    private let time: Date

    init(_ locks: [LockStatus], time: Date = Date()) {
        self.locks = locks
        self.time = time
    }

    /// One line for each, in columns.
    var lines: [String] { locks.map(row).linesInColumns }

    private func row(_ lock: LockStatus) -> [String] {
        guard !lock.isNotALock else {
            let extent = "not a lock on \(lock.notALockCount) of \(lock.nodes.count) nodes"
            let remedy = "`redlock release --force` deletes it"
            return [lock.title, extent, "", "", "", remedy, "", ""].map(Reporter.inOneLine)
        }
        let first = lock.holder ?? lock.sharers.first
        let holder = first.map { HolderText($0, at: time) }
        let others = lock.sharers.count > 1 ? " and \(lock.sharers.count - 1) more" : ""
        return [
            lock.resource + (lock.slot.map { " slot \($0)" } ?? ""),
            (lock.holder == nil ? "shared by " : "") + (first?.name ?? "") + others,
            holder?.place ?? "",
            holder?.age ?? "",
            first?.remaining.map { "\($0.readable) left" } ?? "no expiry or not allowed to know",
            holder?.note ?? "",
            lock.lastFencingToken.map { "tokens up to \($0)" } ?? "",
            StatusText.waitingText(lock) ?? "",
        ].map(Reporter.inOneLine)
    }

    /// The fields that the help of `redlock list` names.
    var json: JSONLine {
        .object([
            (
                "locks",
                .array(
                    locks.map { lock in
                        .object(
                            [("name", .string(lock.resource)), ("slot", .optional(lock.slot))]
                                + HolderText.fields(of: lock.holder) + [
                                    ("sharers", .array(lock.sharers.map { .object(HolderText.fields(of: $0)) })),
                                    ("lastFencingToken", .token(lock.lastFencingToken)),
                                    ("waitingClients", .optional(lock.waitingClients)),
                                    ("notALock", .boolean(lock.isNotALock)),
                                ]
                        )
                    }
                )
            )
        ])
    }
}

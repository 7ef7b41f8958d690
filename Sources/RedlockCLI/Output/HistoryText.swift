// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// Who had a lock, for people and as JSON.
struct HistoryText {
    let name: String
    let grants: [RecordedGrant]
    let status: LockStatus
    var time = Date()

    /// Who has the lock, and a line for each grant, in columns.
    var lines: [String] {
        let first =
            "\(name): "
            + (status.holder.map { "held by \(HolderText($0, at: time).whole)" } ?? "no client holds it alone")
        guard !grants.isEmpty else {
            return [first, "", "no grant is on record; `redlock run --record 32 NAME` has the servers keep one"]
                .map(Reporter.inOneLine)
        }
        let rows = grants.map {
            GrantRow($0, isCurrent: isCurrent($0), seenAt: time).columns(seenAt: time) + [note(of: $0)]
        }
        let table = [["TOKEN", "HOLDER", "HOST", "PROCESS", "FROM", "TO", "ENDED", ""]] + rows
        return ([first, ""] + table.linesInColumns).map(Reporter.inOneLine)
    }

    private func note(of grant: RecordedGrant) -> String {
        grant.holder.note.map { "\"\($0)\"" } ?? ""
    }

    /// Whether it is the last grant, and its holder is the one that the nodes show.
    private func isCurrent(_ grant: RecordedGrant) -> Bool {
        guard grant == grants.last, let holder = status.holder else { return false }
        return (holder.label, holder.host, holder.process)
            == (grant.holder.label, grant.holder.host, grant.holder.process)
    }

    /// The fields that the help of `redlock history` names.
    var json: JSONLine {
        .object([
            ("name", .string(name)),
            ("holder", .optional(status.holder?.label)),
            ("grants", .array(grants.map(Self.json(of:)))),
        ])
    }

    private static func json(of grant: RecordedGrant) -> JSONLine {
        .object(
            [
                ("fencingToken", .token(grant.fencingToken)),
                ("owner", .optional(grant.holder.label)),
                ("note", .optional(grant.holder.note)),
            ]
                + GrantRow.fields(
                    host: grant.holder.host,
                    process: grant.holder.process,
                    began: grant.holder.since,
                    ended: grant.ended,
                    ending: grant.ending
                ) + [("heldUntilMilliseconds", .milliseconds(grant.keptUntil))]
        )
    }
}

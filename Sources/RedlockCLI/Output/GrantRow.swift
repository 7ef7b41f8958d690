// SPDX-License-Identifier: Apache-2.0

import Foundation
import LeaderElection
import Redlock

/// One grant of the past, or one term, as a row of a list and as JSON.
struct GrantRow {
    let number: FencingToken
    let holder: String
    let host: String?
    let process: Int32?
    let began: Duration?
    let ended: Duration?
    let ending: String

    init(_ grant: RecordedGrant, isCurrent: Bool, seenAt now: Date) {
        number = grant.fencingToken
        holder = grant.holder.name
        host = grant.holder.host
        process = grant.holder.process
        began = grant.holder.since
        ended = grant.ended
        let kept = grant.keptUntil.map { ", held until \(Self.text(of: $0, seenAt: now))" } ?? ""
        ending = grant.ending.map { $0 + kept } ?? (isCurrent ? "holds it" : Self.unknownEnding)
    }

    init(_ term: PastTerm, isCurrent: Bool) {
        number = term.number
        holder = term.leader.identity
        host = term.host
        process = term.process
        began = term.began
        ended = term.ended
        ending = term.ending ?? (isCurrent ? "leads" : Self.unknownEnding)
    }

    private static let unknownEnding = "did not say: killed, stopped or cut off"

    /// The columns from the number to the end.
    func columns(seenAt now: Date) -> [String] {
        [
            "\(number)", holder, host ?? "", process.map { "\($0)" } ?? "", Self.text(of: began, seenAt: now),
            Self.text(of: ended, seenAt: now), ending,
        ]
    }

    /// The time of day, with the date if it is another day; nothing for no time.
    static func text(of time: Duration?, seenAt now: Date) -> String {
        time.map { ClockText.text(of: Date(timeIntervalSince1970: $0 / .seconds(1)), seenAt: now) } ?? ""
    }

    /// The fields that both kinds have.
    static func fields(
        host: String?,
        process: Int32?,
        began: Duration?,
        ended: Duration?,
        ending: String?
    ) -> [(String, JSONLine)] {
        [
            ("host", .optional(host)),
            ("process", .optional(process.map { Int($0) })),
            ("beganMilliseconds", .milliseconds(began)),
            ("endedMilliseconds", .milliseconds(ended)),
            ("ending", .optional(ending)),
        ]
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// One change that `redlock watch` saw, for people and as JSON.
///
/// Texts come from others in part, so every line is made printable before it is coloured.
struct ChangeText {
    private let change: LockChange
    /// When it was seen.
    private let time: Date
    private let style: TextStyle

    init(_ change: LockChange, time: Date, style: TextStyle) {
        self.change = change
        self.time = time
        self.style = style
    }

    // MARK: For people

    /// The time, the name, and what happened to it, in one line.
    var line: String {
        let (subject, text, colour) = told
        let verb = Reporter.inOneLine(text.verb)
        let start = "\(ClockText.dated(time))  \(Reporter.inOneLine(subject))"
        return "\(start): \(colour.map { style.coloured(verb, $0) } ?? verb)\(Reporter.inOneLine(text.rest))"
    }

    private typealias Told = (subject: String, text: (verb: String, rest: String), TextStyle.Colour?)

    private var told: Told {
        switch change {
        case .held(let status):
            (status.title, ("held", holder(of: status) + rest(status)), nil)
        case .acquired(let status):
            (status.title, ("acquired", holder(of: status) + rest(status)), .green)
        case .changedHands(let status, let former):
            (
                status.title,
                ("changed hands", " from \(former.name), now held\(holder(of: status))\(rest(status))"), .green
            )
        case .released(let resource, let former):
            (resource, ("released", " by \(text(former).past)"), nil)
        case .expired(let resource, let former):
            (resource, ("expired", ", last held by \(text(former).past)"), .red)
        case .lost(let status, let former):
            (
                status.title,
                ("lost", " by \(text(former).past): fewer nodes than a quorum still have it"), .red
            )
        case .sharersJoined(let status, let count):
            (status.title, ("shared by \(count) more", "; \(Self.sharing(status))"), .green)
        case .sharersLeft(let status, let count):
            (status.title, ("shared by \(count) fewer", "; \(Self.sharing(status))"), nil)
        case .waitersJoined(let status, let count):
            (status.title, (Self.clients(count), " began to wait\(Self.waiting(status))"), nil)
        case .waitersLeft(let status, let count):
            (
                status.title,
                (
                    Self.clients(count),
                    count == 1 ? " waits no more\(Self.waiting(status))" : " wait no more\(Self.waiting(status))"
                ), nil
            )
        case .notALock(let status):
            (status.title, ("not a lock", "\(StatusText.notALockText(status).trimmingPrefix("not a lock"))"), .yellow)
        case .foreignDataGone(let resource): (resource, ("is a lock again", ": what was in its place is gone"), nil)
        case .nodeUnreachable, .nodeLostVote, .nodeRegainedVote, .quorumLost, .quorumRegained: toldOfNodes
        }
    }

    private var toldOfNodes: Told {
        switch change {
        case .nodeUnreachable(let node, let reason): ("node \(node)", ("cannot be reached", ": \(reason)"), .yellow)
        case .nodeLostVote(let node, let reason):
            ("node \(node)", ("has no vote", ": \(reason.trimmingPrefix("has no vote: "))"), .yellow)
        case .nodeRegainedVote(let node): ("node \(node)", ("has a vote again", ""), .green)
        case .quorumLost(let nodes):
            (
                "no quorum",
                ("too few nodes answer", " (\(nodes.map(\.description).joined(separator: "; "))); watching goes on"),
                .red
            )
        default: ("quorum", ("enough nodes answer again", ""), .green)
        }
    }

    private func text(_ holder: LockStatus.Holder) -> HolderText {
        HolderText(holder, at: time)
    }

    private func holder(of status: LockStatus) -> String {
        status.holder.map { " by \(text($0).whole)" } ?? ""
    }

    private func rest(_ status: LockStatus) -> String {
        let token = status.lastFencingToken.map { "; fencing tokens reserved up to \($0)" } ?? ""
        return token + (StatusText.waitingText(status).map { "; \($0)" } ?? "")
    }

    private static func clients(_ count: Int) -> String {
        count == 1 ? "1 client" : "\(count) clients"
    }

    private static func sharing(_ status: LockStatus) -> String {
        let names = status.sharers.map(\.name).joined(separator: ", ")
        return names.isEmpty ? "nobody has it" : "now by \(names)"
    }

    private static func waiting(_ status: LockStatus) -> String {
        "; \(StatusText.waitingText(status) ?? "nobody waits")"
    }

    // MARK: JSON

    /// The fields that the help of `redlock watch` names.
    var json: JSONLine {
        let (event, fields) = content
        return .object(
            [
                ("event", .string(event)),
                ("timeMilliseconds", .integer(Int64(time.timeIntervalSince1970 * 1_000))),
            ] + fields
        )
    }

    private var content: (event: String, fields: [(String, JSONLine)]) {
        switch change {
        case .held(let status): ("held", Self.fields(of: status))
        case .acquired(let status): ("acquired", Self.fields(of: status))
        case .changedHands(let status, let former):
            (
                "changedHands",
                Self.fields(of: status) + [
                    ("formerOwner", .optional(former.label)),
                    ("formerHost", .optional(former.host)),
                    ("formerProcess", .optional(former.process.map { Int($0) })),
                ]
            )
        case .released(let resource, let former): ("released", Self.fields(of: resource, former))
        case .expired(let resource, let former): ("expired", Self.fields(of: resource, former))
        case .lost(let status, let former): ("lost", Self.fields(of: status.title, former))
        case .sharersJoined(let status, let count): ("sharersJoined", Self.fields(ofSharers: status, count: count))
        case .sharersLeft(let status, let count): ("sharersLeft", Self.fields(ofSharers: status, count: count))
        case .waitersJoined(let status, let count): ("waitersJoined", Self.fields(of: status, count: count))
        case .waitersLeft(let status, let count): ("waitersLeft", Self.fields(of: status, count: count))
        case .notALock(let status):
            (
                "notALock",
                [("resource", .string(status.title)), ("count", .integer(Int64(status.notALockCount)))]
            )
        case .foreignDataGone(let resource): ("foreignDataGone", [("resource", .string(resource))])
        case .nodeUnreachable(let node, let reason):
            ("nodeUnreachable", [("node", .string(node)), ("reason", .string(reason))])
        case .nodeLostVote(let node, let reason):
            ("nodeLostVote", [("node", .string(node)), ("reason", .string(reason))])
        case .nodeRegainedVote(let node): ("nodeRegainedVote", [("node", .string(node))])
        case .quorumLost(let nodes): ("quorumLost", [("nodes", .array(nodes.map(Reporter.json(of:))))])
        case .quorumRegained: ("quorumRegained", [])
        }
    }

    private static func fields(of status: LockStatus) -> [(String, JSONLine)] {
        fields(of: status.title, status.holder) + [
            ("lastFencingToken", .token(status.lastFencingToken)),
            ("waitingClients", .optional(status.waitingClients)),
        ]
    }

    private static func fields(of resource: String, _ holder: LockStatus.Holder?) -> [(String, JSONLine)] {
        [("resource", .string(resource))] + HolderText.fields(of: holder)
    }

    private static func fields(ofSharers status: LockStatus, count: Int) -> [(String, JSONLine)] {
        [
            ("resource", .string(status.title)),
            ("count", .integer(Int64(count))),
            ("sharers", .array(status.sharers.map { .object(HolderText.fields(of: $0)) })),
        ]
    }

    private static func fields(of status: LockStatus, count: Int) -> [(String, JSONLine)] {
        [
            ("resource", .string(status.title)),
            ("count", .integer(Int64(count))),
            ("waitingClients", .optional(status.waitingClients)),
        ]
    }
}

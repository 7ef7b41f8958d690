// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// What `redlock` tells on standard error.
///
/// The kinds and their fields are stable: scripts read them (`--json`).
enum Report: Sendable {
    case waiting(Obstacle)
    /// The token is nil where there is none, and the slot where it is a lock.
    case acquired(owner: String, fencingToken: FencingToken?, slot: Int?, waited: Duration, validity: Duration)
    /// The lock is being lost: the command gets `signal`, and KILL once `killAfter` has passed.
    case lost(reason: LossReason, signal: SignalName, killAfter: Duration)
    /// The command could not be stopped; whether the lock is renewed until it has ended, and when it ends at the latest if
    /// it is not.
    case unstoppable(reason: String, keepsLock: Bool, lockEndsAfter: Duration)
    /// The lock has ended, and the command that could not be stopped goes on.
    case overrun
    /// The lock is free, or stays for the rest of its minimum hold.
    case released(held: Duration, stays: Duration?)
    /// No quorum confirmed that the lock is free, or stays.
    case releaseUnconfirmed(UnconfirmedRelease)
    /// A signal that was sent to `redlock` and handed on to the command.
    case signal(SignalName)
    case exited(code: Int32, signal: SignalName?)
    case error(CommandFailure)
    case warning(String)
}

extension Report {
    /// What is told of a release that was confirmed; nil of one that was not.
    init?(releasedAs outcome: ReleaseOutcome?, held: Duration) {
        switch outcome {
        case nil, .unconfirmed: return nil
        case .released: self = .released(held: held, stays: nil)
        case .kept(let rest): self = .released(held: held, stays: rest)
        }
    }
}

/// Why a command is stopped before it ended by itself.
enum LossReason: String, Sendable {
    case lost
    case maximumHold
}

/// Writes reports to standard error: for people or as one JSON object per line.
struct Reporter: Sendable {
    enum Verbosity: Int, Comparable, Sendable {
        case quiet, normal, verbose

        static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    var verbosity: Verbosity = .normal
    var usesJSON = false
    /// The lock that the reports are about, if there is one.
    var resource: String?
    var descriptor: Int32 = STDERR_FILENO

    func report(_ report: Report) {
        guard let line = line(for: report, time: Date()) else { return }
        Self.write(line + "\n", to: descriptor)
    }

    func reportWaiting(for obstacle: Obstacle) {
        report(.waiting(obstacle))
        guard !obstacle.outerNames.isEmpty else { return }
        let names = obstacle.outerNames.map { "\"\($0)\"" }.joined(separator: ", ")
        report(.warning("this command runs under \(names) already (REDLOCK_HELD), so it may wait for itself"))
    }

    /// Warns of a release that no quorum confirmed.
    func reportUnlessConfirmed(_ outcome: ReleaseOutcome?) {
        if case .unconfirmed(let release) = outcome { report(.releaseUnconfirmed(release)) }
    }

    /// The line for one report, for some errors with more lines below it, or nil where the verbosity leaves it out.
    ///
    /// With JSON only `quiet` leaves anything out.
    func line(for report: Report, time: Date) -> String? {
        let needed: Verbosity =
            switch report {
            case .error, .unstoppable, .overrun: .quiet
            case .warning, .waiting, .releaseUnconfirmed: .normal
            default: usesJSON ? .normal : .verbose
            }
        guard verbosity >= needed else { return nil }
        guard !usesJSON else { return jsonLine(for: report, time: time) }
        let lines = ["redlock: " + humanText(for: report, time: time)] + details(of: report)
        return lines.map(Self.inOneLine).joined(separator: "\n")
    }

    private func humanText(for report: Report, time: Date) -> String {
        let name = resource.map { "\"\($0)\"" } ?? ""
        switch report {
        case .waiting(let obstacle):
            return "waiting for \(name)" + Self.text(of: obstacle, time: time)
        case .acquired(let owner, let token, let slot, let waited, _):
            let place = slot.map { " slot \($0)" } ?? ""
            let number = token.map { ", fencing token \($0)" } ?? ""
            return "acquired \(name)\(place) as \(owner) after \(waited.readable)\(number)"
        case .lost(let reason, let signal, let killAfter):
            let what = reason == .maximumHold ? "the maximum hold of \(name) ends" : "losing \(name)"
            return "\(what); sending \(signal) to the command, KILL in \(killAfter.readable)"
        case .unstoppable(let reason, let keepsLock, let lockEndsAfter):
            let consequence =
                keepsLock
                ? "; the lock is kept until it has ended"
                : " and goes on without the lock: another holder may begin in \(lockEndsAfter.readable)"
            return "the command cannot be stopped (\(reason))\(consequence)"
        case .overrun: return "\(name) has ended, and the command goes on without it: another holder may begin now"
        case .released(let held, nil): return "released \(name) after \(held.readable)"
        case .released(let held, let rest?):
            return "ended with \(name) after \(held.readable); it stays locked for the rest of its minimum hold, "
                + rest.readable
        case .releaseUnconfirmed(let release): return "warning: \(release.message)"
        case .signal(let signal): return "handing \(signal) on to the command"
        case .exited(let code, nil): return "the command exited with \(code)"
        case .exited(_, let signal?): return "the command was ended by signal \(signal)"
        case .error(let failure): return failure.description
        case .warning(let message): return "warning: \(message)"
        }
    }

    private static func text(of obstacle: Obstacle, time: Date) -> String {
        if let holder = obstacle.holder {
            let holders = [holder] + obstacle.otherHolders
            return ", held by " + holders.map { HolderText($0, at: time).whole }.joined(separator: "; by ")
        }
        if let notALock = obstacle.notALock { return ": \(notALock)" }
        return obstacle.missingVotes.map { ": only \($0.text)" } ?? ""
    }

    /// Lines below the first, for people.
    private func details(of report: Report) -> [String] {
        let nodes: [RedlockError.NodeReport] =
            switch report {
            case .error(let failure) where failure.listsNodes: failure.nodes
            case .releaseUnconfirmed(let release): release.nodes
            default: []
            }
        return nodes.map { "  \($0.node): \($0.outcome)" }
    }

    private func jsonLine(for report: Report, time: Date) -> String {
        let (kind, fields) = Self.jsonFields(of: report)
        var all: [(String, JSONLine)] = [
            ("event", .string(kind)),
            ("timeMilliseconds", .integer(Int64(time.timeIntervalSince1970 * 1_000))),
        ]
        if let resource { all.append(("resource", .string(resource))) }
        return JSONLine.object(all + fields).text
    }

    private static func jsonFields(of report: Report) -> (kind: String, fields: [(String, JSONLine)]) {
        func milliseconds(_ duration: Duration) -> JSONLine { .integer(duration.wholeMilliseconds) }
        return switch report {
        case .waiting(let obstacle):
            (
                "waiting",
                jsonFields(of: obstacle.holder) + [
                    ("holderRemainingMilliseconds", .milliseconds(obstacle.holder?.remaining)),
                    ("otherHolders", json(ofOthers: obstacle.otherHolders)),
                    ("nodesWithoutVote", obstacle.missingVotes?.json ?? .array([])),
                ]
            )
        case .acquired(let owner, let token, let slot, let waited, let validity):
            (
                "acquired",
                [
                    ("owner", .string(owner)),
                    ("fencingToken", .token(token)),
                    ("slot", .optional(slot)),
                    ("waitedMilliseconds", milliseconds(waited)),
                    ("validityMilliseconds", milliseconds(validity)),
                ]
            )
        case .lost(let reason, let signal, let killAfter):
            (
                "lost",
                [
                    ("reason", .string(reason.rawValue)),
                    ("signal", .string(signal.description)),
                    ("killAfterMilliseconds", milliseconds(killAfter)),
                ]
            )
        case .unstoppable(let reason, let keepsLock, let lockEndsAfter):
            (
                "unstoppable",
                [
                    ("reason", .string(reason)),
                    ("keepsLock", .boolean(keepsLock)),
                    ("lockEndsAfterMilliseconds", milliseconds(lockEndsAfter)),
                ]
            )
        case .overrun: ("overrun", [])
        case .released(let held, let rest):
            ("released", [("heldMilliseconds", milliseconds(held)), ("staysMilliseconds", .milliseconds(rest))])
        case .releaseUnconfirmed(let release):
            (
                "releaseUnconfirmed",
                [
                    ("staysMilliseconds", .milliseconds(release.restOfMinimumHold)),
                    ("longestRemainingMilliseconds", milliseconds(release.longestRemaining)),
                    ("nodes", .array(release.nodes.map(json(of:)))),
                ]
            )
        case .signal(let signal): ("signal", [("signal", .string(signal.description))])
        case .exited(let code, let signal):
            (
                "exited",
                [
                    ("exitCode", .integer(Int64(code))),
                    ("signal", signal.map { .string($0.description) } ?? .null),
                ]
            )
        case .error(let failure): ("error", jsonFields(of: failure))
        case .warning(let message): ("warning", [("message", .string(message))])
        }
    }

    private static func jsonFields(of failure: CommandFailure) -> [(String, JSONLine)] {
        [
            ("code", .string(failure.code)),
            ("message", .string(failure.description)),
            ("exitCode", .integer(Int64(failure.exitCode))),
        ]
            + (failure.code == "timedOut"
                ? jsonFields(of: failure.holder) + [("otherHolders", json(ofOthers: failure.otherHolders))] : [])
            + (failure.nodes.isEmpty ? [] : [("nodes", .array(failure.nodes.map(json(of:))))])
    }

    private static func jsonFields(of holder: LockStatus.Holder?) -> [(String, JSONLine)] {
        [
            ("holder", .optional(holder?.name)),
            ("holderSinceMilliseconds", .milliseconds(holder?.since)),
            ("holderHost", .optional(holder?.host)),
            ("holderProcess", .optional(holder?.process.map { Int($0) })),
            ("holderNote", .optional(holder?.note)),
        ]
    }

    /// Those who hold the other slots.
    private static func json(ofOthers holders: [LockStatus.Holder]) -> JSONLine {
        .array(holders.map { .object(HolderText.fields(of: $0)) })
    }

    static func json(of node: RedlockError.NodeReport) -> JSONLine {
        .object([("node", .string(node.node)), ("outcome", .string(node.outcome))])
    }

    /// Names and labels come from other people: no line break and no terminal escape of theirs may reach a terminal.
    static func inOneLine(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
            )
        )
    }

    /// Writes without ever waiting for long: whoever reads standard error and stops reading must not keep the
    /// supervisor from killing a command whose lock is lost.
    ///
    /// A line that cannot be written is dropped.
    private static func write(_ line: String, to descriptor: Int32) {
        var line = line
        line.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while let start = rest.baseAddress, !rest.isEmpty {
                var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard poll(&request, 1, 100) > 0 else { return }
                // A pipe that is ready takes this much without blocking.
                let count = Foundation.write(descriptor, start, min(rest.count, 512))
                guard count > 0 || errno == EINTR else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(max(count, 0)))
            }
        }
    }
}

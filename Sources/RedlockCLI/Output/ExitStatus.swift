// SPDX-License-Identifier: Apache-2.0

import Foundation
import LeaderElection
import Redlock

/// The exit codes of `redlock`, as its help states them; numbers from sysexits(3) and the shells.
enum ExitStatus {
    static let success: Int32 = 0
    /// The lock was not obtained, or is not held, or the nodes are not enrolled; `--conflict-exit-code` replaces it where a lock is waited for.
    static let conflict: Int32 = 1
    static let usage: Int32 = 64
    /// No quorum: too few nodes reachable, or too few that count.
    static let unavailable: Int32 = 69
    static let internalError: Int32 = 70
    /// The operating system refused (no process, no memory).
    static let systemError: Int32 = 71
    /// The lock was lost, and the command stopped because of it.
    static let lost: Int32 = 75
    static let notExecutable: Int32 = 126
    static let notFound: Int32 = 127

    static func killed(by signal: Int32) -> Int32 { 128 + signal }

    /// The code for an error of the library.
    static func code(for code: RedlockError.Code, conflictExitCode: Int32 = conflict) -> Int32 {
        switch code {
        case .timedOut: conflictExitCode
        case .notHeld, .enrolmentRefused: conflict
        case .quorumUnavailable, .notALock: unavailable
        case .lost: lost
        case .invalidConfiguration, .invalidArgument, .slotCountRefused: usage
        default: internalError
        }
    }

    /// The code for an error of an election.
    static func code(for code: ElectionError.Code) -> Int32 {
        switch code {
        case .noSuchCandidate, .handoverFailed: conflict
        case .outOfTouch: unavailable
        case .invalidConfiguration: usage
        default: internalError
        }
    }
}

/// What the user asked for cannot be done as asked; exit code 64.
struct UsageError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A failure with the exit code it leads to.
struct CommandFailure: Error, CustomStringConvertible {
    let exitCode: Int32
    /// What kind of failure it is, for scripts; stable.
    let code: String
    let description: String
    /// Who holds the lock, where that is the failure.
    var holder: LockStatus.Holder?
    /// Those who hold the other slots, where one of several was wanted.
    var otherHolders: [LockStatus.Holder] = []
    /// What each node contributed, where nodes were asked.
    var nodes: [RedlockError.NodeReport] = []
    /// Whether people see the nodes on lines of their own, as the description does not name them.
    var listsNodes = false

    init(exitCode: Int32, code: String? = nil, _ description: String) {
        self.exitCode = exitCode
        self.code = code ?? Self.code(for: exitCode)
        self.description = description
    }

    /// What the operating system refused, and the number of its error.
    init(systemError number: Int32, _ description: String) {
        self.init(exitCode: ExitStatus.systemError, "\(description): \(SystemError.text(of: number))")
    }

    private static func code(for exitCode: Int32) -> String {
        switch exitCode {
        case ExitStatus.conflict: "notHeld"
        case ExitStatus.usage: "usage"
        case ExitStatus.unavailable: "quorumUnavailable"
        case ExitStatus.systemError: "systemError"
        case ExitStatus.lost: "lost"
        case ExitStatus.notExecutable: "notExecutable"
        case ExitStatus.notFound: "notFound"
        case 129...: "interrupted"
        default: "internalError"
        }
    }

    /// Any error of a command, with its code and one line for people.
    init(_ error: any Error, conflictExitCode: Int32 = ExitStatus.conflict, nodesAreDefault: Bool = false) {
        switch error {
        case let failure as CommandFailure:
            self = failure
        case let usage as UsageError:
            self.init(exitCode: ExitStatus.usage, usage.description)
        case let error as RedlockError:
            // Nobody named these nodes, so nobody may be running them: say how to get some.
            let hint = nodesAreDefault && error.code == .quorumUnavailable ? Self.hintToStartServers : ""
            let exitCode = ExitStatus.code(for: error.code, conflictExitCode: conflictExitCode)
            let isUsage = error.code == .invalidArgument || error.code == .invalidConfiguration
            self.init(
                exitCode: exitCode,
                code: isUsage ? "usage" : error.code.description,
                error.description + hint + (isUsage ? Self.hintToOptions(error.message) : "")
            )
            holder = error.holder
            otherHolders = error.otherHolders
            nodes = error.nodes
        case let error as ElectionError:
            let isUsage = error.code == .invalidConfiguration
            self.init(
                exitCode: ExitStatus.code(for: error.code),
                code: isUsage ? "usage" : error.code.description,
                error.description + (error.description.firstRange(of: "lease duration") == nil ? "" : "; see --ttl")
            )
            nodes = error.nodes
        default:
            self.init(exitCode: ExitStatus.internalError, String(describing: error))
        }
    }

    /// A release that no quorum confirmed, where that is the end of all.
    init(_ release: UnconfirmedRelease) {
        self.init(exitCode: ExitStatus.unavailable, release.message)
        nodes = release.nodes
        listsNodes = true
    }

    /// An error about a set of nodes: each has its reason on a line of its own.
    init(listingNodesOf error: RedlockError) {
        self.init(exitCode: ExitStatus.code(for: error.code), code: error.code.description, error.message)
        nodes = error.nodes
        listsNodes = true
    }

    /// The library speaks of its own words.
    private static func hintToOptions(_ message: String) -> String {
        if message.firstRange(of: "minimum hold") != nil {
            return "; see --min-hold, --max-ttl and `redlock init --update`"
        }
        let isAboutTimes = message.firstRange(of: "TTL") ?? message.firstRange(of: "node timeout") != nil
        return isAboutTimes ? "; see --ttl, --max-ttl and --node-timeout" : ""
    }

    static let hintToStartServers =
        "; no servers were named (--redis, REDLOCK_REDIS or --config): `redlock local up` starts some on this machine"
}

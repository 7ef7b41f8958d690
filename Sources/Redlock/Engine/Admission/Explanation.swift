// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// Why something is not as it should be, or is not known, and what to do about it; nil where nothing is known to help.
struct Explanation: Hashable, Sendable {
    let reason: String
    let remedy: String?

    init(_ reason: String, remedy: String? = nil) {
        self.reason = reason
        self.remedy = remedy
    }
}

/// What a server is asked about itself; its user may lack the right, or the server the command.
enum Question: Hashable, Sendable {
    case information
    case statistics
    case settings
    case time

    private var command: String {
        switch self {
        case .information: "INFO"
        case .statistics: "INFO commandstats"
        case .settings: "CONFIG GET"
        case .time: "TIME"
        }
    }

    private var right: String {
        switch self {
        case .information, .statistics: "+info"
        case .settings: "+config|get"
        case .time: "+time"
        }
    }

    /// Why the question has no answer, by what came instead of one.
    func refused(with reply: RESPValue) -> Explanation {
        guard let error = reply.error else { return Explanation("it answered \(command) with something else") }
        guard !error.hasPrefix("NOPERM") else {
            return Explanation("its user may not run \(command)", remedy: "grant \(right)")
        }
        return Explanation(
            "it refused \(command): \(reply.problem.printable())",
            remedy: "let the user of redlock run \(command)"
        )
    }

    /// Why a fact is not known although nothing was refused.
    func withoutAnswer(isAsked: Bool) -> Explanation {
        Explanation(isAsked ? "its answer to \(command) does not tell" : "it was not asked yet")
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Hiredis

extension NodeFailure {
    /// What an error reply means that makes a connection useless, whatever was asked; nil for every other error.
    init?(errorReply text: String) {
        let code = text.prefix { $0 != " " }
        switch code {
        case "NOAUTH": self.init(.authentication, "the server wants a password, and none is configured")
        case "WRONGPASS": self.init(.authentication, "the server refused the user or the password")
        case "DENIED": self.init(.permission, "the server is in protected mode and refuses this client")
        case "LOADING": self.init(.notServing, "the server is still loading its data")
        case "BUSY": self.init(.notServing, "the server is busy with a script")
        case "MASTERDOWN": self.init(.notServing, "the server is a replica without its master")
        default:
            guard text.hasPrefix("ERR max number of clients") else { return nil }
            self.init(.notServing, "the server has reached its maximum number of clients")
        }
    }

    /// What a reply means that is not the one that a step of making a connection needs.
    ///
    /// - Parameters:
    ///   - step: what was attempted, in words that go behind "to".
    ///   - kind: the kind of failure if the server refused this step and said nothing of the connection as a whole.
    ///   - rights: what the access control list must grant the user for this step.
    init(attemptTo step: String, answeredWith reply: RESPValue, otherwise kind: Kind, rights: String? = nil) {
        guard case .error(let text) = reply else {
            self.init(.protocolViolation, "the server gave no sensible answer to the attempt to \(step)")
            return
        }
        if let failure = NodeFailure(errorReply: text) {
            self = failure
            return
        }
        let need = text.hasPrefix("NOPERM ") ? rights.map { "; the user needs the right to do so (ACL: \($0))" } : nil
        self.init(
            kind,
            "the server refused the attempt to \(step)\(need ?? ""): \(text.withoutEchoedArguments.printable())"
        )
    }
}

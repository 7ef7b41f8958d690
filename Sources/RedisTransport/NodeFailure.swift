// SPDX-License-Identifier: Apache-2.0

/// Why a node does not answer: what happened, and whether trying again soon can help.
package struct NodeFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    package enum Kind: String, Hashable, Sendable {
        /// There is no connection yet.
        case connecting
        /// The connection could not be made: refused, no route, name not resolved.
        case unreachable
        /// No answer came within the deadline.
        case timedOut
        /// The connection ended before the answer came.
        case closed
        /// What came is not the Redis protocol, or not an answer to what was asked.
        case protocolViolation
        /// TLS could not be agreed on, or the certificate was not accepted.
        case tls
        /// The user or password was refused, or one is needed.
        case authentication
        /// The user lacks a permission that is needed.
        case permission
        /// The server cannot serve now, for example while it loads its data.
        case notServing
    }

    /// What kind of failure it is.
    package let kind: Kind

    /// What happened, in words that may be logged.
    package let message: String

    /// A failure of the given kind.
    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// Whether the same attempt fails again until somebody changes something: a wrong password, a wrong port.
    package var isPermanent: Bool {
        switch kind {
        case .authentication, .permission, .protocolViolation, .tls: true
        case .connecting, .unreachable, .timedOut, .closed, .notServing: false
        }
    }

    /// What happened.
    package var description: String { message }
}

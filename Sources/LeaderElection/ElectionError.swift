// SPDX-License-Identifier: Apache-2.0

public import Redlock

/// Why a candidate does not lead, or not any more.
public struct ElectionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of errors; more may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String {
            case invalidConfiguration, campaignsAlready, termEnds, resigned, handedOver, notEligible, outOfTouch
            case noSuchCandidate, handoverFailed
        }

        private let value: Value

        /// The times of the election contradict each other, or a name cannot be used.
        public static let invalidConfiguration = Code(value: .invalidConfiguration)
        /// What was to be done does not fit into what is left of the term.
        public static let termEnds = Code(value: .termEnds)
        /// The term was ended by ``LeaderElector/resign()``.
        public static let resigned = Code(value: .resigned)
        /// The elector campaigns already; it does so once at a time.
        public static let campaignsAlready = Code(value: .campaignsAlready)
        /// The term was ended to let another candidate lead.
        public static let handedOver = Code(value: .handedOver)
        /// The candidate was not fit to lead any more.
        public static let notEligible = Code(value: .notEligible)
        /// Nobody of that identity campaigns.
        public static let noSuchCandidate = Code(value: .noSuchCandidate)
        /// The leader did not hand over in time.
        public static let handoverFailed = Code(value: .handoverFailed)
        /// Too few nodes answered to say who leads.
        public static let outOfTouch = Code(value: .outOfTouch)

        /// The name of the code.
        public var description: String { value.rawValue }
    }

    /// The kind of error.
    public let code: Code
    /// What happened, and what to do, without the nodes' reasons.
    public let message: String
    /// What each node answered, or why it did not, where nodes were asked.
    public let nodes: [RedlockError.NodeReport]

    /// What happened, with each node's reason.
    public var description: String {
        nodes.isEmpty ? message : message + " (" + nodes.map(\.description).joined(separator: "; ") + ")"
    }

    init(_ code: Code, _ message: String, nodes: [RedlockError.NodeReport] = []) {
        self.code = code
        self.message = message
        self.nodes = nodes
    }
}

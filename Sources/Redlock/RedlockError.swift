// SPDX-License-Identifier: Apache-2.0

/// Why a lock was not obtained, not kept, or not even tried.
public struct RedlockError: Error, Sendable {
    /// The kinds of errors; more may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String {
            case timedOut, quorumUnavailable, lost, notHeld, invalidConfiguration, invalidArgument, clientShutDown
            case enrolmentRefused, heldByTask, slotCountRefused, notALock
        }

        private let value: Value

        /// Others hold the lock, and the time to wait for it is over; the nodes work.
        public static let timedOut = Code(value: .timedOut)
        /// Too few nodes answered for any decision, whoever holds the lock.
        public static let quorumUnavailable = Code(value: .quorumUnavailable)
        /// The lease ended before the work under it did.
        public static let lost = Code(value: .lost)
        /// The task that asks runs under the lock already, so that waiting for it would never end.
        public static let heldByTask = Code(value: .heldByTask)
        /// There are more or fewer slots than were asked for, and some of them are held.
        public static let slotCountRefused = Code(value: .slotCountRefused)
        /// So many nodes have something in place of the lock that is none that no client can be granted it; forced release
        /// deletes that.
        public static let notALock = Code(value: .notALock)
        /// The owner token does not hold the lock.
        public static let notHeld = Code(value: .notHeld)
        /// The configuration of the client cannot be used.
        public static let invalidConfiguration = Code(value: .invalidConfiguration)
        /// An argument of this call cannot be used.
        public static let invalidArgument = Code(value: .invalidArgument)
        /// The nodes cannot be enrolled as they were to be; nothing was changed unless the message says so.
        public static let enrolmentRefused = Code(value: .enrolmentRefused)
        /// The client was shut down.
        public static let clientShutDown = Code(value: .clientShutDown)

        /// The name of the code.
        public var description: String { value.rawValue }
    }

    /// What one node contributed to the failure.
    public struct NodeReport: Hashable, Sendable, CustomStringConvertible {
        /// The node's address.
        public let node: String
        /// What the node answered, or why it did not.
        public let outcome: String

        /// The address and the outcome.
        public var description: String { "\(node): \(outcome)" }
    }

    /// The kind of error.
    public let code: Code

    /// The resource that the call was about, if it was about one.
    public let resource: String?

    /// What happened, without the nodes' reasons.
    public let message: String

    /// What each node contributed, where nodes were asked.
    public let nodes: [NodeReport]

    /// Who holds the lock, or the first of the slots, if a quorum of nodes said so in time.
    public let holder: LockStatus.Holder?

    /// Those who hold the other slots, where all are held; of many slots, 16 are looked at.
    public let otherHolders: [LockStatus.Holder]

    init(
        _ code: Code,
        resource: String? = nil,
        _ message: String,
        nodes: [NodeReport] = [],
        holder: LockStatus.Holder? = nil,
        otherHolders: [LockStatus.Holder] = []
    ) {
        self.code = code
        self.resource = resource
        self.message = message
        self.nodes = nodes
        self.holder = holder
        self.otherHolders = otherHolders
    }
}

extension RedlockError: CustomStringConvertible {
    /// One line: what happened, and what each node said.
    public var description: String {
        nodes.isEmpty ? message : message + " (" + nodes.map(\.description).joined(separator: "; ") + ")"
    }
}

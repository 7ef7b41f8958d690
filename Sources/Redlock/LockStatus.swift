// SPDX-License-Identifier: Apache-2.0

/// What the nodes say about one lock, at the moment they were asked.
///
/// It is a picture of the past: by the time it is read, the lock may have changed hands.
public struct LockStatus: Hashable, Sendable {
    /// Who holds a lock.
    public struct Holder: Hashable, Sendable {
        /// The label in the owner token; nil if another kind of client holds the lock.
        public let label: String?
        /// How long the key lives if nobody extends it, the shortest of the quorum; nil if no node told.
        public let remaining: Duration?
    }

    /// What one node says.
    public enum NodeState: Hashable, Sendable {
        /// The key is not there.
        case free
        /// The key is there. Equal numbers mean equal owner tokens; the number tells nothing else.
        case held(Holder, ownerNumber: Int)
        /// So many share the lock there; 32 at most are counted.
        case shared(holderCount: Int)
        /// The node did not say, for this reason.
        case unavailable(reason: String)
    }

    /// One node and what it says.
    public struct Node: Hashable, Sendable {
        /// The node's address.
        public let name: String
        /// What it says.
        public let state: NodeState
    }

    /// The name of the lock.
    public let resource: String

    /// The number of the slot, if it is one of several under the name.
    public let slot: Int?

    /// Every configured node, in the order of the configuration.
    public let nodes: [Node]

    /// Who has the lock alone, as a quorum of nodes agrees.
    public let holder: Holder?

    /// Those who share the lock, as a quorum of nodes agrees of each; 32 at most.
    public let sharers: [Holder]

    /// The highest fencing token that any node has reserved, as far as the nodes that answered know; nil if none was, and
    /// in the compatible profile.
    ///
    /// A grant reserves 16: the first is its own, and the others are for tasks of the same client that it is handed over
    /// to.
    public let lastFencingToken: FencingToken?

    /// How many clients wait for the lock in the queues, on the node that knows of most; each may have many tasks that do.
    ///
    /// Nil where no node may tell, and in the compatible profile. Clients that poll are not counted; those that are gone
    /// still are, for 12 s and more.
    public let waitingClients: Int?

    /// The owner tokens that nodes showed, each once; what could be none of this package is left out.
    let ownerTokens: [OwnerToken]

    /// The same for those who share the lock.
    let sharerTokens: [OwnerToken]

    /// Whether a quorum of nodes agrees that somebody holds the lock, alone or together with others.
    public var isHeld: Bool { holder != nil || !sharers.isEmpty }

    /// Whether enough nodes answered for any statement.
    public let isQuorumReachable: Bool
}

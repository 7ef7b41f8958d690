// SPDX-License-Identifier: Apache-2.0

internal import RedisTransport

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
        /// The machine that the holder says it runs on; nil if it does not say.
        public let host: String?
        /// The id of the process that the holder says it is, on that machine; nil if it does not say.
        public let process: Int32?
        /// When the attempt began by which the holder got the lock, since 1970 (Unix time); nil if it does not say.
        ///
        /// It is what the wall clock of the holder showed, in milliseconds. That clock and yours may differ, and either may
        /// have been set since, so that this may even lie in the future: it is for people, and nothing follows from it. A
        /// lock that was handed over from one task of a client to the next shows when the client got it.
        public let since: Duration?
        /// What the holder noted, see ``LockOptions/note``; nil if it noted nothing.
        public let note: String?

        init(
            label: String?,
            remaining: Duration?,
            host: String? = nil,
            process: Int32? = nil,
            since: Duration? = nil,
            note: String? = nil
        ) {
            self.label = label
            self.remaining = remaining
            self.host = host
            self.process = process
            self.since = since
            self.note = note
        }
    }

    /// What one node says.
    public enum NodeState: Hashable, Sendable {
        /// The key is not there.
        case free
        /// The key is there. Equal numbers mean equal owner tokens; the number tells nothing else.
        case held(Holder, ownerNumber: Int)
        /// So many share the lock there; 32 at most are counted.
        case shared(holderCount: Int)
        /// The node has something in place of the lock that is none, so that the lock can be granted to no client there.
        case notALock
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

    /// The name, and the number of the slot if it is one, for people to read.
    public var title: String { slot.map { "\(resource) slot \($0)" } ?? resource }

    /// Every configured node, in the order of the configuration.
    public let nodes: [Node]

    /// Who has the lock alone, as a quorum of nodes agrees.
    public let holder: Holder?

    /// How many of those who share a lock one node tells of.
    static let mostSharers = 32

    /// Of how many slots of one name those are told who hold them.
    package static let mostSlotsLookedAt = 16

    /// Those who share the lock, as a quorum of nodes agrees of each; of many, each node tells of 32.
    public let sharers: [Holder]

    /// The highest fencing token that any node has reserved, as far as the nodes that answered know; nil if none was, and
    /// in the compatible profile.
    ///
    /// A grant reserves 16, or up to 256 where no other client waits: the first is its own, and the others are for tasks of
    /// the same client that it is handed over to.
    public let lastFencingToken: FencingToken?

    /// The same as far as the nodes know that show the holder; nil if nobody has the lock alone.
    ///
    /// It does not move while the lock is held, as attempts that fail leave it alone there.
    /// With ``LockOptions/handsOver`` set to false, the token of the holder.
    public let holderFencingToken: FencingToken?

    /// How many clients wait for the lock in the queues, on the node that knows of most; each may have many tasks that do.
    ///
    /// Nil where no node may tell, and in the compatible profile. Clients that poll are not counted; those that are gone
    /// still are, for 12 s and more.
    public let waitingClients: Int?

    /// The owner tokens that nodes showed, each once; what could be none of this package is left out.
    let ownerTokens: [OwnerToken]

    /// The same for those who share the lock.
    let sharerTokens: [OwnerToken]

    /// One number for each owner that nodes showed, in the order of the owners' numbers.
    ///
    /// Equal numbers in two pictures of one process mean equal values of the key; nothing can be learnt from them about
    /// these.
    let ownerMarks: [Int]

    /// Whether a quorum of nodes agrees that somebody holds the lock, alone or together with others.
    public var isHeld: Bool { holder != nil || !sharers.isEmpty }

    /// How many nodes have something in place of the lock that is none.
    public var notALockCount: Int { nodes.count { $0.state == .notALock } }

    /// Whether the lock has no holder, and a node or more has something in place of it that is none: data that others wrote
    /// below the prefix.
    public var isNotALock: Bool { !isHeld && notALockCount > 0 }

    /// Whether enough nodes answered for any statement.
    public let isQuorumReachable: Bool
}

extension LockStatus.Holder {
    /// What the value of a key says of its holder.
    ///
    /// Anybody may have written it: what is not as this package writes it is left out.
    init(ownerToken value: String, remaining: Duration?) {
        let fields = OwnerToken.fields(of: value)
        func text(_ field: OwnerField, atMost limit: Int) -> String? {
            fields[field].flatMap { $0.isEmpty ? nil : String($0).printable(limit: limit) }
        }
        // Beyond the year 9999 it is no time.
        let times: ClosedRange<Int64> = 1...253_402_300_799_999
        self.init(
            label: OwnerToken.label(of: value)?.printable(),
            remaining: remaining,
            host: text(.host, atMost: OwnerField.longestHost),
            process: fields[.process].flatMap { Int32($0) }.flatMap { $0 > 0 ? $0 : nil },
            since: fields[.since].flatMap { Int64($0) }.flatMap { times.contains($0) ? .milliseconds($0) : nil },
            note: text(.note, atMost: OwnerField.longestNote)
        )
    }
}

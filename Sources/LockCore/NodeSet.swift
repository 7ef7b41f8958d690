// SPDX-License-Identifier: Apache-2.0

/// A set of nodes, each by its place in the client's list of nodes.
package struct NodeSet: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The most nodes that a set can tell apart.
    package static let capacity = 64

    private var bits: UInt64

    /// The set of the given nodes.
    package init(arrayLiteral nodes: Int...) {
        bits = 0
        for node in nodes { insert(node) }
    }

    /// The set of the first `count` nodes.
    package init(firstNodes count: Int) {
        precondition((0...Self.capacity).contains(count), "a set holds at most 64 nodes")
        bits = count == Self.capacity ? .max : (1 << UInt64(count)) - 1
    }

    /// The set of the given nodes.
    package init(_ nodes: some Sequence<Int>) {
        bits = 0
        for node in nodes { insert(node) }
    }

    private init(bits: UInt64) {
        self.bits = bits
    }

    /// How many nodes the set holds.
    package var count: Int { bits.nonzeroBitCount }

    /// Whether the set holds no node.
    package var isEmpty: Bool { bits == 0 }

    /// Whether the set holds the node.
    package func contains(_ node: Int) -> Bool {
        bits & (1 << UInt64(node)) != 0
    }

    /// The node that comes first in the list; nil if the set is empty.
    package var first: Int? { isEmpty ? nil : bits.trailingZeroBitCount }

    /// Adds a node.
    package mutating func insert(_ node: Int) {
        precondition((0..<Self.capacity).contains(node), "a node is a place from 0 to 63")
        bits |= 1 << UInt64(node)
    }

    /// Takes a node out.
    package mutating func remove(_ node: Int) {
        bits &= ~(1 << UInt64(node))
    }

    /// The nodes of either set.
    package func union(_ other: NodeSet) -> NodeSet {
        NodeSet(bits: bits | other.bits)
    }

    /// The nodes of this set that are not in the other.
    package func subtracting(_ other: NodeSet) -> NodeSet {
        NodeSet(bits: bits & ~other.bits)
    }

    /// The nodes of both sets.
    package func intersection(_ other: NodeSet) -> NodeSet {
        NodeSet(bits: bits & other.bits)
    }
}

extension NodeSet: Sequence {
    /// Goes through the nodes in the order of their places.
    package struct Iterator: IteratorProtocol {
        fileprivate var remaining: UInt64

        /// The next node, or nil after the last.
        package mutating func next() -> Int? {
            guard remaining != 0 else { return nil }
            let node = remaining.trailingZeroBitCount
            remaining &= remaining - 1
            return node
        }
    }

    /// An iterator over the nodes.
    package func makeIterator() -> Iterator {
        Iterator(remaining: bits)
    }
}

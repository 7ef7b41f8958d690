// SPDX-License-Identifier: Apache-2.0

import LockCore

/// The extent of the world: small enough that everything that can happen in it is tried.
enum SmallWorld {
    static let nodeCount = 3
    static let clientCount = 2
    /// Each client can tell two of its own attempts apart.
    static let attemptsPerClient = 2
}

/// One value for each of the three nodes, without an array on the heap.
struct OfNodes<Value: Hashable & Sendable>: Hashable, Sendable {
    private var first: Value
    private var second: Value
    private var third: Value

    init(repeating value: Value) {
        (first, second, third) = (value, value, value)
    }

    @inline(__always)
    subscript(node: Int) -> Value {
        get {
            switch node {
            case 0: first
            case 1: second
            default: third
            }
        }
        set {
            switch node {
            case 0: first = newValue
            case 1: second = newValue
            default: third = newValue
            }
        }
    }
}

/// One value for each of the two clients.
struct OfClients<Value: Hashable & Sendable>: Hashable, Sendable {
    private var first: Value
    private var second: Value

    init(repeating value: Value) {
        (first, second) = (value, value)
    }

    @inline(__always)
    subscript(client: Int) -> Value {
        get { client == 0 ? first : second }
        set { if client == 0 { first = newValue } else { second = newValue } }
    }

    mutating func swap() { (first, second) = (second, first) }
}

/// Another order of the nodes: at each new place, the old place of the node that goes there.
///
/// The nodes are alike, so worlds that differ by the order of their nodes have the same future.
struct NodeOrder: Hashable, Sendable {
    /// All orders of three nodes; the first leaves them as they are.
    static let all: [NodeOrder] = [
        NodeOrder(0, 1, 2), NodeOrder(0, 2, 1), NodeOrder(1, 0, 2),
        NodeOrder(1, 2, 0), NodeOrder(2, 0, 1), NodeOrder(2, 1, 0),
    ]

    let oldPlaces: OfNodes<Int>
    private let newPlaces: OfNodes<Int>

    private init(_ first: Int, _ second: Int, _ third: Int) {
        var oldPlaces = OfNodes(repeating: 0)
        (oldPlaces[0], oldPlaces[1], oldPlaces[2]) = (first, second, third)
        var newPlaces = OfNodes(repeating: 0)
        for place in 0..<SmallWorld.nodeCount { newPlaces[oldPlaces[place]] = place }
        self.oldPlaces = oldPlaces
        self.newPlaces = newPlaces
    }

    /// Where a node goes.
    func newPlace(of node: Int) -> Int { newPlaces[node] }

    /// A set of nodes, given as the bits of a number, in the new order.
    func reordered(bits: Int) -> Int {
        var result = 0
        for place in 0..<SmallWorld.nodeCount where bits >> oldPlaces[place] & 1 == 1 { result |= 1 << place }
        return result
    }
}

extension NodeSet {
    /// The set as the bits of a number.
    var modelBits: Int { reduce(0) { $0 | 1 << $1 } }

    /// The set whose bits the number has.
    init(modelBits: Int) {
        self.init((0..<SmallWorld.nodeCount).filter { modelBits >> $0 & 1 == 1 })
    }
}

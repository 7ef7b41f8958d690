// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting
import Testing

@Suite
struct NodeSetTests {
    @Test
    func holdsTheFirstAndTheLastNode() {
        var set: NodeSet = [0, 63]
        #expect(Array(set) == [0, 63])
        #expect(set.count == 2)
        #expect(set.contains(0) && set.contains(63) && !set.contains(1) && !set.contains(62))
        set.remove(63)
        set.remove(5)
        #expect(Array(set) == [0])
        set.remove(0)
        #expect(set.isEmpty)
        #expect(Array(set).isEmpty)
    }

    @Test(arguments: 0...NodeSet.capacity)
    func firstNodes(count: Int) {
        let set = NodeSet(firstNodes: count)
        #expect(set.count == count)
        #expect(Array(set) == Array(0..<count))
        #expect(set.isEmpty == (count == 0))
    }

    @Test
    func nodeBeyondTheCapacityIsNoMember() {
        #expect(!NodeSet(firstNodes: 64).contains(64))
    }

    @Test
    func insertingTwiceIsInsertingOnce() {
        var set: NodeSet = [3, 3]
        set.insert(3)
        #expect(set == [3])
        #expect(set.count == 1)
    }

    @Test
    func operationsAgreeWithThoseOfTheStandardSet() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<200 {
            let left = Set((0..<64).shuffled(using: &random).prefix(Int.random(in: 0...64, using: &random)))
            let right = Set((0..<64).shuffled(using: &random).prefix(Int.random(in: 0...64, using: &random)))
            let (leftNodes, rightNodes) = (NodeSet(left), NodeSet(right))
            #expect(Array(leftNodes) == left.sorted())
            #expect(Array(leftNodes.union(rightNodes)) == left.union(right).sorted())
            #expect(Array(leftNodes.intersection(rightNodes)) == left.intersection(right).sorted())
            #expect(Array(leftNodes.subtracting(rightNodes)) == left.subtracting(right).sorted())
            #expect((leftNodes == rightNodes) == (left == right))
        }
    }
}

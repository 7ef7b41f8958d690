// SPDX-License-Identifier: Apache-2.0

import LockCore

/// The kept leases, the one to look at next first.
///
/// Each lease knows its place, so that taking it out is as quick as putting it in.
struct LeaseHeap {
    private(set) var elements: [HeldLease] = []

    var count: Int { elements.count }
    var first: HeldLease? { elements.first }

    mutating func insert(_ lease: HeldLease) {
        lease.heapIndex = elements.count
        elements.append(lease)
        siftUp(elements.count - 1)
    }

    mutating func remove(_ lease: HeldLease) {
        guard let index = lease.heapIndex else { return }
        lease.heapIndex = nil
        let last = elements.removeLast()
        guard index < elements.count else { return }
        elements[index] = last
        last.heapIndex = index
        siftDown(index)
        siftUp(index)
    }

    /// Moves a lease to its place after its next look changed.
    mutating func update(_ lease: HeldLease) {
        guard let index = lease.heapIndex else { return }
        siftDown(index)
        siftUp(lease.heapIndex ?? index)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard elements[index].nextDue < elements[parent].nextDue else { return }
            exchange(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < elements.count {
                if elements[child].nextDue < elements[smallest].nextDue { smallest = child }
            }
            guard smallest != index else { return }
            exchange(index, smallest)
            index = smallest
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        elements.swapAt(left, right)
        elements[left].heapIndex = left
        elements[right].heapIndex = right
    }
}

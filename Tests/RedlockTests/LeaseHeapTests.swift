// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting
import Testing

@testable import Redlock

/// A lease as the engine keeps it, acquired nowhere.
func heldLease(_ ownerToken: OwnerToken, engine: LockEngine) throws -> HeldLease {
    let terms = try LeaseTerms(LockOptions(label: "host:7"), renewal: .none, configuration: RedlockConfiguration())
    let line = WaitingLine(.exclusive(ResourceName("a")))
    let start = Instant(nanoseconds: 0)
    let round = AcquireRound(quorum: engine.quorum, timing: terms.timing, start: start)
    let attempt = AcquireAttempt(for: line, terms, ownerToken: ownerToken, round: round, engine: engine)
    let validUntil = terms.timing.validUntil(start: start)
    return HeldLease(
        attempt: attempt,
        terms: terms,
        validUntil: validUntil,
        fencingToken: nil,
        canceller: nil,
        engine: engine
    )
}

@Suite
struct LeaseHeapTests {
    /// Against an array that is searched: the first is always the one to look at next, whatever is put in and taken out.
    @Test(arguments: 0..<20)
    func agreesWithASearchedArray(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let engine = stillEngine()
        var heap = LeaseHeap()
        var kept: [HeldLease] = []
        for step in 0..<500 {
            // Few different times, so that equal ones meet.
            let time = Instant(nanoseconds: Int64.random(in: 0..<50, using: &random))
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let lease = try heldLease(OwnerToken(highBits: 1, lowBits: UInt64(step), label: ""), engine: engine)
                lease.nextDue = time
                heap.insert(lease)
                kept.append(lease)
            case 5..<7:
                guard let index = kept.indices.randomElement(using: &random) else { continue }
                heap.remove(kept.remove(at: index))
            case 7:
                guard let first = heap.first else { continue }
                heap.remove(first)
                heap.remove(first)
                kept.removeAll { $0 === first }
                #expect(first.heapIndex == nil)
            default:
                guard let lease = kept.randomElement(using: &random) else { continue }
                lease.nextDue = time
                heap.update(lease)
            }
            let isSound =
                heap.count == kept.count && heap.first?.nextDue == kept.map(\.nextDue).min()
                && kept.allSatisfy { lease in lease.heapIndex.map { heap.elements[$0] === lease } ?? false }
            try #require(isSound, "after step \(step)")
        }
        var order: [Instant] = []
        while let first = heap.first {
            order.append(first.nextDue)
            heap.remove(first)
        }
        #expect(order == kept.map(\.nextDue).sorted())
    }

    @Test
    func leaseThatIsNotKeptIsLeftAlone() throws {
        let lease = try heldLease(OwnerToken(highBits: 1, lowBits: 2, label: ""), engine: stillEngine())
        var heap = LeaseHeap()
        heap.remove(lease)
        heap.update(lease)
        #expect(heap.count == 0)
        #expect(heap.first == nil)
    }
}

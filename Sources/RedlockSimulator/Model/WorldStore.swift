// SPDX-License-Identifier: Apache-2.0

/// Every world that was seen, whole, in the order in which it was seen first, and from which one it was reached.
///
/// Whole worlds are compared and not their hashes alone: two worlds are never taken for one.
struct WorldStore {
    private static let pageBits = 16
    private static let noPlace = UInt64.max

    private var pages: [ContiguousArray<World>] = []
    private var parents = ContiguousArray<UInt32>()
    /// Open addressing: the upper half of an entry are bits of the hash, the lower half is the place of the world.
    private var table = ContiguousArray<UInt64>(repeating: noPlace, count: 1 << 16)

    /// How many worlds there are.
    private(set) var count = 0

    /// The world at a place.
    subscript(place: Int) -> World { pages[place >> Self.pageBits][place & (1 << Self.pageBits - 1)] }

    /// The place of the world from which the one at a place was reached; its own for the first.
    func parent(of place: Int) -> Int { Int(parents[place]) }

    /// Adds a world unless it is there; returns whether it was new.
    mutating func insert(_ world: World, from parent: Int) -> Bool {
        if count * 2 >= table.count { growTable() }
        let hash = world.mixedHash
        var slot = Int(truncatingIfNeeded: hash) & (table.count - 1)
        while table[slot] != Self.noPlace {
            if table[slot] >> 32 == hash >> 32, self[Int(table[slot] & 0xFFFF_FFFF)] == world { return false }
            slot = (slot + 1) & (table.count - 1)
        }
        table[slot] = hash & ~0xFFFF_FFFF | UInt64(count)
        if count & (1 << Self.pageBits - 1) == 0 {
            pages.append([])
            pages[pages.count - 1].reserveCapacity(1 << Self.pageBits)
        }
        pages[pages.count - 1].append(world)
        parents.append(UInt32(parent))
        count += 1
        return true
    }

    private mutating func growTable() {
        var larger = ContiguousArray<UInt64>(repeating: Self.noPlace, count: table.count * 2)
        for entry in table where entry != Self.noPlace {
            // Of the place in the table, the entry does not know enough bits.
            let hash = self[Int(entry & 0xFFFF_FFFF)].mixedHash
            var slot = Int(truncatingIfNeeded: hash) & (larger.count - 1)
            while larger[slot] != Self.noPlace { slot = (slot + 1) & (larger.count - 1) }
            larger[slot] = entry
        }
        table = larger
    }
}

extension World {
    /// A hash of all words that is the same in every run.
    fileprivate var mixedHash: UInt64 {
        withWords { words in
            var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
            for word in words {
                hash = (hash ^ word) &* 0xFF51_AFD7_ED55_8CCD
                hash ^= hash >> 32
            }
            hash = hash &* 0xC4CE_B9FE_1A85_EC53
            return hash ^ hash >> 29
        }
    }
}

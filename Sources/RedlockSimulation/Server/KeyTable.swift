// SPDX-License-Identifier: Apache-2.0

/// Entries by the names of their keys.
///
/// A simulated server has so few that they are found quicker one after the other than in a dictionary, and without a text
/// that is made for that.
struct KeyTable {
    typealias Entry = SimulatedKeys.Entry

    private var hashes: [UInt64] = []
    private(set) var names: [String] = []
    private var entries: [Entry] = []

    subscript(place: Int) -> Entry {
        get { entries[place] }
        _modify { yield &entries[place] }
    }

    /// Where the entry of a key is; nil if there is none.
    func place(of name: UnsafeRawBufferPointer) -> Int? {
        let hash = Self.hash(name)
        for place in hashes.indices where hashes[place] == hash && names[place].withBytes({ $0.isEqual(to: name) }) {
            return place
        }
        return nil
    }

    /// Sets an entry; answers the one that was there.
    mutating func set(_ name: UnsafeRawBufferPointer, to entry: Entry) -> Entry? {
        if let place = place(of: name) {
            let former = entries[place]
            entries[place] = entry
            return former
        }
        hashes.append(Self.hash(name))
        names.append(String(decoding: name, as: UTF8.self))
        entries.append(entry)
        return nil
    }

    mutating func remove(at place: Int) {
        hashes.remove(at: place)
        names.remove(at: place)
        entries.remove(at: place)
    }

    /// Sets an entry, or removes the one that is there.
    mutating func put(_ entry: Entry?, at name: UnsafeRawBufferPointer) {
        if let entry {
            _ = set(name, to: entry)
        } else if let place = place(of: name) {
            remove(at: place)
        }
    }

    private static func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(name.count)
        func mix(_ bytes: UInt64) {
            hash = (hash ^ bytes) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
        }
        var place = 0
        while place + 8 <= name.count {
            mix(name.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            place += 8
        }
        while place < name.count {
            mix(UInt64(name[place]))
            place += 1
        }
        return hash
    }
}

extension String {
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        var text = self
        return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}

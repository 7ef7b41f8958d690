// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Redlock

/// What can be claimed, and what nodes are asked for it.
@Suite
struct ClaimTests {
    @Test
    func severalNamesAreSortedAndEachCountsOnce() throws {
        let claim = try Claim.exclusive(["b", "a", "b"])
        #expect(claim == .all([ResourceName("a"), ResourceName("b")]))
        #expect(claim.resource == "a, b")
        #expect(try Claim.exclusive(["a", "a"]) == Claim.one("a"))
        // By their bytes, as the nodes have it.
        #expect(try Claim.exclusive(["caf\u{E9}", "cafe\u{301}"]).names.count == 2)
    }

    @Test(arguments: [[], ["a", ""], ["a", "\n"], (0...64).map(String.init)])
    func refusesNames(_ names: [String]) {
        #expect(throws: RedlockError.self) { try Claim.exclusive(names) }
    }

    @Test(arguments: [0, -1, 257, Int.max])
    func refusesCountsOfSlots(_ count: Int) {
        #expect(throws: RedlockError.self) { try Claim.slot(of: "gpu", count: count) }
    }

    /// A lock, one that is shared and the slots of one name are three things; so are slots by how many there are.
    @Test
    func claimsOfOneNameDiffer() throws {
        let claims: [Claim] = [
            try .one("a"), try .shared("a"), try .slot(of: "a", count: 2), try .slot(of: "a", count: 3),
            try .exclusive(["a", "b"]),
        ]
        #expect(Set(claims).count == 5)
        #expect(Set(claims.compactMap { $0.member(ofClient: "c") }).count == 4)
    }

    /// No two of what can be locked have a key in common.
    @Test
    func keysOfDifferentThingsDiffer() {
        let profile = LockProfile.standard(prefix: "p:")
        let names = ["a", "0", "001:a", "slot:001:a", "lock:a", ":a"].flatMap { text in
            [ResourceName(text), ResourceName(text, kind: .slot(1)), ResourceName(text, kind: .slot(255))]
        }
        let keys = names.flatMap { name in
            let keys = profile.keys(of: name)
            return [keys.lock, keys.readers, keys.fence]
        }
        #expect(Set(keys).count == keys.count)
        for name in names { #expect(profile.holding(ofKey: Array(profile.keys(of: name).lock.utf8)) == name) }
        for key in ["p:slot:12:a", "p:slot:abc:a", "p:slot:+12:a", "p:slot:001:", "p:lock:", "p:fence:a", "q:lock:a"] {
            #expect(profile.holding(ofKey: Array(key.utf8)) == nil, "\(key)")
        }
    }

    @Test
    func identifiersOfClientsAreRead() throws {
        let identifier = ClientIdentifier(bits: 0xAB)
        #expect(identifier.rawValue == "00000000000000ab")
        #expect(ClientIdentifier("00000000000000ab") == identifier)
        for text in ["", "ab", "00000000000000AB", "00000000000000a\n", "00000000000000abc"] {
            #expect(ClientIdentifier(text) == nil)
        }
        let data = try JSONEncoder().encode([identifier])
        #expect(try JSONDecoder().decode([ClientIdentifier].self, from: data) == [identifier])
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([ClientIdentifier].self, from: Data("[\"x\"]".utf8))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import FencedStorage
import Foundation
import Redlock
import Testing

/// What a store must not see: names that it could take for others, and numbers that it cannot compare.
struct GrantTests {
    @Test(arguments: [
        ("", 1), ("a\nb", 1), ("a\n9007199254740992 victim", 1), ("a\0x", 1), ("a\u{1F}", 1), ("a\u{1F}x", 1),
        ("a\u{1F}1\u{1F}2", 1), ("a", 0), ("a", -1), ("a", (1 << 53) + 1),
    ])
    func impossibleGrantsAreRefused(_ resource: String, _ token: Int64) async throws {
        try await withFolder { folder in
            let store = FileGuard(path: folder.path + "/data")
            await #expect(throws: InvalidGrantError.self) {
                try await store.write(ReceivedGrant(resource, FencingToken(rawValue: token)), "x".utf8)
            }
            try await store.write(ReceivedGrant("good", FencingToken(rawValue: 1)), "y".utf8)
        }
    }

    @Test
    func grantsOfNothingAreRefused() async throws {
        struct Nothing: FencedGrant {
            let fencedResources: [String] = []
            let fencingToken = FencingToken(rawValue: 1)
        }
        try await withFolder { folder in
            await #expect(throws: InvalidGrantError.self) {
                try await FileGuard(path: folder.path + "/data").write(Nothing(), "x".utf8)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Something that is so from some moment on, for all threads.
final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .acquiring) }

    func set() {
        value.store(true, ordering: .releasing)
    }
}

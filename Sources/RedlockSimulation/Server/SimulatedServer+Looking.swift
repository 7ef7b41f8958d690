// SPDX-License-Identifier: Apache-2.0

/// What somebody sees who looks into a server from outside of the world.
extension SimulatedServer {
    /// What a key holds; nil if it is not there or holds no text.
    package func value(at key: String) -> String? {
        keys.now = clock()
        return keys.entry(key)?.value.string
    }

    /// The owner tokens under which something is locked, alone or together; or one slot of it.
    package func owners(of resource: String, slot: Int? = nil) -> [String] {
        keys.now = clock()
        if let slot { return keys.entry("redlock:slot:00\(slot):" + resource)?.value.string.map { [$0] } ?? [] }
        let owner = keys.entry("redlock:lock:" + resource)?.value.string
        guard case .scores(let shares)? = keys.entry("redlock:readers:" + resource)?.value else {
            return owner.map { [$0] } ?? []
        }
        let now = Double(keys.nowMilliseconds)
        return shares.names(above: now) + (owner.map { [$0] } ?? [])
    }

    /// How long a key still lives, in milliseconds; the longest that there is if it does not end, nil if it is not there.
    package func lifeMilliseconds(at key: String) -> Int64? {
        keys.now = clock()
        return keys.entry(key).map(lifeMilliseconds)
    }

    /// Both.
    func valueAndLife(at key: String) -> (value: String?, lifeMilliseconds: Int64?) {
        keys.now = clock()
        guard let entry = keys.entry(key) else { return (nil, nil) }
        return (entry.value.string, lifeMilliseconds(of: entry))
    }

    private func lifeMilliseconds(of entry: SimulatedKeys.Entry) -> Int64 {
        entry.endMilliseconds == .max ? .max : entry.endMilliseconds - keys.nowMilliseconds
    }

    /// Deletes a key, as an operator may.
    package func delete(_ key: String) {
        keys.now = clock()
        _ = keys.remove(key)
    }
}

// MARK: Databases

extension SimulatedServer {
    /// Makes it another database of a server: keys of its own, and one process.
    package func becomeDatabase(ofServerOf other: SimulatedServer) {
        runID = other.runID
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a server tells of itself; nil where the user may not ask or the server does not say.
package struct ServerFacts: Hashable, Sendable {
    /// The server process: a new one after every start.
    package var runID: String?

    /// Whether the server process has the script in its memory whose digest the record names.
    package var hasMarker: Bool?

    /// Whether the server takes writes of its own, and does not copy another one.
    package var isMaster: Bool?

    /// The history that the server copied before it became a master of its own; nil if it never copied another one, or
    /// if that is not known.
    package var formerReplicationID: String?

    /// Whether the server shares its keys with others, so that it cannot hold all keys of a lock.
    package var isClusterNode: Bool?

    /// Whether the server is a Sentinel, which watches over other servers and keeps no keys.
    package var isSentinel: Bool?

    /// Whether the server writes an append-only file.
    package var hasAppendOnlyFile: Bool?

    /// The setting `appendfsync`.
    package var fsyncPolicy: String?

    /// The setting `no-appendfsync-on-rewrite`, under which the server stops syncing for a while.
    package var suspendsFsyncDuringRewrite: Bool?

    /// The setting `maxmemory`, in bytes; 0 without a bound.
    package var memoryLimitBytes: Int64?

    /// The setting `maxmemory-policy`.
    package var evictionPolicy: String?

    /// How many keys the server process has evicted.
    package var evictedKeys: Int64?

    /// What the server calls itself, with its version, for people.
    package var software: String?

    /// Nothing known.
    package init() {}

    /// Whether every write is on disk before its answer, beyond doubt.
    package var isDurable: Bool {
        isPlanted(.durabilityAssumed)
            || hasAppendOnlyFile == true && fsyncPolicy == "always" && suspendsFsyncDuringRewrite == false
    }

    /// Whether the server may delete keys that have not expired, to make room.
    package var mayEvict: Bool {
        guard let memoryLimitBytes, memoryLimitBytes > 0, let evictionPolicy else { return false }
        if isPlanted(.evictionOverlooked) { return false }
        return evictionPolicy != "noeviction"
    }
}

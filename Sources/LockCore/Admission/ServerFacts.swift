// SPDX-License-Identifier: Apache-2.0

/// What a server tells of itself; nil where the user may not ask or the server does not say.
public struct ServerFacts: Hashable, Sendable {
    /// The server process: a new one after every start.
    public var runID: String?

    /// Whether the server process has the script in its memory whose digest the record names.
    public var hasMarker: Bool?

    /// Whether the server takes writes of its own, and does not copy another one.
    public var isMaster: Bool?

    /// The history that the server copied before it became a master of its own; nil if it never copied another one, or
    /// if that is not known.
    public var formerReplicationID: String?

    /// Whether the server shares its keys with others, so that it cannot hold all keys of a lock.
    public var isClusterNode: Bool?

    /// Whether the server is a Sentinel, which watches over other servers and keeps no keys.
    public var isSentinel: Bool?

    /// Whether the server writes an append-only file.
    public var hasAppendOnlyFile: Bool?

    /// The setting `appendfsync`.
    public var fsyncPolicy: String?

    /// The setting `no-appendfsync-on-rewrite`, under which the server stops syncing for a while.
    public var suspendsFsyncDuringRewrite: Bool?

    /// The setting `maxmemory`, in bytes; 0 without a bound.
    public var memoryLimitBytes: Int64?

    /// The setting `maxmemory-policy`.
    public var evictionPolicy: String?

    /// How many keys the server process has evicted.
    public var evictedKeys: Int64?

    /// What the server calls itself, with its version, for people.
    public var software: String?

    /// Nothing known.
    public init() {}

    /// Whether every write is on disk before its answer, beyond doubt.
    public var isDurable: Bool {
        isPlanted(.durabilityAssumed)
            || hasAppendOnlyFile == true && fsyncPolicy == "always" && suspendsFsyncDuringRewrite == false
    }

    /// Whether the server may delete keys that have not expired, to make room.
    public var mayEvict: Bool {
        guard let memoryLimitBytes, memoryLimitBytes > 0, let evictionPolicy else { return false }
        if isPlanted(.evictionOverlooked) { return false }
        return evictionPolicy != "noeviction"
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import LockCore
internal import RedisTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How far the clocks of nodes and clients may run apart while a lease lasts.
public struct DriftProfile: Hashable, Sendable {
    /// The part of the TTL that is set aside for clocks that run at different rates: 0.01 is 1 %.
    public var rate: Double

    /// What is set aside besides, whatever the TTL.
    public var constant: Duration

    /// Clocks that may run apart by the given part of the time, from 0 to 0.4, and the given constant.
    ///
    /// No more, because a grant needs half of its TTL left.
    public init(rate: Double, constant: Duration = .milliseconds(2)) {
        self.rate = rate
        self.constant = constant
    }

    /// 1 % and 2 ms: the customary numbers, ample for clocks that ntpd slews.
    public static let standard = DriftProfile(rate: 0.01)

    /// 16 % and 2 ms: enough where chrony slews with its defaults, by up to 8.3 % on either side.
    public static let strict = DriftProfile(rate: 0.16)

    var lockCore: ClockDrift {
        ClockDrift(rate: Int64((rate * 1_000_000).rounded(.up)), constantNanoseconds: constant.nanoseconds)
    }
}

/// What a client needs to know besides the addresses of the nodes; every value has a default.
public struct RedlockConfiguration: Sendable {
    /// How long each reply of a node may take; 100 ms by default.
    ///
    /// Raising it tolerates slower nodes and networks, and makes every operation that meets a dead node that much
    /// slower. No TTL may be shorter than ten times this.
    public var nodeTimeout: Duration = .milliseconds(100)

    /// How long an attempt to connect may take, from the name to the end of the handshake; 1 s by default.
    public var connectTimeout: Duration = .seconds(1)

    /// The longest TTL that may be asked for; 30 s by default.
    ///
    /// Raising it lets a lock outlive its crashed holder for longer. All clients of a set of nodes should agree on it.
    public var maximumTTL: Duration = .seconds(30)

    /// How long a call that waits puts up with too few nodes; 5 s by default.
    ///
    /// It fails at once where waiting does not help: if too many nodes refuse the client's password, rights or TLS; and,
    /// for a client that never had a quorum, if too many refuse the connection, have names that cannot be resolved, or
    /// have no vote until somebody changes something. Then it is the configuration rather than an outage.
    public var outageTolerance: Duration = .seconds(5)

    /// How long tasks of this client may hand one lock over to each other before it is released, so that other processes
    /// get their turn; 200 ms by default, and not at all if zero.
    ///
    /// A lock that is handed over is not asked for: that takes no round trip. It happens between tasks that wait for the
    /// same name with the same TTL, label and note; and where there are fencing tokens, 15 times in a row, or up to 255 times
    /// if no other client waited when the lock was last released.
    public var handOverTime: Duration = .milliseconds(200)

    /// Q: how many nodes must agree; a majority if nil, and never less.
    ///
    /// A higher quorum survives nodes that forget what they granted, unseen: 2Q - N - 1 of them. It tolerates fewer nodes
    /// that fail: N - Q. Clients of one set of nodes may differ in it.
    public var quorum: Int?

    /// How far clocks may run apart.
    public var drift: DriftProfile = .standard

    /// What the keys begin with; `redlock:` by default.
    ///
    /// Locks under different prefixes have nothing to do with each other.
    ///
    /// `CompatibleRedlockClient` has no prefix.
    public var keyPrefix: String = "redlock:"

    /// What stands in the owner token for people to read; host and process by default.
    public var label: String = Self.defaultLabel

    /// The default configuration.
    public init() {}

    static var defaultLabel: String {
        ClientIdentity.hostName.map { "\($0):\(getpid())" } ?? "process \(getpid())"
    }
}

extension RedlockConfiguration {
    /// Throws for values that contradict each other, before anything is connected.
    func validate(_ endpoints: [RedisEndpoint]) throws(RedlockError) {
        func require(_ condition: Bool, _ message: String) throws(RedlockError) {
            guard condition else { throw RedlockError(.invalidConfiguration, message) }
        }
        try require(!endpoints.isEmpty, "no Redis node is configured; name at least one, better three or five")
        try require(
            endpoints.count <= NodeSet.capacity,
            "\(endpoints.count) nodes are configured, more than the \(NodeSet.capacity) that are supported"
        )
        var seen: Set<RedisEndpoint.Address> = []
        for endpoint in endpoints {
            try require(
                seen.insert(endpoint.address).inserted,
                "the node \(endpoint) is listed twice; one server has one vote"
            )
        }
        var names: Set<String> = []
        for endpoint in endpoints {
            try require(names.insert(endpoint.nodeName).inserted, "two nodes have the name \(endpoint.nodeName)")
        }
        try require(nodeTimeout >= .milliseconds(1), "the node timeout must be at least 1 ms")
        try require(nodeTimeout <= .seconds(60), "the node timeout must be at most 60 s")
        try require(connectTimeout >= .milliseconds(1), "the connect timeout must be at least 1 ms")
        try require(connectTimeout <= .seconds(600), "the connect timeout must be at most 600 s")
        try require(handOverTime >= .zero, "the hand-over time must not be negative")
        try require(outageTolerance >= .zero, "the outage tolerance must not be negative")
        try require(
            maximumTTL >= nodeTimeout * 10,
            "the maximum TTL (\(maximumTTL)) must be at least ten times the node timeout (\(nodeTimeout))"
        )
        try require(maximumTTL <= .seconds(86400 * 365), "the maximum TTL must be at most a year")
        if let quorum {
            let majority = endpoints.count / 2 + 1
            try require(
                (majority...endpoints.count).contains(quorum),
                "a quorum of \(quorum) makes no sense for \(endpoints.count) nodes; it must be \(majority) to "
                    + "\(endpoints.count)"
            )
        }
        try require((0...0.4).contains(drift.rate), "the drift rate must lie between 0 and 0.4")
        try require(
            drift.constant >= .milliseconds(2),
            "the constant drift must be at least 2 ms: that is the precision of expiry in Redis"
        )
        try require(keyPrefix.utf8.count <= 128, "the key prefix is longer than 128 bytes")
        try require(!keyPrefix.containsControlCharacters, "the key prefix has control characters")
        try Self.validate(label: label, .invalidConfiguration)
    }

    func quorum(nodeCount: Int) -> Quorum {
        quorum.map { Quorum(nodeCount: nodeCount, votesNeeded: $0) } ?? Quorum(majorityOf: nodeCount)
    }

    /// What is allowed but is probably not what was meant.
    static func warnings(nodeCount: Int) -> [String] {
        guard nodeCount % 2 == 0 else { return [] }
        return [
            "\(nodeCount) nodes tolerate no more failures than \(nodeCount - 1) do; an odd number is better"
        ]
    }

    static func validate(label: String, _ code: RedlockError.Code) throws(RedlockError) {
        guard label.utf8.count <= 128 else {
            throw RedlockError(code, "the label is \(label.utf8.count) bytes long, and at most 128 are allowed")
        }
        guard !label.containsControlCharacters else { throw RedlockError(code, "the label has control characters") }
    }
}

extension RedisEndpoint {
    /// What the node is called among its set: its name, or else its address and, if it is not the first, its database.
    var nodeName: String { name ?? description + (database == 0 ? "" : "/\(database)") }
}

extension Duration {
    /// The duration in nanoseconds, at the ends of what 64 bits hold if it lies beyond.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Logging
import NIOCore
import RedisTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The real surroundings: one event loop that all connections of a client live on.
final class NIOSurroundings: Surroundings {
    private let eventLoop: any EventLoop
    /// One moment as callers know it, and as the clock shows it that is read for every lease.
    private let origin = ContinuousClock.now
    private let originNanoseconds = NIOSurroundings.continuousNanoseconds()
    private let linkConfiguration: NodeLink.Configuration
    private let endpoints: [RedisEndpoint]
    private let logger: Logger
    @exclusivity(unchecked) private var links: [NodeLink] = []
    private var subscriptions: [SubscriptionLink] = []
    /// The engine, which these surroundings belong to; not weak, as that makes every use of the engine slower.
    private unowned var listener: (any SubscriptionLinkDelegate)?
    @exclusivity(unchecked) private var encoder = CommandEncoder()
    @exclusivity(unchecked) private var randomNumbers = RandomNumbers()

    /// Checks what can be checked without a connection.
    init(
        endpoints: [RedisEndpoint],
        profile: LockProfile,
        configuration: RedlockConfiguration,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.endpoints = endpoints
        self.eventLoop = eventLoop
        self.logger = logger
        linkConfiguration = NodeLink.Configuration(
            connectTimeout: .nanoseconds(configuration.connectTimeout.nanoseconds),
            replyTimeout: .nanoseconds(configuration.nodeTimeout.nanoseconds),
            connectionName: "redlock",
            handshakeCommands: profile.handshakeCommands
        )
    }

    /// Makes the links, which reads the files of the TLS settings; done before the client is given out.
    func makeLinks(delegate: any NodeLinkDelegate & SubscriptionLinkDelegate) throws(RedlockError) {
        listener = delegate
        for (node, endpoint) in endpoints.enumerated() {
            do throws(NodeFailure) {
                links.append(
                    try NodeLink(
                        node: node,
                        endpoint: endpoint,
                        configuration: linkConfiguration,
                        eventLoop: eventLoop,
                        delegate: delegate,
                        logger: logger
                    )
                )
            } catch {
                throw RedlockError(.invalidConfiguration, "the node \(endpoint) cannot be used: \(error)")
            }
        }
    }

    // MARK: Time and chance

    /// The clock of the origin and of every lease: it runs on while the machine sleeps.
    var now: Instant {
        Instant(nanoseconds: Self.continuousNanoseconds() - originNanoseconds)
    }

    /// The clock that `ContinuousClock` shows, without the 128 bits of its instants, which take longer than reading it.
    private static func continuousNanoseconds() -> Int64 {
        var time = timespec()
        #if canImport(Darwin)
            clock_gettime(CLOCK_MONOTONIC_RAW, &time)
        #else
            clock_gettime(CLOCK_BOOTTIME, &time)
        #endif
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    func clockInstant(of instant: Instant) -> ContinuousClock.Instant {
        origin.advanced(by: .nanoseconds(instant.nanoseconds))
    }

    var wallMicroseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    var identity: ClientIdentity? { ClientIdentity.ofThisProcess }

    func randomBits() -> UInt64 {
        randomNumbers.next(at: now)
    }

    func runOnLoop(_ work: @escaping @Sendable () -> Void) {
        eventLoop.execute(work)
    }

    func schedule(at instant: Instant, _ work: @escaping () -> Void) -> any LoopTimer {
        let delay = max(0, now.nanoseconds(until: instant))
        return NIOTimer(task: eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay), work))
    }

    private final class NIOTimer: LoopTimer {
        private let task: Scheduled<Void>

        init(task: Scheduled<Void>) {
            self.task = task
        }

        func cancel() { task.cancel() }
    }

    // MARK: Nodes

    func connect() {
        for link in links { link.start() }
    }

    func disconnect() {
        for link in links { link.close() }
        stopListening()
    }

    func listen(on channel: String) {
        guard let listener else { return }
        let configuration = SubscriptionLink.Configuration(
            channels: [channel],
            connectTimeout: linkConfiguration.connectTimeout,
            replyTimeout: linkConfiguration.replyTimeout,
            connectionName: linkConfiguration.connectionName
        )
        for (node, endpoint) in endpoints.enumerated() {
            do throws(NodeFailure) {
                subscriptions.append(
                    try SubscriptionLink(
                        node: node,
                        endpoint: endpoint,
                        configuration: configuration,
                        eventLoop: eventLoop,
                        delegate: listener,
                        logger: logger
                    )
                )
            } catch {
                // The files of the TLS settings have changed since the client was made.
                listener.subscriptionLost(node, failure: error)
            }
        }
        for subscription in subscriptions { subscription.start() }
    }

    func stopListening() {
        for subscription in subscriptions { subscription.close() }
        subscriptions = []
    }

    func abandonConnection(to node: Int, _ failure: NodeFailure) {
        links[node].abandonConnection(failure)
    }

    func usable(of nodes: NodeSet) -> NodeSet {
        var usable = nodes
        for node in nodes where !links[node].isUsable { usable.remove(node) }
        return usable
    }

    func failure(of node: Int) -> NodeFailure? {
        links[node].failure
    }

    /// Encodes once, whatever the number of nodes; where a command names the record of its node, only the id differs.
    func append(
        _ command: NodeCommand,
        form: ScriptForm,
        recordIDs: [RecordID],
        to nodes: NodeSet,
        receivers: [NodeReplies]
    ) throws {
        command.encode(into: &encoder, wholeScript: form != .digest)
        let endsWithRecordID = command.endsWithRecordID
        try encoder.withEncoded { bytes in
            for node in nodes {
                if endsWithRecordID { NodeCommand.write(recordIDs[node], intoEnd: bytes) }
                links[node].append(
                    UnsafeRawBufferPointer(bytes),
                    receiver: receivers[node],
                    inheritsDeadline: form == .wholeInstead
                )
            }
        }
    }

    func flush(_ nodes: NodeSet) {
        for node in nodes { links[node].flush() }
    }
}

// SPDX-License-Identifier: Apache-2.0

public import Logging
public import NIOCore
public import NIOPosix
public import RedisTransport

/// A client of N independent Redis servers that grant locks by quorum, with fencing tokens, and with votes only from
/// nodes that can be trusted.
///
/// A node that restarted without being provably durable, was emptied, evicts keys, is a replica, was enrolled for other
/// members, or whose clock jumped has no vote until whatever it may have forgotten has ended. A brand-new set of nodes
/// is enrolled by `enrolNewSet`, once; otherwise it serves that time too.
///
/// Its keys begin with ``RedlockConfiguration/keyPrefix``. For locks that exclude clients of other kinds, use
/// `CompatibleRedlockClient`.
public final class RedlockClient: LockClient {
    /// Every lease has a fencing token.
    public typealias Fencing = Fenced

    /// What the client is made of.
    public let core: LockClientCore

    /// A client around a core that is there already.
    package init(core: LockClientCore) {
        self.core = core
    }

    /// A client of the given servers; see `LockClient`.
    public init(
        endpoints: [RedisEndpoint],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger? = nil
    ) throws(RedlockError) {
        core = try LockClientCore(
            profile: .standard(prefix: configuration.keyPrefix),
            endpoints: endpoints,
            configuration: configuration,
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
    }
}

/// A client that speaks the published Redlock algorithm and nothing else, to share locks with clients of other kinds.
///
/// The key of a lock is exactly its name, so it excludes every other client that follows the algorithm. It has no
/// fencing tokens, and it trusts every node: one that restarts without its data, evicts keys or jumps its clock can lead
/// to two holders.
public final class CompatibleRedlockClient: LockClient {
    /// No lease has a fencing token.
    public typealias Fencing = Unfenced

    /// What the client is made of.
    public let core: LockClientCore

    /// A client around a core that is there already.
    package init(core: LockClientCore) {
        self.core = core
    }

    /// A client of the given servers; see `LockClient`.
    public init(
        endpoints: [RedisEndpoint],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger? = nil
    ) throws(RedlockError) {
        core = try LockClientCore(
            profile: .compatible,
            endpoints: endpoints,
            configuration: configuration,
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
    }
}

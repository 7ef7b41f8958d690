// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedisTransport

/// Everything that the engine needs from outside: a loop to run on, a clock, timers, chance, and nodes to talk to.
///
/// The engine has no other way to the world, so that it runs unchanged in a simulation.
protocol Surroundings: AnyObject {
    /// The continuous clock; may be read from anywhere.
    var now: Instant { get }

    /// The instant as callers know it; may be asked from anywhere.
    func clockInstant(of instant: Instant) -> ContinuousClock.Instant

    /// 64 bits that nobody can guess.
    func randomBits() -> UInt64

    /// Runs the work on the loop, soon; may be called from anywhere.
    func runOnLoop(_ work: @escaping @Sendable () -> Void)

    /// Runs the work on the loop at the instant or somewhat later, by a clock that may stand still while the machine
    /// sleeps. Whoever is called must look at `now`.
    func schedule(at instant: Instant, _ work: @escaping () -> Void) -> any LoopTimer

    /// Begins to connect; from then on, the engine is told which nodes can be used.
    func connect()

    /// Ends all connections.
    func disconnect()

    /// Why a node cannot be used now; nil when it can.
    func failure(of node: Int) -> NodeFailure?

    /// Sends a command to the nodes; what is sent in one tick of the loop leaves in one write per node.
    ///
    /// A script goes by its digest, or whole to a node that answered that it does not have it.
    func send(_ command: NodeCommand, wholeScript: Bool, to nodes: NodeSet, receiver: any ReplyReceiver)
}

/// A timer that can be cancelled.
protocol LoopTimer {
    func cancel()
}

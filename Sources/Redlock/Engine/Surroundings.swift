// SPDX-License-Identifier: Apache-2.0

package import LockCore
package import RedisTransport

/// Everything that the engine needs from outside: a loop to run on, a clock, timers, chance, and nodes to talk to.
///
/// The engine has no other way to the world, so that it runs unchanged in a simulation.
package protocol Surroundings: AnyObject {
    /// The continuous clock; may be read from anywhere.
    var now: Instant { get }

    /// The instant as callers know it; may be asked from anywhere.
    func clockInstant(of instant: Instant) -> ContinuousClock.Instant

    /// The wall clock, in microseconds since 1970, which may be wrong and may jump: only ends that lie beyond the process are
    /// reckoned by it, and people are told it.
    var wallMicroseconds: Int64 { get }

    /// Who the client is, for those who look at its locks; nil where its owner tokens are not to say.
    var identity: ClientIdentity? { get }

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

    /// Subscribes to a channel on every node, until told otherwise; the engine is told what comes and from where it can.
    func listen(on channel: String)

    /// Ends all subscriptions.
    func stopListening()

    /// Ends the connection to a node, in which something is wrong; another one is made.
    func abandonConnection(to node: Int, _ failure: NodeFailure)

    /// Those of the nodes that can be used now.
    func usable(of nodes: NodeSet) -> NodeSet

    /// Why a node cannot be used now; nil when it can.
    func failure(of node: Int) -> NodeFailure?

    /// Puts a command into the buffers of nodes, all of which can be used; each node has a receiver of its own.
    ///
    /// A command that names the record of its node names that node's.
    ///
    /// - Throws: if the command cannot be encoded; then nothing is in any buffer.
    func append(
        _ command: NodeCommand,
        form: ScriptForm,
        recordIDs: [RecordID],
        to nodes: NodeSet,
        receivers: [NodeReplies]
    ) throws

    /// Sends what is in the buffers of nodes, in one write for each.
    func flush(_ nodes: NodeSet)
}

/// How a script is sent.
package enum ScriptForm: Sendable {
    /// By its digest: short, and enough for a node that has it.
    case digest
    /// The whole text.
    case whole
    /// The whole text to a node that answered that it does not have the script; the reply is due when the one to the
    /// digest was.
    case wholeInstead
}

/// A timer that can be cancelled.
package protocol LoopTimer: AnyObject {
    func cancel()
}

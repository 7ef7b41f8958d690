// SPDX-License-Identifier: Apache-2.0

package import LockCore
package import RedisTransport
package import Redlock

/// The surroundings of a client in a simulated process.
package final class SimulatedSurroundings: Surroundings {
    private let process: SimulatedProcess
    private var links: [SimulatedLink] = []
    private var subscriptions: [SimulatedSubscription] = []
    private var listener: (any SubscriptionLinkDelegate)?
    private var linkConfiguration: SimulatedLink.Configuration?
    private let origin = ContinuousClock.now
    /// Who looks on when the client sends a command to a node.
    package var observer: ((_ node: Int, NodeCommand) -> Void)?
    /// In place of the randomness of the world, where owner tokens are to be guessed.
    package var randomness: (() -> UInt64)?
    private let processIdentity: ClientIdentity

    /// The surroundings of a client that is yet to be made.
    package init(process: SimulatedProcess) {
        self.process = process
        processIdentity = ClientIdentity(host: "simulated", process: Int32(process.number))
    }

    /// Gives the client its nodes, each with the way that leads there.
    package func link(
        to nodes: [(node: SimulatedNode, route: SimulatedRoute)],
        profile: LockProfile,
        configuration: RedlockConfiguration,
        delegate: any NodeLinkDelegate & SubscriptionLinkDelegate
    ) {
        listener = delegate
        let link = SimulatedLink.Configuration(
            connectTimeoutNanoseconds: Int64(configuration.connectTimeout / .nanoseconds(1)),
            replyTimeoutNanoseconds: Int64(configuration.nodeTimeout / .nanoseconds(1)),
            handshake: profile.handshakeCommands.map { SimulatedCommand(.plain($0)) }
        )
        linkConfiguration = link
        links = nodes.enumerated().map { place, way in
            SimulatedLink(
                place: place,
                node: way.node,
                route: way.route,
                process: process,
                configuration: link,
                delegate: delegate
            )
        }
    }

    package var now: Instant { process.now }

    package func clockInstant(of instant: Instant) -> ContinuousClock.Instant {
        origin.advanced(by: .nanoseconds(instant.nanoseconds))
    }

    package var wallMicroseconds: Int64 { process.wallClock.read(at: process.world.now) / 1_000 }

    /// Whoever guesses owner tokens guesses all of them: the host, the process and the time are no secrets.
    package var identity: ClientIdentity? { randomness == nil ? processIdentity : nil }

    package func randomBits() -> UInt64 {
        randomness?() ?? process.world.random.next()
    }

    package func runOnLoop(_ work: @escaping @Sendable () -> Void) {
        process.runOnLoop(work)
    }

    package func schedule(at instant: Instant, _ work: @escaping () -> Void) -> any LoopTimer {
        process.schedule(afterNanoseconds: now.nanoseconds(until: instant), work)
    }

    package func connect() {
        for link in links { link.start() }
    }

    package func disconnect() {
        for link in links { link.close() }
        stopListening()
        listener = nil
    }

    package func listen(on channel: String) {
        guard let listener, let linkConfiguration else { return }
        subscriptions = links.map { link in
            SimulatedSubscription(
                to: channel,
                place: link.place,
                node: link.node,
                route: link.route,
                process: process,
                configuration: linkConfiguration,
                delegate: listener
            )
        }
        for subscription in subscriptions { subscription.start() }
    }

    package func stopListening() {
        for subscription in subscriptions { subscription.close() }
        subscriptions = []
    }

    /// Has the connections to a node break.
    package func breakOff(_ node: Int) {
        links[node].breakOff()
        if subscriptions.indices.contains(node) { subscriptions[node].breakOff() }
    }

    package func abandonConnection(to node: Int, _ failure: NodeFailure) {
        links[node].abandonConnection(failure)
    }

    func cutOff() {
        for link in links { link.cutOff() }
        for subscription in subscriptions { subscription.cutOff() }
        listener = nil
    }

    package func usable(of nodes: NodeSet) -> NodeSet {
        var usable = nodes
        for node in nodes where links[node].failure != nil { usable.remove(node) }
        return usable
    }

    package func failure(of node: Int) -> NodeFailure? {
        links[node].failure
    }

    package func append(
        _ command: NodeCommand,
        form: ScriptForm,
        recordIDs: [RecordID],
        to nodes: NodeSet,
        receivers: [NodeReplies]
    ) {
        var simulated = SimulatedCommand(command, isWhole: form != .digest)
        for node in nodes {
            observer?(node, command)
            if command.endsWithRecordID {
                simulated = SimulatedCommand(command, isWhole: form != .digest, recordID: recordIDs[node])
            }
            links[node].append(simulated, receiver: receivers[node], inheritsDeadline: form == .wholeInstead)
        }
    }

    package func flush(_ nodes: NodeSet) {
        for node in nodes { links[node].flush() }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Logging
import RedisTransport
import Synchronization

/// The heart of a client: drives the rounds of the protocol over the nodes.
///
/// `@unchecked Sendable`: everything but the inbox is touched on the loop of the surroundings only, and the inbox is
/// guarded by a mutex. Callers hand work in through `submit`; one wake-up of the loop serves all that is handed in
/// until it comes round.
final class LockEngine: @unchecked Sendable, NodeLinkDelegate {
    typealias Work = @Sendable (LockEngine) -> Void

    private struct Inbox {
        var work: [Work] = []
        var isLoopWoken = false
    }

    let quorum: Quorum
    let configuration: RedlockConfiguration
    let nodeNames: [String]
    let surroundings: any Surroundings
    let logger: Logger
    let metrics: LockMetrics

    private let inbox = Mutex(Inbox())
    private var workAtHand: [Work] = []

    /// The nodes that can be asked now.
    private(set) var usableNodes: NodeSet = []
    /// The nodes whose first attempt to connect is still under way.
    private(set) var untriedNodes: NodeSet
    /// Whether there ever were enough nodes for a quorum.
    private(set) var hadQuorum = false
    /// Acquisitions that wait for the first connections.
    var parkedAcquisitions: [AcquireOperation] = []
    /// Attempts that are to ask nodes which are not connected yet; emptied when every node was tried.
    var deferredAttempts: [ObjectIdentifier: AcquireAttempt] = [:]
    /// Acquisitions that are under way, to be ended by a shutdown.
    var acquisitions: [ObjectIdentifier: AcquireOperation] = [:]
    var isShuttingDown = false
    /// The leases that a body runs under, and those whose release waits for its quorum.
    var bodyCount = 0
    var releaseCount = 0
    var idleWaiters: [IdleWaiter] = []
    private var connectionWaiters: [ConnectionWaiter] = []
    private(set) lazy var keeper = LeaseKeeper(engine: self)
    private(set) lazy var ledger = ReleaseLedger(engine: self)

    init(
        quorum: Quorum,
        configuration: RedlockConfiguration,
        nodeNames: [String],
        surroundings: any Surroundings,
        logger: Logger
    ) {
        self.quorum = quorum
        self.configuration = configuration
        self.nodeNames = nodeNames
        self.surroundings = surroundings
        self.logger = logger
        self.metrics = LockMetrics()
        self.untriedNodes = NodeSet(firstNodes: quorum.nodeCount)
    }

    // MARK: The way in

    /// Runs the work on the loop, in the order in which it is submitted; may be called from anywhere.
    func submit(_ work: @escaping Work) {
        let mustWake = inbox.withLock { inbox in
            inbox.work.append(work)
            let mustWake = !inbox.isLoopWoken
            inbox.isLoopWoken = true
            return mustWake
        }
        if mustWake { surroundings.runOnLoop { self.takeInbox() } }
    }

    private func takeInbox() {
        inbox.withLock { inbox in
            swap(&inbox.work, &workAtHand)
            inbox.isLoopWoken = false
        }
        for work in workAtHand { work(self) }
        workAtHand.removeAll(keepingCapacity: true)
    }

    // MARK: Nodes

    var allNodes: NodeSet { NodeSet(firstNodes: quorum.nodeCount) }

    /// Sends a command to nodes; a node that lacks the script is sent the whole of it when it says so.
    func send(_ command: NodeCommand, to nodes: NodeSet, receiver: any ReplyReceiver, wholeScript: Bool = false) {
        surroundings.send(command, wholeScript: wholeScript, to: nodes, receiver: receiver)
    }

    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {
        untriedNodes.remove(node)
        usableNodes.insert(node)
        if usableNodes.count >= quorum.votesNeeded { hadQuorum = true }
        logger.debug("node can be used", metadata: ["redis_node": "\(nodeNames[node])"])
        ledger.retry(at: node)
        for attempt in deferredAttempts.values { attempt.sendDeferred(to: node) }
        resumeThoseWhoWaitForNodes()
    }

    func linkWentDown(_ node: Int, failure: NodeFailure) {
        untriedNodes.remove(node)
        for attempt in deferredAttempts.values { attempt.cannotSendDeferred(to: node, failure) }
        let wasUsable = usableNodes.contains(node)
        usableNodes.remove(node)
        if wasUsable || failure.isPermanent {
            logger.warning(
                "node cannot be used",
                metadata: ["redis_node": "\(nodeNames[node])", "reason": "\(failure)"]
            )
        }
        resumeThoseWhoWaitForNodes()
    }

    func resumeThoseWhoWaitForNodes() {
        if untriedNodes.isEmpty { deferredAttempts = [:] }
        resumeParkedAcquisitions()
        let waiting = connectionWaiters
        connectionWaiters = []
        for waiter in waiting { continueWaiting(waiter) }
    }

    /// Calls back when every node was tried, or when a quorum can be used and the others had a node timeout to follow.
    func whenConnected(_ completion: @escaping () -> Void) {
        let waiter = ConnectionWaiter(completion: completion)
        let patience = surroundings.now.advanced(byNanoseconds: configuration.nodeTimeout.nanoseconds)
        waiter.timer = surroundings.schedule(at: patience) { [weak self] in
            waiter.isPatienceOver = true
            self?.resumeThoseWhoWaitForNodes()
        }
        continueWaiting(waiter)
    }

    private func continueWaiting(_ waiter: ConnectionWaiter) {
        let isQuorumEnough = waiter.isPatienceOver && usableNodes.count >= quorum.votesNeeded
        if untriedNodes.isEmpty || isQuorumEnough || isShuttingDown {
            waiter.timer?.cancel()
            waiter.completion()
        } else {
            connectionWaiters.append(waiter)
        }
    }

    /// Why a node was not asked: it cannot be, or its vote came too late to count for anything.
    func problem(ofNodeNotAsked node: Int) -> String {
        if usableNodes.contains(node) { return "its vote came too late" }
        return surroundings.failure(of: node)?.message ?? "not connected"
    }

    /// Why each node that cannot be asked cannot be asked.
    func problemsOfUnusableNodes() -> [Int: String] {
        var problems: [Int: String] = [:]
        for node in allNodes.subtracting(usableNodes) { problems[node] = problem(ofNodeNotAsked: node) }
        return problems
    }

    /// Every node with its problem, or with what is said of those without one.
    func report(_ problems: [Int: String], otherwise outcome: String = "no answer") -> [RedlockError.NodeReport] {
        nodeNames.indices.map { node in
            RedlockError.NodeReport(node: nodeNames[node], outcome: (problems[node] ?? outcome).printable())
        }
    }
}

/// Somebody who waits for the first connections.
private final class ConnectionWaiter {
    let completion: () -> Void
    var timer: (any LoopTimer)?
    var isPatienceOver = false

    init(completion: @escaping () -> Void) {
        self.completion = completion
    }
}

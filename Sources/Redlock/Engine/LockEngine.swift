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

    let profile: LockProfile
    let quorum: Quorum
    let configuration: RedlockConfiguration
    let nodeNames: [String]
    let surroundings: any Surroundings
    let logger: Logger
    let metrics: LockMetrics
    let events = EventHub()
    /// What others know this client by.
    let identifier: ClientIdentifier
    /// Asked for by every acquisition, and longer to work out than to keep.
    let nodeTimeoutNanoseconds: Int64
    let recordKey: String

    private let inbox = Mutex(Inbox())
    @exclusivity(unchecked) private var workAtHand: [Work] = []

    /// The nodes that can be asked now, whether their vote counts or not.
    @exclusivity(unchecked) private(set) var connectedNodes: NodeSet = []
    /// The nodes that were not heard for the first time yet.
    private(set) var untriedNodes: NodeSet
    /// Whether there ever were enough votes for a quorum.
    private(set) var hadQuorum = false
    @exclusivity(unchecked) private var nodesToFlush: NodeSet = []
    /// The lines of those who wait, by what they want; also where this client has the lock alone.
    @exclusivity(unchecked) var lines: [Claim: WaitingLine] = [:]
    /// Until when those whom a release of this client woke have time to take the lock.
    var turnsOfOthers: [Claim: Instant] = [:]
    /// How many stand in lines that do not wait: they take what the attempt under way brings.
    var impatientCount = 0
    /// Lines that wait for the first connections.
    var parkedLines: [WaitingLine] = []
    /// Attempts that are to ask nodes which are not connected yet; emptied when every node was tried.
    @exclusivity(unchecked) var deferredAttempts = Arrivals<AcquireAttempt>()
    /// Acquisitions that are under way, to be ended by a shutdown.
    @exclusivity(unchecked) var acquisitions = Arrivals<AcquireOperation>()
    @exclusivity(unchecked) var isShuttingDown = false
    /// The leases that a body runs under, and those whose release waits for its quorum.
    var bodyCount = 0
    @exclusivity(unchecked) var releaseCount = 0
    @exclusivity(unchecked) var idleWaiters: [IdleWaiter] = []
    private var connectionWaiters: [ConnectionWaiter] = []
    private(set) lazy var admission = NodeAdmission(engine: self)
    private(set) lazy var keeper = LeaseKeeper(engine: self)
    private(set) lazy var wakeUps = WakeUps(engine: self)
    private(set) lazy var ledger = ReleaseLedger(engine: self)

    init(
        profile: LockProfile,
        quorum: Quorum,
        configuration: RedlockConfiguration,
        nodeNames: [String],
        surroundings: any Surroundings,
        logger: Logger
    ) {
        self.profile = profile
        self.quorum = quorum
        self.configuration = configuration
        self.nodeNames = nodeNames
        self.surroundings = surroundings
        self.logger = logger
        self.metrics = LockMetrics()
        self.nodeTimeoutNanoseconds = configuration.nodeTimeout.nanoseconds
        self.recordKey = profile.isStandard ? profile.recordKey : ""
        self.identifier = ClientIdentifier(bits: surroundings.randomBits())
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

    /// Leaves work for the loop without waking it; the caller sees to that, or the next tick of the keeper does.
    func leave(_ work: @escaping Work) {
        inbox.withLock { $0.work.append(work) }
    }

    /// Has the loop do what was left for it.
    func wakeLoop() {
        let mustWake = inbox.withLock { inbox in
            guard !inbox.isLoopWoken, !inbox.work.isEmpty else { return false }
            inbox.isLoopWoken = true
            return true
        }
        if mustWake { surroundings.runOnLoop { self.takeInbox() } }
    }

    /// Does what was handed in.
    func takeInbox() {
        inbox.withLock { inbox in
            swap(&inbox.work, &workAtHand)
            inbox.isLoopWoken = false
        }
        for work in workAtHand { work(self) }
        workAtHand.removeAll(keepingCapacity: true)
    }

    // MARK: The way out

    /// Sends a command to nodes; a node that lacks the script is sent the whole of it when it says so, if the receiver
    /// is a `ScriptSender`.
    ///
    /// What is sent in one tick of the loop leaves in one write per node.
    func send(_ command: NodeCommand, to nodes: NodeSet, receiver: any ReplyReceiver, form: ScriptForm = .digest) {
        var usable = surroundings.usable(of: nodes)
        let replies = admission.replies
        for node in usable { replies[node].expect(replyTo: command, form, receiver: receiver) }
        if usable.isEmpty || append(command, form, to: usable) {
            flushSoon(usable)
        } else {
            for node in usable { replies[node].expectNoReply() }
            usable = []
        }
        // Told only now: who is told may send, which needs the encoder.
        for node in nodes.subtracting(usable) {
            let failure = surroundings.failure(of: node) ?? NodeFailure(.closed, "the command could not be encoded")
            receiver.failed(failure, at: node)
        }
    }

    /// Whether the command could be encoded: only a lack of memory stands against it.
    private func append(_ command: NodeCommand, _ form: ScriptForm, to nodes: NodeSet) -> Bool {
        do {
            try surroundings.append(
                command,
                form: form,
                recordIDs: admission.recordIDs,
                to: nodes,
                receivers: admission.replies
            )
            return true
        } catch {
            logger.error("a command could not be encoded", metadata: ["reason": "\(error)"])
            return false
        }
    }

    /// Reads the clocks of nodes, with whatever else is sent to them in this tick.
    func readClocks(of nodes: NodeSet) {
        flushSoon(nodes)
    }

    private func flushSoon(_ nodes: NodeSet) {
        guard !nodes.isEmpty else { return }
        // One flush for all that this tick of the loop sends: it runs when everything that is ready now has run.
        if nodesToFlush.isEmpty { surroundings.runOnLoop { self.flush() } }
        nodesToFlush = nodesToFlush.union(nodes)
    }

    /// Sends what is to be sent, before this tick of the loop ends.
    func flush() {
        guard !nodesToFlush.isEmpty else { return }
        let nodes = surroundings.usable(of: nodesToFlush)
        nodesToFlush = []
        if profile.isStandard {
            let now = surroundings.now
            for node in nodes { admission.replies[node].expectTime(sent: now) }
            if !append(.time, .digest, to: nodes) {
                for node in nodes { admission.replies[node].expectNoReply() }
            }
        }
        surroundings.flush(nodes)
    }

    // MARK: Nodes

    var allNodes: NodeSet { NodeSet(firstNodes: quorum.nodeCount) }

    /// The nodes whose votes count.
    var votingNodes: NodeSet { admission.admitted }

    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {
        if let failure = profile.failure(inHandshake: handshakeReplies) {
            return surroundings.abandonConnection(to: node, failure)
        }
        connectedNodes.insert(node)
        logger.debug("node connected", metadata: ["redis_node": "\(nodeNames[node])"])
        ledger.retry(at: node)
        if !profile.isStandard { untriedNodes.remove(node) }
        admission.connected(node, handshakeReplies: handshakeReplies)
    }

    func linkWentDown(_ node: Int, failure: NodeFailure) {
        untriedNodes.remove(node)
        for attempt in deferredAttempts.inOrder { attempt.cannotSendDeferred(to: node, failure.message) }
        let wasConnected = connectedNodes.contains(node)
        connectedNodes.remove(node)
        if wasConnected || failure.isPermanent {
            logger.warning(
                "node cannot be used",
                metadata: ["redis_node": "\(nodeNames[node])", "reason": "\(failure)"]
            )
        }
        admission.disconnected(node)
        resumeThoseWhoWaitForNodes()
    }

    /// A node was heard for the first time, whatever it said.
    func nodeWasTried(_ node: Int) {
        untriedNodes.remove(node)
    }

    /// Other nodes than before have a vote.
    func admissionChanged() {
        if votingNodes.count >= quorum.votesNeeded { hadQuorum = true }
        for attempt in deferredAttempts.inOrder {
            for node in votingNodes { attempt.sendDeferred(to: node) }
            for node in connectedNodes.subtracting(votingNodes).subtracting(untriedNodes) {
                attempt.cannotSendDeferred(to: node, problem(of: node))
            }
        }
        resumeThoseWhoWaitForNodes()
    }

    func resumeThoseWhoWaitForNodes() {
        if untriedNodes.isEmpty { deferredAttempts.removeAll() }
        resumeParkedLines()
        let waiting = connectionWaiters
        connectionWaiters = []
        for waiter in waiting { continueWaiting(waiter) }
    }

    /// Calls back when every node was tried, or when a quorum can be used and the others had a node timeout to follow.
    func whenConnected(_ completion: @escaping () -> Void) {
        wait(ConnectionWaiter(isQuorumNeeded: true, completion), for: configuration.nodeTimeout)
    }

    /// Calls back when every node was tried, or after a connect timeout.
    func whenAllWereTried(_ completion: @escaping () -> Void) {
        wait(ConnectionWaiter(isQuorumNeeded: false, completion), for: configuration.connectTimeout)
    }

    private func wait(_ waiter: ConnectionWaiter, for patience: Duration) {
        let end = surroundings.now.advanced(byNanoseconds: patience.nanoseconds)
        waiter.timer = surroundings.schedule(at: end) { [self] in
            waiter.isPatienceOver = true
            resumeThoseWhoWaitForNodes()
        }
        continueWaiting(waiter)
    }

    private func continueWaiting(_ waiter: ConnectionWaiter) {
        let isEnough = !waiter.isQuorumNeeded || connectedNodes.count >= quorum.votesNeeded
        if untriedNodes.isEmpty || waiter.isPatienceOver && isEnough || isShuttingDown {
            waiter.timer?.cancel()
            waiter.completion()
        } else {
            connectionWaiters.append(waiter)
        }
    }

    /// Why a node has no vote: it is not connected, not admitted, or its vote came too late to count for anything.
    func problem(of node: Int) -> String {
        if let failure = surroundings.failure(of: node) { return failure.message }
        return admission.problem(of: node) ?? "its vote came too late"
    }

    /// Why a reply is none of those that the command gives: what the server is, where no lock can be on it.
    ///
    /// - Parameter rights: see `RESPValue.problem(rights:)`.
    func problem(_ reply: RESPValue, of node: Int, rights: String? = nil) -> String {
        admission.kindWithoutLocks(of: node) == nil ? reply.problem(rights: rights) : problem(of: node)
    }

    /// The connected nodes on which a lock can be: a Sentinel has no keys, and a node of a cluster refuses most.
    var nodesWithLocks: NodeSet { NodeSet(connectedNodes.filter { admission.kindWithoutLocks(of: $0) == nil }) }

    /// Why each of the nodes outside a set was left out.
    func problems(ofNodesOutside nodes: NodeSet) -> [Int: String] {
        var problems: [Int: String] = [:]
        for node in allNodes.subtracting(nodes) { problems[node] = problem(of: node) }
        return problems
    }

    /// Every node with its problem, or with what is said of those without one.
    func report(_ problems: [Int: String], otherwise outcome: String = "no answer") -> [RedlockError.NodeReport] {
        nodeNames.indices.map { node in
            RedlockError.NodeReport(node: nodeNames[node], outcome: (problems[node] ?? outcome).printable(limit: 300))
        }
    }
}

/// Somebody who waits for the first connections.
private final class ConnectionWaiter {
    let completion: () -> Void
    /// Whether it goes on waiting, when its patience is over, until a quorum can be used.
    let isQuorumNeeded: Bool
    var timer: (any LoopTimer)?
    var isPatienceOver = false

    init(isQuorumNeeded: Bool, _ completion: @escaping () -> Void) {
        self.isQuorumNeeded = isQuorumNeeded
        self.completion = completion
    }
}

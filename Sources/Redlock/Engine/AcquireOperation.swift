// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// One call to acquire: as many attempts as it takes, until there is a lease, an error, or no more time.
///
/// `@unchecked Sendable`: made by the caller, touched on the loop only from then on.
final class AcquireOperation: @unchecked Sendable {
    let resource: String
    let terms: LeaseTerms
    let wait: WaitPolicy
    /// Whether an error about contention is to say who holds the lock.
    let namesHolder: Bool

    var completion: ((Result<HeldLease, any Error>) -> Void)?
    /// What cancels the body that is to run under the lease.
    var canceller: BodyCanceller?
    var isCancelled = false
    var begun = Instant(nanoseconds: 0)
    var deadline: Instant?
    var deadlineTimer: (any LoopTimer)?
    var retryTimer: (any LoopTimer)?
    var attempt: AcquireAttempt?
    var lastFailure: AcquireRound.Failure?
    var lastProblems: [Int: String] = [:]
    var unavailableSince: Instant?
    var backoff = Backoff(firstNanoseconds: 10_000_000, longestNanoseconds: 200_000_000)

    init(resource: String, terms: LeaseTerms, wait: WaitPolicy, namesHolder: Bool) {
        self.resource = resource
        self.terms = terms
        self.wait = wait
        self.namesHolder = namesHolder
    }

    var isFinished: Bool { completion == nil }
}

/// One attempt of an operation: one owner token on its way to every node that can be asked.
///
/// Lives until the last node answered or failed, long after the decision if need be, so that every vote that comes too
/// late is taken back.
final class AcquireAttempt: ReplyReceiver {
    let resource: String
    let ownerToken: OwnerToken
    /// The times asked for; those of the longest extension once the lease was extended.
    var timing: LeaseTiming
    private(set) var round: AcquireRound
    private(set) var problems: [Int: String]
    /// The operation that the decision goes to; nil once there is one, or nobody wants it any more.
    var operation: AcquireOperation?

    private let engine: LockEngine
    /// The nodes whose vote came too late: a release is on its way there, so they count for nothing any more.
    private(set) var takenBack: NodeSet = []
    /// The nodes that are being connected to for the first time; they are asked when they are there.
    private var deferred: NodeSet = []

    init(operation: AcquireOperation, ownerToken: OwnerToken, round: AcquireRound, engine: LockEngine) {
        self.resource = operation.resource
        self.ownerToken = ownerToken
        self.timing = operation.terms.timing
        self.round = round
        self.operation = operation
        self.engine = engine
        self.problems = [:]
    }

    /// Asks the nodes; those that are still being connected to are asked later, the others cannot be.
    func send(to nodes: NodeSet, later deferred: NodeSet) {
        self.deferred = deferred
        let absent = engine.allNodes.subtracting(nodes).subtracting(deferred)
        if !absent.isEmpty {
            problems = engine.problemsOfUnusableNodes()
            for node in absent { count(.refused, by: node) }
        }
        guard operation != nil else { return }
        send(to: nodes, ttlMilliseconds: timing.ttlMilliseconds)
    }

    /// Asks a node that was not connected when the attempt began, as if the command had been on its way all the time;
    /// otherwise a client that has just been made would hold its first lease on no more nodes than it must.
    ///
    /// The key is to live no longer there than elsewhere.
    func sendDeferred(to node: Int) {
        guard deferred.contains(node) else { return }
        deferred.remove(node)
        let elapsed = round.start.nanoseconds(until: engine.surroundings.now)
        let left = timing.ttlMilliseconds - elapsed / 1_000_000
        if left > 0 { send(to: [node], ttlMilliseconds: left) } else { count(.refused, by: node) }
    }

    /// Notes that a node that was to be asked later will not be there.
    func cannotSendDeferred(to node: Int, _ failure: NodeFailure) {
        guard deferred.contains(node) else { return }
        deferred.remove(node)
        problems[node] = failure.message
        count(.refused, by: node)
    }

    /// Decides without the nodes that are still not connected; they are asked all the same if there is a lease.
    func decideWithoutDeferred() {
        for node in deferred where operation != nil {
            cannotSendDeferred(to: node, NodeFailure(.connecting, "not connected yet"))
        }
    }

    private func send(to nodes: NodeSet, ttlMilliseconds: Int64) {
        let command = NodeCommand.setIfAbsent(key: resource, ownerToken: ownerToken, ttlMilliseconds: ttlMilliseconds)
        engine.send(command, to: nodes, receiver: self)
    }

    /// Ends the asking: what has not been sent is not sent any more.
    func stop() {
        operation = nil
        deferred = []
    }

    func received(_ reply: RESPValue, from node: Int) {
        switch reply {
        case .simpleString("OK"):
            count(.granted, by: node)
        case .null:
            count(.held, by: node)
        case .error(let text):
            // SET is one command: where it answers with an error, it has set nothing.
            problems[node] = text.withoutEchoedArguments
            count(.refused, by: node)
        default:
            problems[node] = reply.problem
            takeBack(node)
            count(.unknown, by: node)
        }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        problems[node] = failure.message
        takeBack(node)
        count(.unknown, by: node)
    }

    private func count(_ answer: AcquireRound.Answer, by node: Int) {
        guard let decision = round.answered(answer, by: node, at: engine.surroundings.now) else { return }
        guard let operation else { return }
        self.operation = nil
        engine.attemptEnded(self, of: operation, decision)
    }

    /// A vote that did not come in time is taken back at once, on the connection that it is late on: whatever that
    /// node still carries out, it carries out the release behind it.
    private func takeBack(_ node: Int) {
        takenBack.insert(node)
        engine.release(resource: resource, ownerToken: ownerToken, timing: timing, from: [node])
    }

    /// The nodes that need a release when the lease ends: all that hold the key or may hold it, but for those that
    /// were sent one already.
    var nodesToRelease: NodeSet { round.mayHoldKey.subtracting(takenBack).subtracting(deferred) }
}

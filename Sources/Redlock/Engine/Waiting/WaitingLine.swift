// SPDX-License-Identifier: Apache-2.0

import LockCore
import NIOCore
import RedisTransport

/// The tasks of one client that want the same, in the order in which they came.
///
/// Only for the first of them the nodes are asked, however many wait. There is a line as long as somebody waits, or this
/// client has the lock alone.
///
/// Touched on the loop only.
final class WaitingLine {
    /// How an attempt failed.
    struct Failure {
        let reason: AcquireRound.Failure
        /// What each node contributed; empty if the nodes were not asked.
        var problems: [Int: String] = [:]
        /// The nodes where a key of the name holds data of another type.
        var nodesWithForeignData: NodeSet = []
    }

    /// The place of this client in the queues of the nodes.
    struct Place {
        /// Whose queue it is.
        let name: ResourceName
        let queue: NodeCommand.WaitingQueue
        /// What the nodes know it by.
        let member: String
        /// The same on every node, so that all queues have one order; the time at which the place was wanted.
        let ticket: Int64
        /// The nodes that have said that they keep the place.
        var nodes: NodeSet = []
        /// Those that may keep it, whatever they said.
        var mayExist: NodeSet = []
        /// Those that gave it up to wake this client, since it last looked or tried.
        var wokenBy: NodeSet = []
    }

    /// What is done when a pause is over.
    enum Step {
        case attempt
        /// Ask whether the lock is free.
        case look
    }

    let claim: Claim

    /// The lease by which this client has the lock alone; until it ends, there is nothing to ask the nodes.
    @exclusivity(unchecked) var holder: HeldLease?

    /// The attempt that is under way for the first.
    @exclusivity(unchecked) var attempt: AcquireAttempt?

    /// Calls for the next step; when, and which.
    @exclusivity(unchecked) private(set) var retryTimer: (any LoopTimer)?
    private(set) var retryNumber = 0
    private(set) var retryDue = Instant(nanoseconds: .max)
    private(set) var nextStep = Step.attempt

    /// Whether the pause before the next step is there for others than this client.
    var isGivingWay = false

    /// The place of this client in the queues of the nodes, while it has one.
    var place: Place?

    /// The look that is under way.
    var look: PlaceExchange?

    /// When to look at the latest, as a message said that came since the last look or attempt.
    var hintedLook: Instant?

    /// How often in a row the lock was found to be free by looking, though nobody had said so.
    var missedWakeUps = 0

    /// The lease that this client is releasing, and does not know yet whom that wakes.
    var releasing: HeldLease?

    /// Whether the engine has forgotten it; whoever comes next waits in another.
    var isForgotten = false

    /// Whether the next attempt waits for the first connections.
    var isParked = false

    private var tokenCount = NodeCommand.tokensPerGrant

    var backoff = Backoff(firstNanoseconds: 10_000_000, longestNanoseconds: 200_000_000)

    /// When the key that stood in the way has expired, if nobody extends it.
    var holderExpiry: Instant?

    /// Whether a node said, when the nodes were last asked, that the key that stands in the way never expires.
    var isHeldForEver = false

    /// The name that somebody had when the nodes were last asked.
    var blocker: ResourceName?

    /// With which slot nodes are to begin when they look for a free one: they have granted different ones before.
    var firstSlot = 0

    /// How the last attempt failed, and when; nil if none did, or one succeeded since.
    private(set) var lastFailure: (failure: Failure, time: Instant)?

    /// Since when attempts have failed for want of a quorum.
    private(set) var unavailableSince: Instant?

    /// Those who left from the middle stay in it until they are in front, or too many.
    @exclusivity(unchecked) private var queue = CircularBuffer<AcquireOperation>(initialCapacity: 1)
    @exclusivity(unchecked) private var count = 0

    init(_ claim: Claim) {
        self.claim = claim
    }

    /// What is wanted, for people to read.
    var resource: String { claim.resource }

    // MARK: Those who wait

    /// Those who wait, in order.
    var waiting: some Sequence<AcquireOperation> { queue.lazy.filter { $0.line === self } }

    /// The same, for those who change the line while they go through it.
    var operations: [AcquireOperation] { Array(waiting) }

    var first: AcquireOperation? { queue.first }

    var isEmpty: Bool { count == 0 }

    /// Lets somebody stand behind all others.
    func append(_ operation: AcquireOperation) {
        operation.line = self
        queue.append(operation)
        count += 1
    }

    /// Lets somebody go, from wherever they stand.
    ///
    /// - Returns: whether it was the first.
    func remove(_ operation: AcquireOperation) -> Bool {
        let wasFirst = queue.first === operation
        operation.line = nil
        count -= 1
        while let first = queue.first, first.line !== self { queue.removeFirst() }
        if queue.count > 2 * count + 16 { queue.removeAll { $0.line !== self } }
        return wasFirst
    }

    // MARK: What happens next

    /// Whether somebody or something makes the next attempt happen.
    var isAttended: Bool {
        holder != nil || attempt != nil || retryTimer != nil || look != nil || isParked || releasing != nil
    }

    /// Whether so many nodes have woken this client that it is its turn: a quorum, or all that would wake it.
    func isWoken(votesNeeded: Int) -> Bool {
        guard let place, !place.wokenBy.isEmpty else { return false }
        return place.wokenBy.count >= min(votesNeeded, place.wokenBy.union(place.nodes).count)
    }

    /// Whether there is nothing to remember any more; an attempt is always somebody's, so there is none either.
    var isForgettable: Bool { isEmpty && holder == nil }

    func setRetryTimer(_ timer: any LoopTimer, number: Int, due: Instant, _ step: Step) {
        retryTimer = timer
        retryNumber = number
        retryDue = due
        nextStep = step
    }

    func stopRetryTimer() {
        retryTimer?.cancel()
        retryTimerEnded()
    }

    func retryTimerEnded() {
        retryTimer = nil
        isGivingWay = false
    }

    /// Why whoever waits here has not got the resource yet; nil if nobody knows.
    var failure: Failure? {
        holder == nil ? lastFailure?.failure : Failure(reason: .contended)
    }

    func failed(_ failure: Failure, at now: Instant) {
        lastFailure = (failure, now)
        if failure.reason == .contended {
            unavailableSince = nil
        } else if unavailableSince == nil {
            unavailableSince = now
        }
    }

    /// How many tokens the attempt takes that begins now; the next one takes as many as always again.
    func takeTokenCount() -> Int64 {
        defer { tokenCount = NodeCommand.tokensPerGrant }
        return tokenCount
    }

    /// Notes that all tokens of a block were needed, and that no other client waits: the next attempt takes more of them.
    ///
    /// No counter may grow by more than one in a microsecond, as one that was lost goes on from the time: every token of a
    /// block that is used up stands for a hand-over, which takes about that long and a round trip besides, and what comes
    /// after it is four times as long.
    func blockWasUsedUp(_ tokenCount: Int64) {
        guard case .exclusive = claim, !isEmpty else { return }
        self.tokenCount = min(4 * tokenCount, NodeCommand.mostTokensPerGrant)
    }

    /// A quorum granted, or there will be one for certain.
    func forgetOutage() {
        unavailableSince = nil
    }

    func succeeded() {
        lastFailure = nil
        unavailableSince = nil
        hintedLook = nil
        missedWakeUps = 0
        backoff.reset()
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import NIOCore
import RedisTransport

/// The tasks of one client that want one resource, in the order in which they came.
///
/// Only for the first of them the nodes are asked, however many wait: what they answer is true for all.
///
/// Touched on the loop only.
final class WaitingLine {
    let resource: String

    /// The lease by which this client holds the resource itself; until it ends, there is nothing to ask the nodes.
    var holder: HeldLease?

    /// The attempt that is under way for the first.
    var attempt: AcquireAttempt?

    /// Calls for the next attempt.
    var retryTimer: (any LoopTimer)?

    /// Whether the next attempt waits for the first connections.
    var isParked = false

    var backoff = Backoff(firstNanoseconds: 10_000_000, longestNanoseconds: 200_000_000)

    /// When the key that stood in the way has expired, if nobody extends it.
    var holderExpiry: Instant?

    /// Why the last attempt failed; nil if none did, or one succeeded since.
    var lastFailure: AcquireRound.Failure?
    var lastProblems: [Int: String] = [:]

    private var queue = CircularBuffer<AcquireOperation>()

    init(resource: String) {
        self.resource = resource
    }

    /// Those who wait, in order.
    var operations: [AcquireOperation] { Array(queue) }

    var first: AcquireOperation? { queue.first }

    var isEmpty: Bool { queue.isEmpty }

    /// Whether there is nothing to remember any more.
    var isForgettable: Bool { queue.isEmpty && holder == nil }

    /// Whether somebody or something makes the next attempt happen.
    var isAttended: Bool { holder != nil || attempt != nil || retryTimer != nil || isParked }

    /// Why whoever waits here has not got the resource yet; nil if nobody knows.
    var failure: (AcquireRound.Failure?, problems: [Int: String]) {
        holder == nil ? (lastFailure, lastProblems) : (.contended, [:])
    }

    func append(_ operation: AcquireOperation) {
        queue.append(operation)
    }

    /// Lets somebody go, from wherever they stand.
    ///
    /// - Returns: whether it was the first.
    func remove(_ operation: AcquireOperation) -> Bool {
        if queue.first === operation {
            queue.removeFirst()
            return true
        }
        queue.removeAll { $0 === operation }
        return false
    }

    func stopRetryTimer() {
        retryTimer?.cancel()
        retryTimer = nil
    }
}

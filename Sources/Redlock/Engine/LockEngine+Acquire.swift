// SPDX-License-Identifier: Apache-2.0

import LockCore

extension LockEngine {
    /// Begins an acquisition; its completion is called exactly once.
    func begin(_ operation: AcquireOperation) {
        guard !operation.isCancelled else { return fail(operation, CancellationError()) }
        guard !isShuttingDown else { return fail(operation, RedlockError.shutDown) }
        admission.votesAreWanted()
        operation.begun = surroundings.now
        operation.number = acquisitions.insert(operation)
        setDeadlineTimer(operation)
        join(operation)
    }

    /// Ends an acquisition that its caller does not want any more; whatever its attempt set is released.
    func cancel(_ operation: AcquireOperation) {
        operation.isCancelled = true
        // Not begun yet: `begin` sees the mark.
        guard operation.number != nil else { return }
        fail(operation, CancellationError())
    }

    private func setDeadlineTimer(_ operation: AcquireOperation) {
        guard case .atMost(let time) = operation.wait else { return }
        let wait = max(time.nanoseconds, nodeTimeoutNanoseconds)
        let deadline = operation.begun.advanced(byNanoseconds: wait)
        operation.deadlineTimer = surroundings.schedule(at: deadline) { [unowned self] in
            operation.deadlineTimer = nil
            giveUp(operation)
        }
    }

    // MARK: The end

    /// Ends with the error that the last attempt stands for; contention is told with the holder, if it can be learnt
    /// within moments.
    func giveUp(_ operation: AcquireOperation) {
        guard withdraw(operation) else { return }
        let line = operation.line
        leave(operation)
        if line?.failure?.reason == .contended {
            tellHolder(to: operation, blocker: line?.blocker, isHeldForEver: line?.isHeldForEver == true)
        } else {
            tellOutage(to: operation, line?.failure)
        }
    }

    /// Ends an acquisition that had no quorum, or too late.
    private func tellOutage(to operation: AcquireOperation, _ failure: WaitingLine.Failure?) {
        var problems = failure?.problems ?? [:]
        if problems.isEmpty { problems = self.problems(ofNodesOutside: votingNodes) }
        let resource = operation.claim.resource
        let message =
            failure?.reason == .tooSlow
            ? "the nodes granted \"\(resource)\" too slowly: less than half the TTL was left"
            : "no quorum for \"\(resource)\": \(quorum.votesNeeded) of \(quorum.nodeCount) nodes are needed"
        let error = RedlockError(
            .quorumUnavailable,
            resource: resource,
            message,
            nodes: report(problems, otherwise: votingNodes.isEmpty ? "no answer" : "usable")
        )
        guard let foreign = failure?.nodesWithForeignData, foreign.count > quorum.nodesThatMayFail else {
            return fail(operation, error)
        }
        // It may lie in place of the lock, or of another key of its name.
        let name = operation.claim.locks[0]
        read(name, within: lookupNanoseconds) { [unowned self] status in
            let isNotALock = status.notALockCount > quorum.nodesThatMayFail
            fail(operation, isNotALock ? RedlockError.notALock(name.text, status) : error)
        }
    }

    /// Ends an acquisition of what others hold.
    private func tellHolder(to operation: AcquireOperation, blocker: ResourceName?, isHeldForEver: Bool) {
        let waited = operation.begun.nanoseconds(until: surroundings.now) / 1_000_000
        // A lock has an end; what has none is something else.
        guard operation.namesHolder || isHeldForEver else {
            let error = RedlockError.timedOut(operation.claim.resource, waitedMilliseconds: waited, holder: nil)
            return fail(operation, error)
        }
        if case .slot(_, let name, let count) = operation.claim {
            return readSlots(of: name, count: count, within: lookupNanoseconds) { [unowned self] statuses in
                fail(operation, slotsRefused(name, count: count, statuses, waitedMilliseconds: waited))
            }
        }
        let blocker = blocker ?? operation.claim.names[0]
        read(blocker, within: lookupNanoseconds) { [unowned self] status in
            if status.notALockCount > quorum.nodesThatMayFail {
                return fail(operation, RedlockError.notALock(blocker.text, status))
            }
            // Holders of shares do not keep others from sharing; a waiter that wants the lock alone does.
            let sharer = operation.claim.isShared ? nil : status.sharers.first
            let error = RedlockError.timedOut(
                blocker.text,
                waitedMilliseconds: waited,
                holder: status.holder ?? sharer,
                isKeptForOther: operation.claim.isShared && status.holder == nil && !status.sharers.isEmpty
            )
            fail(operation, error)
        }
    }

    /// For how long the holder is looked up when an acquisition has come to nothing.
    var lookupNanoseconds: Int64 { min(nodeTimeoutNanoseconds, 40_000_000) }

    /// The error about slots of which none could be had: who has them, or what lies in their place.
    private func slotsRefused(
        _ name: ResourceName,
        count: Int,
        _ statuses: [LockStatus],
        waitedMilliseconds: Int64
    ) -> RedlockError {
        let holders = statuses.compactMap(\.holder)
        if holders.isEmpty, let status = statuses.first(where: { $0.notALockCount > quorum.nodesThatMayFail }) {
            return RedlockError.notALock(status.title, status)
        }
        return RedlockError.timedOut(name.text, slotCount: count, waitedMilliseconds: waitedMilliseconds, holders)
    }

    /// Ends an acquisition that came to nothing.
    func fail(_ operation: AcquireOperation, _ error: any Error) {
        guard withdraw(operation) else { return }
        // Without one, it was cancelled while the holder was being looked up: the answer has been given.
        guard let completion = operation.completion else { return }
        operation.completion = nil
        settle(operation)
        lockNotObtained(operation.claim.resource, error)
        completion.resume(throwing: error)
    }

    /// Forgets an acquisition that has its answer.
    func settle(_ operation: AcquireOperation) {
        leave(operation)
        acquisitions.remove(operation.number)
        operation.number = nil
    }
}

extension RedlockError {
    static let shutDown = RedlockError(.clientShutDown, "the client was shut down")

    static func notALock(_ resource: String, _ status: LockStatus) -> RedlockError {
        RedlockError(
            .notALock,
            resource: resource,
            "\"\(resource)\" cannot be locked: \(status.notALockCount) of \(status.nodes.count) nodes have something in "
                + "its place that is no lock; `redlock release --force` deletes it",
            nodes: status.reports
        )
    }

    static func timedOut(
        _ resource: String,
        waitedMilliseconds: Int64,
        holder: LockStatus.Holder?,
        isKeptForOther: Bool = false
    ) -> RedlockError {
        var message =
            isKeptForOther
            ? "\"\(resource)\" is shared by others, and kept for a client that waits to have it alone"
            : "\"\(resource)\" is held"
        if let holder {
            message += " by \(holder.label ?? "a client of another kind")"
            if let remaining = holder.remaining {
                message += ", for another \(remaining.nanoseconds / 1_000_000) ms unless it is renewed"
            }
        }
        message += "; gave up after \(waitedMilliseconds) ms"
        return RedlockError(.timedOut, resource: resource, message, holder: holder)
    }

    /// All slots are held; their holders, as far as could be learnt.
    static func timedOut(
        _ resource: String,
        slotCount: Int,
        waitedMilliseconds: Int64,
        _ holders: [LockStatus.Holder]
    ) -> RedlockError {
        let slots = slotCount == 1 ? "the one slot" : "all \(slotCount) slots"
        let state = "\(slots) of \"\(resource)\" \(slotCount == 1 ? "is" : "are") held\(names(of: holders))"
        return RedlockError(
            .timedOut,
            resource: resource,
            "\(state); gave up after \(waitedMilliseconds) ms",
            holder: holders.first,
            otherHolders: Array(holders.dropFirst())
        )
    }

    /// The holders of slots have agreed on another number of them.
    static func slotCountRefused(
        _ resource: String,
        wanted: Int,
        agreed: Int64,
        _ holders: [LockStatus.Holder]
    ) -> RedlockError {
        RedlockError(
            .slotCountRefused,
            resource: resource,
            "\"\(resource)\" has \(agreed) slots, as their holders have agreed, and \(wanted) were asked for; slots are "
                + "held\(names(of: holders)); the number can change when all are free",
            holder: holders.first,
            otherHolders: Array(holders.dropFirst())
        )
    }

    /// " by a, b, c, d and 3 more"; empty if none is known.
    private static func names(of holders: [LockStatus.Holder]) -> String {
        guard !holders.isEmpty else { return "" }
        let named = holders.prefix(4).map { $0.label ?? "a client of another kind" }
        let others = holders.count > named.count ? " and \(holders.count - named.count) more" : ""
        return " by \(named.joined(separator: ", "))\(others)"
    }
}

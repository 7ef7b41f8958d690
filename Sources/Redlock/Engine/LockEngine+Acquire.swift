// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedisTransport

extension LockEngine {
    /// Begins an acquisition; its completion is called exactly once.
    func begin(_ operation: AcquireOperation) {
        guard !operation.isCancelled else { return finish(operation, .failure(CancellationError())) }
        guard !isShuttingDown else { return finish(operation, .failure(RedlockError.shutDown)) }
        operation.begun = surroundings.now
        if case .atMost(let time) = operation.wait {
            let wait = max(time.nanoseconds, configuration.nodeTimeout.nanoseconds)
            operation.deadline = operation.begun.advanced(byNanoseconds: wait)
        }
        operation.number = acquisitions.insert(operation)
        setDeadlineTimer(operation)
        attempt(operation)
    }

    /// Ends an acquisition that its caller does not want any more; whatever its attempt set is released.
    func cancel(_ operation: AcquireOperation) {
        operation.isCancelled = true
        // Not begun yet: `begin` sees the mark.
        guard operation.number != nil else { return }
        finish(operation, .failure(CancellationError()))
    }

    // MARK: Attempts

    private func attempt(_ operation: AcquireOperation) {
        guard votingNodes.count >= quorum.votesNeeded else {
            // A client that ends at once must not leave before it enrolled whom it met.
            let mayBecomeQuorum = votingNodes.union(untriedNodes).count >= quorum.votesNeeded
            if mayBecomeQuorum || !admission.enrolling.isEmpty {
                park(operation)
            } else {
                // Why, is asked when somebody is told.
                attemptFailed(operation, .quorumUnavailable, [:])
            }
            return
        }
        operation.holderExpiry = nil
        // Read before anything is sent: the validity of the lease counts from here.
        let start = surroundings.now
        let attempt = AcquireAttempt(
            operation: operation,
            ownerToken: ownerToken(for: operation),
            round: AcquireRound(quorum: quorum, timing: operation.terms.timing, start: start),
            engine: self
        )
        operation.attempt = attempt
        if !untriedNodes.isEmpty { deferNodes(of: attempt) }
        attempt.send(to: votingNodes, later: untriedNodes)
    }

    private func ownerToken(for operation: AcquireOperation) -> OwnerToken {
        if isPlanted(.ownerTokenReused) {
            let number = UInt64(bitPattern: operation.begun.nanoseconds)
            return OwnerToken(highBits: number, lowBits: number, label: operation.terms.label)
        }
        return freshOwnerToken(label: operation.terms.label)
    }

    func freshOwnerToken(label: String) -> OwnerToken {
        OwnerToken(highBits: surroundings.randomBits(), lowBits: surroundings.randomBits(), label: label)
    }

    /// Has the attempt ask the nodes that are not connected yet, but wait for none of them longer than for a reply.
    private func deferNodes(of attempt: AcquireAttempt) {
        attempt.deferralNumber = deferredAttempts.insert(attempt)
        let patience = surroundings.now.advanced(byNanoseconds: configuration.nodeTimeout.nanoseconds)
        _ = surroundings.schedule(at: patience) { [weak attempt] in attempt?.decideWithoutDeferred() }
    }

    /// Waits for the connections that are still being made for the first time, and for nodes that are being enrolled;
    /// both end by their own deadline.
    private func park(_ operation: AcquireOperation) {
        parkedAcquisitions.append(operation)
    }

    func resumeParkedAcquisitions() {
        guard !parkedAcquisitions.isEmpty else { return }
        let parked = parkedAcquisitions
        parkedAcquisitions = []
        for operation in parked where !operation.isFinished { attempt(operation) }
    }

    func attemptEnded(_ attempt: AcquireAttempt, of operation: AcquireOperation, _ decision: AcquireRound.Decision) {
        operation.attempt = nil
        switch decision {
        case .granted(let validUntil, let token):
            let lease = HeldLease(
                attempt: attempt,
                terms: operation.terms,
                validUntil: validUntil,
                fencingToken: token.map(FencingToken.init(rawValue:)),
                canceller: operation.canceller,
                engine: self
            )
            keeper.add(lease)
            if lease.hasBody { bodyCount += 1 }
            lockGranted(lease, waitedNanoseconds: operation.begun.nanoseconds(until: surroundings.now))
            finish(operation, .success(lease))
        case .failed(let failure):
            release(attempt)
            attemptFailed(operation, failure, attempt.problems)
        }
    }

    private func attemptFailed(
        _ operation: AcquireOperation,
        _ failure: AcquireRound.Failure,
        _ problems: [Int: String]
    ) {
        operation.lastFailure = failure
        operation.lastProblems = problems
        if failure == .contended {
            lockContended(operation.resource)
            operation.unavailableSince = nil
        } else if operation.unavailableSince == nil {
            operation.unavailableSince = surroundings.now
        }
        if goesOnWaiting(operation) {
            retryLater(operation)
        } else {
            giveUp(operation)
        }
    }

    private func goesOnWaiting(_ operation: AcquireOperation) -> Bool {
        if operation.wait == .none { return false }
        guard let unavailableSince = operation.unavailableSince else { return true }
        // A quarantine ends by itself, and everybody knows when.
        let isWaitingForVotes = votingNodes.count < quorum.votesNeeded
        if isWaitingForVotes, votingNodes.union(admission.temporarilyRefused).count >= quorum.votesNeeded {
            operation.unavailableSince = nil
            return true
        }
        guard !isBeyondWaiting else { return false }
        return unavailableSince.nanoseconds(until: surroundings.now) < configuration.outageTolerance.nanoseconds
    }

    /// Whether so many nodes are out of reach for reasons that waiting does not mend that there is nothing to wait for.
    ///
    /// For a client that never had a quorum, nodes where nobody listens and nodes that have no vote are such: it is the
    /// configuration rather than an outage.
    private var isBeyondWaiting: Bool {
        let hopeless = allNodes.filter { node in
            guard let failure = surroundings.failure(of: node) else {
                return !hadQuorum && admission.nodes[node].standing.isFinal
            }
            return failure.isPermanent || !hadQuorum && failure.kind == .unreachable
        }
        return hopeless.count > quorum.nodesThatMayFail
    }

    private func retryLater(_ operation: AcquireOperation) {
        let delay = operation.backoff.nextNanoseconds(random: surroundings.randomBits())
        var next = surroundings.now.advanced(byNanoseconds: delay)
        // Nobody who holds it will say when a crashed holder's key has expired.
        if let expiry = operation.holderExpiry, expiry > surroundings.now { next = min(next, expiry) }
        if let deadline = operation.deadline, next >= deadline { return }
        operation.retryTimer = surroundings.schedule(at: next) { [unowned self] in
            operation.retryTimer = nil
            if !operation.isFinished { attempt(operation) }
        }
    }

    private func setDeadlineTimer(_ operation: AcquireOperation) {
        guard let deadline = operation.deadline, operation.deadlineTimer == nil else { return }
        operation.deadlineTimer = surroundings.schedule(at: deadline) { [unowned self] in
            operation.deadlineTimer = nil
            if !operation.isFinished { giveUp(operation) }
        }
    }

    /// Begins every attempt that is under way anew: its start was read from a clock that cannot be trusted.
    func restartAttempts() {
        for operation in acquisitions.inOrder {
            guard let attempt = operation.attempt else { continue }
            operation.attempt = nil
            release(attempt)
            retryLater(operation)
        }
    }

    // MARK: The end

    /// Ends with the error that the last attempt stands for; contention is told with the holder, if it can be learnt
    /// within moments.
    private func giveUp(_ operation: AcquireOperation) {
        abandonAttempt(operation)
        let waited = operation.begun.nanoseconds(until: surroundings.now) / 1_000_000
        let resource = operation.resource
        guard operation.lastFailure == .contended else {
            let problems =
                operation.lastProblems.isEmpty ? self.problems(ofNodesOutside: votingNodes) : operation.lastProblems
            let message =
                operation.lastFailure == .tooSlow
                ? "the nodes granted \"\(resource)\" too slowly: less than half the TTL was left"
                : "no quorum for \"\(resource)\": \(quorum.votesNeeded) of \(quorum.nodeCount) nodes are needed"
            let error = RedlockError(
                .quorumUnavailable,
                resource: resource,
                message,
                nodes: report(problems, otherwise: votingNodes.isEmpty ? "no answer" : "usable")
            )
            return finish(operation, .failure(error))
        }
        guard operation.namesHolder else {
            return finish(operation, .failure(RedlockError.timedOut(resource, waitedMilliseconds: waited, holder: nil)))
        }
        let lookupTime = min(configuration.nodeTimeout.nanoseconds, 40_000_000)
        read(resource, within: lookupTime) { [unowned self] status in
            let error = RedlockError.timedOut(resource, waitedMilliseconds: waited, holder: status.holder)
            finish(operation, .failure(error))
        }
    }

    private func abandonAttempt(_ operation: AcquireOperation) {
        operation.deadlineTimer?.cancel()
        operation.deadlineTimer = nil
        operation.retryTimer?.cancel()
        operation.retryTimer = nil
        guard let attempt = operation.attempt else { return }
        operation.attempt = nil
        if isPlanted(.givenUpCallNotReleased) { return attempt.stop() }
        release(attempt)
    }

    func finish(_ operation: AcquireOperation, _ result: Result<HeldLease, any Error>) {
        guard let completion = operation.completion else {
            // Cancelled while the holder was being looked up: the answer has been given.
            return
        }
        abandonAttempt(operation)
        operation.completion = nil
        acquisitions.remove(operation.number)
        operation.number = nil
        if case .failure(let error) = result { lockNotObtained(operation.resource, error) }
        completion(result)
    }
}

extension RedlockError {
    static let shutDown = RedlockError(.clientShutDown, "the client was shut down")

    static func timedOut(
        _ resource: String,
        waitedMilliseconds: Int64,
        holder: LockStatus.Holder?
    ) -> RedlockError {
        var message = "\"\(resource)\" is held"
        if let holder {
            message += " by \(holder.label ?? "a client of another kind")"
            if let remaining = holder.remaining {
                message += ", for another \(remaining.nanoseconds / 1_000_000) ms unless it is renewed"
            }
        }
        message += "; gave up after \(waitedMilliseconds) ms"
        return RedlockError(.timedOut, resource: resource, message, holder: holder)
    }
}

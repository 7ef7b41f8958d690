// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedisTransport

/// The lines of those who wait, one for each resource, and the attempts that are made for them.
extension LockEngine {
    // MARK: Coming and going

    /// Lets an operation wait for its resource behind those who came before.
    func join(_ operation: AcquireOperation) {
        let line = lines[operation.resource] ?? WaitingLine(resource: operation.resource)
        lines[operation.resource] = line
        operation.line = line
        line.append(operation)
        // Whoever does not wait takes what the attempt under way brings, or what is known already.
        if operation.wait == .none, line.isAttended, line.attempt == nil, !line.isParked { return giveUp(operation) }
        attend(to: line)
    }

    /// Takes an operation out of its line, which goes on without it.
    func leave(_ operation: AcquireOperation) {
        operation.deadlineTimer?.cancel()
        operation.deadlineTimer = nil
        guard let line = operation.line else { return }
        operation.line = nil
        let wasFirst = line.remove(operation)
        if wasFirst { passOn(line, from: operation) }
        attendUnlessForgotten(line)
    }

    /// Gives the attempt that is under way to the next in the line, if both asked for the same; or takes it back.
    private func passOn(_ line: WaitingLine, from operation: AcquireOperation) {
        guard let attempt = line.attempt else { return }
        if let next = line.first, next.terms.areAlike(operation.terms) { return }
        line.attempt = nil
        if isPlanted(.givenUpCallNotReleased) { return attempt.stop() }
        release(attempt)
    }

    /// Makes sure that there is an attempt for those who wait, or something that leads to one.
    func attend(to line: WaitingLine) {
        if line.isEmpty { line.stopRetryTimer() }
        if line.isForgettable {
            if lines[line.resource] === line { lines[line.resource] = nil }
        } else if let first = line.first, !line.isAttended {
            attempt(first, in: line)
        }
    }

    /// This client does not hold the resource of a line any more.
    func vacate(_ lease: HeldLease) {
        guard let line = lease.line, line.holder === lease else { return }
        line.holder = nil
        attendUnlessForgotten(line)
    }

    private func attendUnlessForgotten(_ line: WaitingLine) {
        if isPlanted(.lineForgotten), !line.isEmpty { return }
        attend(to: line)
    }

    /// Somebody released a lock by its owner token; if it was this client's, those who wait for it try again.
    func vacate(_ resource: String, ownerToken: OwnerToken) {
        guard let holder = lines[resource]?.holder, holder.ownerToken == ownerToken else { return }
        vacate(holder)
    }

    /// Lets others than this client try before the next attempt for a line.
    func giveWay(_ line: WaitingLine) {
        line.lastFailure = .contended
        line.backoff.reset()
        line.holderExpiry = nil
        retryLater(line)
    }

    // MARK: Attempts

    private func attempt(_ operation: AcquireOperation, in line: WaitingLine) {
        guard votingNodes.count >= quorum.votesNeeded else {
            // A client that ends at once must not leave before it enrolled whom it met.
            let mayBecomeQuorum = votingNodes.union(untriedNodes).count >= quorum.votesNeeded
            if mayBecomeQuorum || !admission.enrolling.isEmpty {
                park(line)
            } else {
                // Why, is asked when somebody is told.
                attemptFailed(line, .quorumUnavailable, [:])
            }
            return
        }
        line.holderExpiry = nil
        // Read before anything is sent: the validity of the lease counts from here.
        let start = surroundings.now
        let attempt = AcquireAttempt(
            for: line,
            operation.terms,
            ownerToken: ownerToken(for: operation),
            round: AcquireRound(quorum: quorum, timing: operation.terms.timing, start: start),
            engine: self
        )
        line.attempt = attempt
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
    private func park(_ line: WaitingLine) {
        line.isParked = true
        parkedLines.append(line)
    }

    func resumeParkedLines() {
        guard !parkedLines.isEmpty else { return }
        let parked = parkedLines
        parkedLines = []
        for line in parked {
            line.isParked = false
            attend(to: line)
        }
    }

    func attemptEnded(_ attempt: AcquireAttempt, in line: WaitingLine, _ decision: AcquireRound.Decision) {
        line.attempt = nil
        switch decision {
        case .granted(let validUntil, let token):
            guard let operation = line.first else { return release(attempt) }
            let lease = HeldLease(
                attempt: attempt,
                terms: operation.terms,
                validUntil: validUntil,
                fencingToken: token.map(FencingToken.init(rawValue:)),
                canceller: operation.canceller,
                engine: self
            )
            line.lastFailure = nil
            line.backoff.reset()
            grant(lease, to: operation, in: line)
            refuseThoseWhoDoNotWait(in: line)
        case .failed(let failure):
            release(attempt)
            attemptFailed(line, failure, attempt.problems)
        }
    }

    /// Gives a lease to the first in a line.
    func grant(_ lease: HeldLease, to operation: AcquireOperation, in line: WaitingLine) {
        lease.line = line
        line.holder = lease
        for other in line.operations { other.unavailableSince = nil }
        keeper.add(lease)
        if lease.hasBody { bodyCount += 1 }
        lockGranted(lease, waitedNanoseconds: operation.begun.nanoseconds(until: surroundings.now))
        finish(operation, .success(lease))
    }

    private func refuseThoseWhoDoNotWait(in line: WaitingLine) {
        for operation in line.operations where operation.wait == .none { giveUp(operation) }
    }

    private func attemptFailed(
        _ line: WaitingLine,
        _ failure: AcquireRound.Failure,
        _ problems: [Int: String]
    ) {
        line.lastFailure = failure
        line.lastProblems = problems
        if failure == .contended { lockContended(line.resource) }
        // Before anybody leaves, so that no attempt begins at once.
        retryLater(line)
        for operation in line.operations {
            if failure == .contended {
                operation.unavailableSince = nil
            } else if operation.unavailableSince == nil {
                operation.unavailableSince = surroundings.now
            }
            if !goesOnWaiting(operation) { giveUp(operation) }
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

    /// Makes the next attempt for a line after a while.
    func retryLater(_ line: WaitingLine) {
        guard line.retryTimer == nil else { return }
        let delay = line.backoff.nextNanoseconds(random: surroundings.randomBits())
        var next = surroundings.now.advanced(byNanoseconds: delay)
        // Nobody who holds it will say when a crashed holder's key has expired.
        if let expiry = line.holderExpiry, expiry > surroundings.now { next = min(next, expiry) }
        line.retryTimer = surroundings.schedule(at: next) { [unowned self] in
            line.retryTimer = nil
            attend(to: line)
        }
    }

    /// Begins every attempt that is under way anew: its start was read from a clock that cannot be trusted.
    func restartAttempts() {
        for operation in acquisitions.inOrder {
            guard let line = operation.line, let attempt = line.attempt else { continue }
            line.attempt = nil
            release(attempt)
            retryLater(line)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedisTransport

/// The lines of those who wait, one for each resource, and the attempts that are made for them.
extension LockEngine {
    // MARK: Coming and going

    /// Lets an operation wait for its resource behind those who came before.
    func join(_ operation: AcquireOperation) {
        let line = line(for: operation.claim)
        line.append(operation)
        if operation.wait == .none {
            impatientCount += 1
            if isKnownToBeHeld(line) { return giveUp(operation) }
            endPauseForAttempt(line)
        } else {
            leaveTurnToOthers(line)
            askSooner(for: line)
        }
        attend(to: line)
        nameSuccessors(in: line)
    }

    /// Whether somebody has the lock, or whoever came before would get it first, so that there is nothing to try.
    private func isKnownToBeHeld(_ line: WaitingLine) -> Bool {
        guard line.attempt == nil, line.isAttended, line.failure?.reason == .contended else { return false }
        return line.holder != nil || line.releasing != nil || line.isGivingWay || line.nextStep == .attempt
            || ageOfKnowledge(line) < 200_000_000
    }

    private func ageOfKnowledge(_ line: WaitingLine) -> Int64 {
        line.lastFailure.map { $0.time.nanoseconds(until: surroundings.now) } ?? .max
    }

    /// Has the nodes asked now, as somebody has come who does not wait.
    private func endPauseForAttempt(_ line: WaitingLine) {
        guard line.nextStep == .look, !line.isGivingWay, line.holder == nil, line.releasing == nil else { return }
        line.look = nil
        line.stopRetryTimer()
    }

    /// Lets those go first whom this client woke when it released the resource just now.
    private func leaveTurnToOthers(_ line: WaitingLine) {
        guard let end = turnsOfOthers[line.claim] else { return }
        guard end > surroundings.now else {
            turnsOfOthers[line.claim] = nil
            return
        }
        guard !line.isAttended else { return }
        line.failed(WaitingLine.Failure(reason: .contended), at: surroundings.now)
        giveWay(line, until: end)
    }

    private func giveWay(_ line: WaitingLine, until end: Instant) {
        line.stopRetryTimer()
        schedule(.look, for: line, at: end)
        line.isGivingWay = true
        if line.place == nil { takePlace(line, isEvenIfFree: true) }
    }

    /// Ends the pause before the next step, as somebody has come who may not have the time, unless what is known is fresh
    /// or the pause is there for others.
    ///
    /// What a client knows that waits in the queues is fresh for longer: it would be woken.
    private func askSooner(for line: WaitingLine) {
        guard line.retryTimer != nil, !line.isGivingWay, line.holder == nil else { return }
        switch line.nextStep {
        case .attempt where ageOfKnowledge(line) >= 10_000_000:
            line.stopRetryTimer()
        case .look where ageOfKnowledge(line) >= 1_000_000_000:
            line.stopRetryTimer()
            look(line)
        case .attempt, .look: break
        }
    }

    private func line(for claim: Claim) -> WaitingLine {
        if let line = lines[claim] { return line }
        let line = WaitingLine(claim)
        lines[claim] = line
        return line
    }

    private func forget(_ line: WaitingLine) {
        guard !line.isForgotten else { return }
        line.isForgotten = true
        lines[line.claim] = nil
    }

    /// Takes an operation out of its line, which goes on without it.
    func leave(_ operation: AcquireOperation) {
        operation.deadlineTimer?.cancel()
        operation.deadlineTimer = nil
        guard let line = operation.line else { return }
        if operation.wait == .none { impatientCount -= 1 }
        let wasFirst = line.remove(operation)
        if wasFirst { passOn(line, from: operation) }
        attendUnlessForgotten(line)
        nameSuccessors(in: line)
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
        if line.isEmpty {
            line.stopRetryTimer()
            leaveQueue(line)
        }
        if line.isForgettable {
            forget(line)
        } else if let first = line.first, !line.isAttended, !isShuttingDown {
            beginAttempt(for: first, in: line)
        }
    }

    private func attendUnlessForgotten(_ line: WaitingLine) {
        if isPlanted(.lineForgotten), !line.isEmpty { return }
        attend(to: line)
    }

    // MARK: A holder of this client

    /// The resource of a line is not known to be held by this client any more: those who wait ask the nodes, where the
    /// key may still be for a moment.
    func vacate(_ lease: HeldLease) {
        vacate(lease, pauseNanoseconds: nil)
    }

    /// This client releases the lease: others than this client may try before those who wait here do.
    ///
    /// In the standard profile the nodes tell whom the release wakes. In the other, nobody is told anything, and others
    /// ask now and then, so that they need about as long as the lock was kept from them.
    func giveWay(after lease: HeldLease) {
        if profile.isStandard {
            guard let line = lease.line, line.holder === lease else { return }
            line.releasing = lease
            return vacate(lease)
        }
        let kept = lease.block.began.nanoseconds(until: surroundings.now)
        let longest = min(max(kept, 5_000_000), 200_000_000)
        let shortest = longest / 2
        vacate(lease, pauseNanoseconds: shortest + Int64(surroundings.randomBits() % UInt64(longest - shortest)))
    }

    /// The nodes have answered the release of a lease, and told whether it woke somebody.
    func releaseAnswered(_ lease: HeldLease, wokeSomebody: Bool) {
        let end = surroundings.now.advanced(byNanoseconds: graceOfTheFirstNanoseconds)
        if wokeSomebody { noteTurnOfOthers(lease.claim.asAskedFor, until: end) }
        guard let line = lease.line, line.releasing === lease else { return }
        line.releasing = nil
        if lease.isBlockUsedUp, lease.terms.handsOver, !wokeSomebody { line.blockWasUsedUp(lease.attempt.tokenCount) }
        guard !line.isEmpty, line.holder == nil, line.attempt == nil else { return attend(to: line) }
        if wokeSomebody, !line.isWoken(votesNeeded: quorum.votesNeeded) {
            giveWay(line, until: end)
        } else {
            line.stopRetryTimer()
            attemptSoon(line)
        }
    }

    private func noteTurnOfOthers(_ claim: Claim, until end: Instant) {
        if turnsOfOthers.count >= 1_000 {
            let now = surroundings.now
            turnsOfOthers = turnsOfOthers.filter { $0.value > now }
        }
        turnsOfOthers[claim] = end
    }

    private func vacate(_ lease: HeldLease, pauseNanoseconds: Int64?) {
        guard let line = lease.line, line.holder === lease else { return }
        // Those who were named to have it next ask the nodes now.
        lease.refuseHandOver()
        takeBackSuccessors(of: lease)
        line.holder = nil
        if !line.isEmpty, !isPlanted(.lineForgotten) {
            line.failed(WaitingLine.Failure(reason: .contended), at: surroundings.now)
            line.holderExpiry = nil
            line.backoff.reset()
            if line.releasing == nil {
                retryLater(line, pauseNanoseconds: pauseNanoseconds)
                line.isGivingWay = pauseNanoseconds != nil
            }
        }
        attendUnlessForgotten(line)
    }

    /// A lock was released by its owner token; if this client holds it, those who wait for it ask the nodes.
    func vacateIfHeld(_ claim: Claim, under ownerToken: OwnerToken) {
        guard let holder = lines[claim]?.holder, holder.ownerToken == ownerToken else { return }
        holder.refuseFurtherHandOver()
        // One that went to another task just now finds the lock lost when it is extended.
        if !holder.isHandedOver { vacate(holder) }
    }

    // MARK: Attempts

    private func beginAttempt(for operation: AcquireOperation, in line: WaitingLine) {
        guard votingNodes.count >= quorum.votesNeeded else {
            // A client that ends at once must not leave before it enrolled whom it met.
            let mayBecomeQuorum = votingNodes.union(untriedNodes).count >= quorum.votesNeeded
            if mayBecomeQuorum || !admission.enrolling.isEmpty {
                park(line)
            } else {
                // Why, is asked when somebody is told.
                attemptFailed(line, WaitingLine.Failure(reason: .quorumUnavailable))
            }
            return
        }
        line.holderExpiry = nil
        line.isHeldForEver = false
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
        line.place?.wokenBy = []
        line.hintedLook = nil
        if !untriedNodes.isEmpty { deferNodes(of: attempt) }
        attempt.send(to: votingNodes, later: untriedNodes)
    }

    private func ownerToken(for operation: AcquireOperation) -> OwnerToken {
        if isPlanted(.ownerTokenReused) {
            let number = UInt64(bitPattern: operation.begun.nanoseconds)
            return OwnerToken(highBits: number, lowBits: number, label: operation.terms.label)
        }
        return OwnerToken(
            highBits: surroundings.randomBits(),
            lowBits: surroundings.randomBits(),
            label: operation.terms.label,
            note: operation.terms.note,
            identity: surroundings.identity,
            wallMilliseconds: surroundings.wallMicroseconds / 1_000
        )
    }

    /// Another owner token for the same attempt.
    func ownerToken(like former: OwnerToken) -> OwnerToken {
        former.remade(highBits: surroundings.randomBits(), lowBits: surroundings.randomBits())
    }

    /// Has the attempt ask the nodes that are not connected yet, but wait for none of them longer than for a reply.
    private func deferNodes(of attempt: AcquireAttempt) {
        attempt.deferralNumber = deferredAttempts.insert(attempt)
        let patience = surroundings.now.advanced(byNanoseconds: nodeTimeoutNanoseconds)
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
            // An attempt is given up when the last one leaves who wanted it.
            guard let operation = line.first else { return release(attempt) }
            let lease = HeldLease(
                attempt: attempt,
                terms: operation.terms,
                validUntil: validUntil,
                fencingToken: token.map(FencingToken.init(rawValue:)),
                canceller: operation.canceller,
                engine: self
            )
            line.succeeded()
            leaveQueue(line, grantedBy: attempt)
            grant(lease, to: operation, in: line)
            if impatientCount > 0 { refuseThoseWhoDoNotWait(in: line) }
        case .failed(let reason):
            release(attempt)
            let failure = WaitingLine.Failure(
                reason: reason,
                problems: attempt.problems,
                nodesWithForeignData: attempt.nodesWithForeignData
            )
            if let count = attempt.agreedSlotCount { return refuse(line, failure, agreedSlotCount: count) }
            attemptFailed(line, failure)
        }
    }

    /// Gives a lease to the first in a line.
    private func grant(_ lease: HeldLease, to operation: AcquireOperation, in line: WaitingLine) {
        let completion = operation.completion
        keep(lease, for: operation, in: lease.claim.isForOne ? line : nil)
        completion?.resume(returning: lease)
    }

    /// Keeps a lease from now on that was granted or handed over.
    ///
    /// - Parameter line: where others wait for the end of the lease; nil where they do not.
    func keep(_ lease: HeldLease, for operation: AcquireOperation, in line: WaitingLine?) {
        lease.line = line
        line?.holder = lease
        keeper.add(lease)
        if lease.hasBody { bodyCount += 1 }
        lockGranted(lease, waitedNanoseconds: operation.begun.nanoseconds(until: surroundings.now))
        record(lease)
        operation.completion = nil
        settle(operation)
        guard let line else { return }
        // In turn means among the tasks of all clients: the next of this one stands in the queue while the first holds.
        if line.first?.terms.isFair == true { takePlace(line, isEvenIfFree: true) }
    }

    private func refuseThoseWhoDoNotWait(in line: WaitingLine) {
        for operation in line.operations where operation.wait == .none { giveUp(operation) }
    }

    private func attemptFailed(_ line: WaitingLine, _ failure: WaitingLine.Failure) {
        line.failed(failure, at: surroundings.now)
        if failure.reason == .contended { lockContended(line.resource) }
        // Before anybody leaves, so that no attempt begins at once.
        retryLater(line)
        for operation in line.operations where !goesOnWaiting(operation, in: line) { giveUp(operation) }
        if failure.reason == .contended { takePlace(line, isEvenIfFree: line.first?.terms.isFair == true) }
    }

    /// Ends all who wait for slots of which there are not as many as they believe.
    private func refuse(_ line: WaitingLine, _ failure: WaitingLine.Failure, agreedSlotCount: Int64) {
        line.failed(failure, at: surroundings.now)
        guard case .slot(_, let name, let count) = line.claim else { return }
        // Before the first of them leaves, so that no attempt begins at once.
        retryLater(line)
        let refused = line.operations.filter(withdraw)
        for operation in refused { leave(operation) }
        readSlots(of: name, count: Int(agreedSlotCount), within: lookupNanoseconds) { [unowned self] statuses in
            let error = RedlockError.slotCountRefused(
                name.text,
                wanted: count,
                agreed: agreedSlotCount,
                statuses.compactMap(\.holder)
            )
            for operation in refused { fail(operation, error) }
        }
    }

    private func goesOnWaiting(_ operation: AcquireOperation, in line: WaitingLine) -> Bool {
        if operation.wait == .none { return false }
        guard let unavailableSince = line.unavailableSince else { return true }
        // A quarantine ends by itself, and everybody knows when.
        let isWaitingForVotes = votingNodes.count < quorum.votesNeeded
        if isWaitingForVotes, votingNodes.union(admission.temporarilyRefused).count >= quorum.votesNeeded {
            line.forgetOutage()
            return true
        }
        guard !isBeyondWaiting else { return false }
        // Not for longer than it has waited itself.
        let since = max(unavailableSince, operation.begun)
        return since.nanoseconds(until: surroundings.now) < configuration.outageTolerance.nanoseconds
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

    /// Makes the next attempt for a line after a pause, or after a while that grows each time.
    func retryLater(_ line: WaitingLine, pauseNanoseconds: Int64? = nil) {
        guard line.retryTimer == nil else { return }
        let delay = pauseNanoseconds ?? line.backoff.nextNanoseconds(random: surroundings.randomBits())
        var next = surroundings.now.advanced(byNanoseconds: delay)
        // Nobody who holds it will say when a crashed holder's key has expired.
        if let expiry = line.holderExpiry, expiry > surroundings.now { next = min(next, expiry) }
        schedule(.attempt, for: line, at: next)
    }

    /// Makes the next attempt for a line, but not within this call: a connection may be failing that ends what it was
    /// sent, one after the other, and takes nothing new meanwhile.
    func attemptSoon(_ line: WaitingLine) {
        schedule(.attempt, for: line, at: surroundings.now)
    }

    /// Takes the next step for a line at the instant.
    func schedule(_ step: WaitingLine.Step, for line: WaitingLine, at due: Instant) {
        let number = line.retryNumber + 1
        let timer = surroundings.schedule(at: due) { [self] in
            // One that is on its way already cannot be cancelled.
            guard line.retryTimer != nil, line.retryNumber == number else { return }
            line.retryTimerEnded()
            switch step {
            case .attempt: attend(to: line)
            case .look: look(line)
            }
        }
        line.setRetryTimer(timer, number: number, due: due, step)
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

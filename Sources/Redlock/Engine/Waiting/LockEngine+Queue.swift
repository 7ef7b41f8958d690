// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedisTransport

/// Waiting in the queues at the nodes, so that whoever releases a lock wakes who is to have it next.
///
/// Nothing that is promised depends on it: a message is a hint, and whoever waits looks for himself now and then. A client
/// has one place for each resource, whatever the number of its tasks.
extension LockEngine {
    /// How long the one who was woken has to take the lock, before others look.
    var graceOfTheFirstNanoseconds: Int64 { nodeTimeoutNanoseconds / 2 }

    /// The same as the nodes count it.
    var turnMilliseconds: Int64 { max(1, graceOfTheFirstNanoseconds / 1_000_000) }

    /// The place of the first in a line among all who want the same: when it came, by the clocks of the nodes.
    ///
    /// Those of clients may be apart by much more; theirs counts only where no node has a vote, so that there is nothing to
    /// be had.
    private func ticket(of line: WaitingLine) -> Int64 {
        let now = admission.medianMicroseconds
        guard let operation = line.first else { return now ?? surroundings.wallMicroseconds }
        return timeOfComing(of: operation, now: now) - Int64(operation.terms.priority) * Self.priorityMicroseconds
    }

    private func timeOfComing(of operation: AcquireOperation, now: Int64?) -> Int64 {
        if let ticket = operation.ticket { return ticket }
        let waited = operation.begun.nanoseconds(until: surroundings.now) / 1_000
        let ticket = (now ?? surroundings.wallMicroseconds) - waited
        if now != nil { operation.ticket = ticket }
        return ticket
    }

    /// How much earlier a place is for each priority: more than a year, and so little that the nodes, which count in doubles,
    /// tell microseconds apart at all priorities.
    private static let priorityMicroseconds: Int64 = 40_000_000_000_000

    /// When a client looks for itself that should have been woken: between these.
    private static let fallbackNanoseconds: ClosedRange<Int64> = 4_000_000_000...6_000_000_000

    /// After which time a client that did not look is taken for gone.
    private static let placeLifeMilliseconds: Int64 = 2 * fallbackNanoseconds.upperBound / 1_000_000

    /// How many of those at the front look when the holder's key has expired, one after the other.
    private static let expiryWatchers: Int64 = 4

    // MARK: Taking a place

    /// Takes a place for those who wait in a line, or renews it; an attempt failed just now, or others are to go first.
    ///
    /// - Parameter isEvenIfFree: whether somebody was woken who is about to take the lock.
    func takePlace(_ line: WaitingLine, isEvenIfFree: Bool = false) {
        guard !line.isEmpty, !isShuttingDown, let name = nameToWaitFor(line),
            let queue = profile.waitingQueue(of: name)
        else { return }
        if let place = line.place, place.name != name { leaveQueue(line) }
        if line.place == nil {
            let member = wakeUps.member(of: line)
            let ticket = ticket(of: line)
            line.place = WaitingLine.Place(name: name, queue: queue, member: member, ticket: ticket)
            wakeUps.placeTaken(line)
        }
        enqueue(line, on: wakeUps.nodes, isEvenIfFree: isEvenIfFree)
    }

    /// Of several names, the one that somebody had when all of them were last asked for.
    private func nameToWaitFor(_ line: WaitingLine) -> ResourceName? {
        line.claim.names.count == 1 ? line.claim.names[0] : line.blocker
    }

    /// What an attempt says of its turn; nil for one that has no place and takes the lock whoever waits.
    func turn(of line: WaitingLine, _ terms: LeaseTerms) -> NodeCommand.Turn? {
        guard line.claim.names.count == 1, terms.isFair || line.claim.needsTicket || line.place != nil,
            let queue = profile.waitingQueue(of: line.claim.names[0])
        else { return nil }
        return NodeCommand.Turn(
            queue: queue,
            member: line.place?.member ?? wakeUps.member(of: line),
            ticket: line.place?.ticket ?? ticket(of: line),
            isAwaited: terms.isFair,
            milliseconds: turnMilliseconds
        )
    }

    /// Sends the place of a line to nodes, as far as they can be asked.
    func enqueue(_ line: WaitingLine, on nodes: NodeSet, isEvenIfFree: Bool = false, isLook: Bool = false) {
        let nodes = nodes.intersection(connectedNodes)
        guard let place = line.place, !nodes.isEmpty else { return }
        let wanted = NodeCommand.Place(
            wanted: profile.wanted(line.claim, place.name),
            queue: place.queue,
            member: place.member,
            ticket: place.ticket,
            lifeMilliseconds: Self.placeLifeMilliseconds,
            isEvenIfFree: isEvenIfFree
        )
        let exchange = PlaceExchange(line, wanted, nodes: nodes, engine: self)
        line.place?.mayExist = place.mayExist.union(nodes)
        if isLook { line.look = exchange }
        send(.enqueue(wanted), to: nodes, receiver: exchange)
    }

    /// Gives up the place, as nobody waits any more or the lock is there.
    ///
    /// - Parameter attempt: the one that brought the lock; otherwise whoever is next is woken in place of this client.
    func leaveQueue(_ line: WaitingLine, grantedBy attempt: AcquireAttempt? = nil) {
        guard let place = line.place else { return }
        line.place = nil
        line.look = nil
        wakeUps.placeGivenUp(place)
        let command = NodeCommand.leaveQueue(
            profile.wanted(line.claim, place.name),
            place.queue,
            member: place.member,
            turnMilliseconds: turnMilliseconds
        )
        let nodes =
            attempt.map { place.mayExist.subtracting($0.nodesWithoutPlace) } ?? place.mayExist.union(place.wokenBy)
        send(
            command,
            to: nodes.intersection(connectedNodes),
            receiver: LeaveExchange(command, place, engine: self),
            // Nobody will hear any more that a node does not have the script.
            form: isShuttingDown ? .whole : .digest
        )
    }

    // MARK: Looking

    /// Asks whether the lock is free now, without taking it, and renews the place.
    func look(_ line: WaitingLine) {
        let nodes = wakeUps.nodes.intersection(connectedNodes)
        guard line.place != nil, nodes.count >= leastThatMeetEveryQuorum else { return attend(to: line) }
        line.hintedLook = nil
        enqueue(line, on: nodes, isLook: true)
    }

    /// Looks within a while, if that was not going to happen sooner.
    func lookSoon(_ line: WaitingLine, withinNanoseconds delay: Int64) {
        guard !line.isEmpty, line.holder == nil else { return }
        let due = surroundings.now.advanced(byNanoseconds: delay)
        // Kept also where something comes sooner: an answer that is on its way may put that off.
        line.hintedLook = min(line.hintedLook ?? due, due)
        guard line.retryTimer != nil, due < line.retryDue else { return }
        line.stopRetryTimer()
        schedule(.look, for: line, at: due)
    }

    /// Goes on behind the last answer to an enqueue: with an attempt if a look found the lock free; otherwise with the next
    /// look if somebody will wake us, and with what was planned before if not.
    func placesTold(_ exchange: PlaceExchange) {
        let line = exchange.line
        let wasLook = line.look === exchange
        if wasLook { line.look = nil }
        guard line.place?.ticket == exchange.place.ticket, line.attempt == nil, line.look == nil, line.holder == nil,
            line.releasing == nil, !line.isEmpty, !line.isParked
        else { return }
        if let expiry = exchange.expiry(votes: quorum.votesNeeded) { line.holderExpiry = expiry }
        let isHeld = exchange.heldOn.count > quorum.nodesThatMayFail
        if isHeld {
            line.failed(WaitingLine.Failure(reason: .contended), at: surroundings.now)
            if wasLook { line.place?.wokenBy = [] }
        }
        if wasLook, !isHeld {
            if line.place?.wokenBy.isEmpty == true { line.missedWakeUps += 1 }
            line.stopRetryTimer()
            return attemptSoon(line)
        }
        // The pause until the next attempt goes on, unless somebody will wake us.
        if line.isGivingWay { return }
        guard isSurelyWoken(line) else { return retryLater(line) }
        let next = nextLook(line, rank: exchange.rank)
        if line.retryTimer != nil, line.nextStep == .look, line.retryDue <= next { return }
        line.stopRetryTimer()
        schedule(.look, for: line, at: next)
    }

    private func nextLook(_ line: WaitingLine, rank: Int64) -> Instant {
        if isPlanted(.neverLooksForItself) { return surroundings.now.advanced(byNanoseconds: 86_400_000_000_000) }
        let least = Self.fallbackNanoseconds.lowerBound
        let width = UInt64(Self.fallbackNanoseconds.upperBound - least)
        // Holders that wake nobody are followed by looking more often.
        let pause = (least + Int64(surroundings.randomBits() % width)) >> min(line.missedWakeUps, 5)
        var next = surroundings.now.advanced(byNanoseconds: pause)
        if let hinted = line.hintedLook {
            line.hintedLook = nil
            next = min(next, hinted)
        }
        guard let expiry = line.holderExpiry, rank < Self.expiryWatchers else { return next }
        let turn = (2 + rank * 10) * 1_000_000
        return min(next, max(expiry, surroundings.now).advanced(byNanoseconds: turn))
    }

    /// How many nodes have at least one in common with every quorum.
    private var leastThatMeetEveryQuorum: Int { quorum.nodesThatMayFail + 1 }

    /// Whether the client has its place on so many nodes that whoever releases the lock on a quorum wakes it.
    private func isSurelyWoken(_ line: WaitingLine) -> Bool {
        (line.place?.nodes.count ?? 0) >= leastThatMeetEveryQuorum
    }

    // MARK: Being woken

    /// A node says that the lock was released there, and that it is this client's turn.
    func woken(_ line: WaitingLine, by node: Int) {
        guard var place = line.place else { return }
        place.nodes.remove(node)
        // Those who share are woken together, and only the first of them has left the queue by that.
        if !line.claim.isShared { place.mayExist.remove(node) }
        place.wokenBy.insert(node)
        line.place = place
        guard line.attempt == nil, line.holder == nil, line.releasing == nil, !line.isEmpty, !line.isParked else {
            return
        }
        if line.isWoken(votesNeeded: quorum.votesNeeded) {
            metrics.wokenUp()
            line.missedWakeUps = 0
            line.look = nil
            line.backoff.reset()
            line.stopRetryTimer()
            attend(to: line)
        } else {
            // The messages of the others may come in a moment, or the lock was released on a few nodes only, by somebody
            // who did not get it; then all who are woken look at different times.
            let moment = line.backoff.nextNanoseconds(random: surroundings.randomBits())
            lookSoon(line, withinNanoseconds: moment)
        }
    }

    /// A node does not wake the client any more.
    func placeLost(_ line: WaitingLine, on node: Int) {
        line.place?.nodes.remove(node)
        guard line.retryTimer != nil, line.nextStep == .look, !isSurelyWoken(line), !line.isGivingWay else { return }
        line.stopRetryTimer()
        line.backoff.reset()
        retryLater(line)
    }
}

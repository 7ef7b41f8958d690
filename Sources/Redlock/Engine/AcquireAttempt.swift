// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// One attempt for the first of a line: one owner token on its way to every node that has a vote.
///
/// Lives until the last node answered or failed, long after the decision if need be, so that every vote that comes too
/// late is taken back.
final class AcquireAttempt: ScriptSender {
    /// What is wanted; of slots, one that a quorum granted or the most nodes did, once that is known.
    @exclusivity(unchecked) private(set) var claim: Claim
    let ownerToken: OwnerToken
    /// The owner token for nodes whose vote came too late, if they are to have the key after all: a release of the first
    /// one may still be on its way there, and must not find it.
    private(set) lazy var spareToken = engine.ownerToken(like: ownerToken)
    /// The times asked for; those of the longest extension once the lease was extended.
    @exclusivity(unchecked) var timing: LeaseTiming
    @exclusivity(unchecked) private(set) var round: AcquireRound
    @exclusivity(unchecked) private(set) var problems: [Int: String]
    /// The nodes where a key of the name holds data of another type.
    private(set) var nodesWithForeignData: NodeSet = []
    /// The line that the decision goes to; nil once there is one, or nobody wants it any more.
    @exclusivity(unchecked) private var line: WaitingLine?

    @exclusivity(unchecked) private var isStopped = false
    private let engine: LockEngine
    private let seeding: NodeCommand.Seeding
    /// How many tokens a grant takes.
    let tokenCount: Int64
    /// Its place among those who wait; nil if it neither has one nor respects those of others.
    private let turn: NodeCommand.Turn?
    /// The slot with which each node begins to look for a free one.
    private let firstSlot: Int
    /// What nodes granted before it was known which slot it is to be.
    @exclusivity(unchecked) private var slotGrants: [(node: Int, slot: Int, token: Int64?)] = []
    /// How many slots there are, as nodes say that refuse because of that.
    private var otherSlotCounts: [Int: Int64] = [:]
    /// The record of each node that the attempt named to it.
    @exclusivity(unchecked) private var recordIDs: [RecordID]
    /// The nodes whose vote came too late: a release is on its way there.
    @exclusivity(unchecked) private(set) var takenBack: NodeSet = []
    /// What the engine knows it by while nodes are yet to be asked.
    @exclusivity(unchecked) var deferralNumber: Int?
    /// The nodes that are being connected to for the first time; they are asked when they are there.
    @exclusivity(unchecked) private var deferred: NodeSet = []
    /// When a node was last sent something that has it keep the key for the whole TTL.
    @exclusivity(unchecked) private var lastAsked: Instant
    /// The nodes that the key was set on again while the lease was held.
    @exclusivity(unchecked) private var repaired: NodeSet = []

    init(for line: WaitingLine, _ terms: LeaseTerms, ownerToken: OwnerToken, round: AcquireRound, engine: LockEngine) {
        self.claim = line.claim
        self.turn = engine.turn(of: line, terms)
        self.firstSlot = line.firstSlot
        self.ownerToken = ownerToken
        self.timing = terms.timing
        self.round = round
        self.lastAsked = round.start
        self.line = line
        self.engine = engine
        self.problems = [:]
        self.recordIDs = engine.admission.recordIDs
        self.seeding = engine.admission.seeding
        // Only the scripts for one lock take another number of tokens than always.
        if case .exclusive = line.claim, !terms.handsOver { tokenCount = 1 } else { tokenCount = line.takeTokenCount() }
    }

    /// Asks the nodes; those that are still being connected to are asked later, the others cannot be.
    func send(to nodes: NodeSet, later deferred: NodeSet) {
        self.deferred = deferred
        let absent = engine.allNodes.subtracting(nodes).subtracting(deferred)
        if !absent.isEmpty {
            for node in absent { problems[node] = engine.problem(of: node) }
            for node in absent { count(.refused, by: node) }
        }
        guard line != nil else { return }
        engine.send(command(ttlMilliseconds: timing.ttlMilliseconds), to: nodes, receiver: self)
    }

    /// Asks a node that was not connected when the attempt began, as if the command had been on its way all the time;
    /// otherwise a client that has just been made would hold its first lease on no more nodes than it must.
    ///
    /// The key is to live no longer there than elsewhere.
    func sendDeferred(to node: Int) {
        guard deferred.contains(node) else { return }
        deferred.remove(node)
        let left = remainingMilliseconds
        guard left > 0 else { return count(.refused, by: node) }
        recordIDs[node] = engine.admission.recordIDs[node]
        engine.send(command(ttlMilliseconds: left), to: [node], receiver: self)
    }

    /// What is left of the TTL that was asked for when the attempt began.
    private var remainingMilliseconds: Int64 {
        timing.ttlMilliseconds - round.start.nanoseconds(until: engine.surroundings.now) / 1_000_000
    }

    private func command(ttlMilliseconds: Int64) -> NodeCommand {
        let profile = engine.profile
        let locks = claim.locks.map(profile.keys(of:))
        guard profile.isStandard else {
            return .setIfAbsent(key: locks[0].lock, ownerToken: ownerToken, ttlMilliseconds: ttlMilliseconds)
        }
        if claim.isShared, let turn {
            let acquisition = NodeCommand.SharedAcquisition(
                record: engine.recordKey,
                keys: locks[0],
                ownerToken: ownerToken,
                ttlMilliseconds: ttlMilliseconds
            )
            return .acquireShared(acquisition, turn)
        }
        let acquisition = NodeCommand.Acquisition(
            record: engine.recordKey,
            locks: locks,
            ownerToken: ownerToken,
            ttlMilliseconds: ttlMilliseconds,
            seeding: seeding,
            tokenCount: tokenCount
        )
        if case .slot(_, let name, let count) = claim, let turn {
            return .acquireSlot(acquisition, profile.slots(of: name, count: count), turn, first: firstSlot)
        }
        if locks.count > 1 { return .acquireAll(acquisition) }
        return turn.map { .acquireInTurn(acquisition, $0) } ?? .acquire(acquisition)
    }

    /// Notes that a node that was to be asked later will not be there.
    func cannotSendDeferred(to node: Int, _ problem: String) {
        guard deferred.contains(node) else { return }
        deferred.remove(node)
        problems[node] = problem
        count(.refused, by: node)
    }

    /// Decides without the nodes that are still not connected; they are asked all the same if there is a lease.
    func decideWithoutDeferred() {
        for node in deferred where line != nil { cannotSendDeferred(to: node, "not connected yet") }
    }

    /// Ends the asking: what has not been sent is not sent any more, as a release is on its way.
    func stop() {
        isStopped = true
        line = nil
        deferred = []
    }

    // MARK: Answers

    /// Not any more once a release is on its way: it would be set behind that.
    func command(for node: Int) -> NodeCommand? {
        guard !isStopped && !takenBack.contains(node) || isPlanted(.sentAgainBehindRelease) else { return nil }
        return command(ttlMilliseconds: max(1, remainingMilliseconds))
    }

    func received(_ reply: RESPValue, from node: Int) {
        if engine.profile.isStandard {
            receivedFromScript(reply, from: node)
        } else {
            receivedFromCommand(reply, from: node)
        }
    }

    private func receivedFromCommand(_ reply: RESPValue, from node: Int) {
        switch reply {
        case .simpleString("OK"):
            count(.granted(token: nil), by: node)
        case .null:
            count(.held, by: node)
        case .error:
            // SET is one command: where it answers with an error, it has set nothing.
            problems[node] = reply.problem
            count(.refused, by: node)
        default:
            doubt(node, reply.problem)
        }
    }

    private func receivedFromScript(_ reply: RESPValue, from node: Int) {
        switch GrantReply(reply, to: claim) {
        case .granted(let token, let slot):
            guard engine.admission.countsVote(of: node, under: recordIDs[node]) else {
                return doubt(node, engine.problem(of: node))
            }
            if let slot { return countGrant(of: slot, token, by: node) }
            count(.granted(token: token), by: node)
            if claim.isShared, isPlanted(.sharerCountedTwice) {
                count(.granted(token: token), by: (node + 1) % engine.quorum.nodeCount)
            }
        case .otherRecord:
            problems[node] = "it was enrolled anew or lost its data"
            engine.admission.inspect(node)
            count(.refused, by: node)
        case .otherSlotCount(let agreed):
            problems[node] = "there are \(agreed) slots, as those have agreed who hold them"
            otherSlotCounts[node] = agreed
            count(.held, by: node)
        case .held(let remainingMilliseconds, let place):
            noteHolder(of: claim.names[place], remainingMilliseconds: remainingMilliseconds)
            count(.held, by: node)
        case nil where reply.isScriptMissing:
            problems[node] = reply.problem
            count(.refused, by: node)
        case nil:
            if case .error = reply, isPlanted(.errorCountsAsRefused) { return count(.refused, by: node) }
            if reply.isOfWrongType { nodesWithForeignData.insert(node) }
            // A script may have failed behind what it set.
            engine.admission.inspect(node)
            doubt(node, reply.problem)
        }
    }

    // MARK: Slots

    /// Counts the grant of a slot, once it is known which one it is to be: nodes grant different ones when several clients
    /// ask at the same moment, or a node has lost a key.
    private func countGrant(of slot: Int, _ token: Int64?, by node: Int) {
        slotGrants.append((node, slot, token))
        guard claim.slot == nil else { return countGrants(of: claim.slot) }
        decideOnSlot()
    }

    /// Decides for the slot that a quorum granted; for the one that the most did, if none can have a quorum any more.
    private func decideOnSlot() {
        guard !slotGrants.isEmpty, claim.slot == nil else { return }
        let counts = Dictionary(grouping: slotGrants, by: \.slot).mapValues(\.count)
        let best = counts.max { ($0.value, $1.key) < ($1.value, $0.key) }
        guard let best else { return }
        var awaited = round.awaited
        for grant in slotGrants { awaited.remove(grant.node) }
        let votesNeeded = isPlanted(.slotsCountedTogether) ? 1 : engine.quorum.votesNeeded
        guard best.value >= votesNeeded || best.value + awaited.count < votesNeeded else { return }
        claim = claim.withSlot(best.key)
        // Where they differ, the next attempt begins where all are more likely to grant the same.
        line?.firstSlot = counts.count > 1 ? counts.keys.max() ?? 0 : 0
        countGrants(of: best.key)
    }

    private func countGrants(of slot: Int?) {
        let grants = slotGrants
        slotGrants = []
        for grant in grants {
            if grant.slot == slot || isPlanted(.slotsCountedTogether) {
                count(.granted(token: grant.token), by: grant.node)
            } else {
                takeBack(grant.node)
                count(.held, by: grant.node)
            }
        }
    }

    /// The number of slots that so many nodes name that there is no quorum without them.
    var agreedSlotCount: Int64? {
        let counts = Dictionary(grouping: otherSlotCounts.values) { $0 }
        return counts.first { $0.value.count > engine.quorum.nodesThatMayFail }?.key
    }

    /// What the scripts say of a key without an expiry.
    private static let neverExpires: Int64 = (1 << 53) - 2

    private func noteHolder(of name: ResourceName, remainingMilliseconds: Int64) {
        guard let line else { return }
        if remainingMilliseconds >= Self.neverExpires { line.isHeldForEver = true }
        // Beyond a day it is no use to know when.
        let nanoseconds = min(remainingMilliseconds, 86_400_000) * 1_000_000
        let expiry = engine.surroundings.now.advanced(byNanoseconds: nanoseconds)
        line.holderExpiry = max(line.holderExpiry ?? expiry, expiry)
        line.blocker = name
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        doubt(node, failure.message)
    }

    private func doubt(_ node: Int, _ problem: String) {
        problems[node] = problem
        takeBack(node)
        engine.unknownReply(claim.resource, from: node, problem)
        count(.unknown, by: node)
    }

    private func count(_ answer: AcquireRound.Answer, by node: Int) {
        follow(round.answered(answer, by: node, at: engine.surroundings.now))
        decideOnSlot()
    }

    /// Counts the answer of a node that was asked to raise its counter.
    func countRaise(_ answer: AcquireRound.RaiseAnswer, by node: Int, problem: String?) {
        if let problem { problems[node] = problem }
        follow(round.answered(answer, by: node, at: engine.surroundings.now))
    }

    private func follow(_ step: AcquireRound.Step?) {
        switch step {
        case nil: break
        case .raise(let nodes, let token):
            guard line != nil else { return }
            engine.raise(to: token, for: self, on: nodes)
        case .end(let decision):
            guard let line else { return }
            self.line = nil
            engine.attemptEnded(self, in: line, decision)
        }
    }

    /// A vote that did not come in time is taken back at once, on the connection that it is late on: whatever that
    /// node still carries out, it carries out the release behind it.
    private func takeBack(_ node: Int) {
        // A release was sent behind the question already; or the lease was given away, and its token is no longer ours.
        guard !isStopped, !isPlanted(.lateVoteNotTakenBack) else { return }
        takenBack.insert(node)
        engine.release(claim, ownerToken: ownerToken, timing: timing, from: [node])
    }

    /// Notes that the key is set again on a node, which then needs a release as well; tells under which owner token.
    func willRepair(_ node: Int) -> OwnerToken {
        if !isPlanted(.repairNotReleased) { repaired.insert(node) }
        return takenBack.contains(node) ? spareToken : ownerToken
    }

    /// Notes that nodes are asked now to keep the key for the TTL from now.
    func noteExtension() {
        lastAsked = engine.surroundings.now
    }

    /// By when no node can hold the key any more, unless it is asked again.
    var keysSurelyExpired: Instant {
        timing.surelyExpired(sent: lastAsked, delayNanoseconds: engine.nodeTimeoutNanoseconds)
    }

    /// The nodes that have the key under the spare token, or may have it.
    var nodesWithSpareToken: NodeSet { repaired.intersection(takenBack) }

    /// The nodes that have ended the place of this client in the queue with their grant.
    var nodesWithoutPlace: NodeSet { turn == nil ? [] : round.granted }

    /// The nodes that need a release when the lease ends: all that hold the key or may hold it, but for those that
    /// were sent one already.
    var nodesToRelease: NodeSet {
        round.mayHoldKey.union(repaired).subtracting(takenBack).subtracting(deferred)
    }
}

/// What a node said when it was asked for a lock.
private enum GrantReply {
    /// It has set the lock, or added a share; with a token where grants are counted.
    case granted(token: Int64?, slot: Int?)
    /// Its record is not the one that was admitted.
    case otherRecord
    /// There are so many slots.
    case otherSlotCount(Int64)
    /// Somebody has the name at this place among those of the claim, or is to have it first.
    case held(remainingMilliseconds: Int64, place: Int)

    /// Nil for what the scripts do not answer.
    init?(_ reply: RESPValue, to claim: Claim) {
        switch reply {
        case .integer(0): self = .otherRecord
        case .integer(let number):
            switch claim {
            case .exclusive: self.init(number)
            case .shared: self = number > 0 ? .granted(token: nil, slot: nil) : Self.held(number)
            case .slot where number > 0: self = .otherSlotCount(number)
            case .slot, .all: return nil
            }
        case .array(let parts):
            guard parts.count == 2, let code = parts[0].integer, code != 0, let number = parts[1].integer else {
                return nil
            }
            switch claim {
            case .slot(_, _, let count) where (0..<Int64(count)).contains(number):
                self.init(code, slot: Int(number))
            case .all(let names) where (0...Int64(names.count)).contains(number):
                self.init(code, place: max(0, Int(number) - 1))
            default: return nil
            }
        default: return nil
        }
    }

    /// What a positive code grants, or that somebody has the name at the place by a negative one; nil for a token beyond
    /// all that nodes count to.
    private init?(_ code: Int64, slot: Int? = nil, place: Int = 0) {
        guard code <= FencingToken.highestOnNodes else { return nil }
        self = code > 0 ? .granted(token: code, slot: slot) : Self.held(code, place: place)
    }

    private static func held(_ code: Int64, place: Int = 0) -> GrantReply {
        .held(remainingMilliseconds: -1 - code, place: place)
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import Redlock
import RedlockSimulation

/// What must never happen, and did.
struct Violation: Error, Sendable, CustomStringConvertible {
    enum Rule: String, CaseIterable, Sendable {
        /// Two clients count on a lease of one resource at the same true time.
        case twoHolders = "two holders"
        /// A token was granted twice, or a later grant got a lower one than a grant that ended before it began.
        case tokenOrder = "tokens out of order"
        /// A store that compares tokens lost an update.
        case lostUpdate = "lost update"
        /// A key changed that somebody else held.
        case foreignKey = "foreign key touched"
        /// A key without an end, or with one beyond the longest TTL.
        case endlessKey = "key lives too long"
        /// A renewal after the release or the loss.
        case lateRenewal = "renewed after the end"
        /// A lease ran out and its body was not told in time.
        case lateLoss = "loss told too late"
        /// A call went on beyond its deadline.
        case overdue = "call overdue"
        /// A lock was granted before the minimum hold of the grant before was over.
        case brokenMinimumHold = "minimum hold broken"
        /// A lock was left behind by somebody who released it.
        case leftBehind = "left behind"
        /// A lease was granted of which too little is left.
        case lateGrant = "granted with too little left"
        /// An extension is said to have succeeded, and no quorum has the key.
        case emptyExtension = "extended without a quorum"
        /// A lease that is renewed was lost though nothing was wrong.
        case needlessLoss = "lost though nothing was wrong"
        /// Faults ended, and somebody did not get a lock.
        case starved = "not obtained after faults ended"
    }

    let rule: Rule
    let time: Int64
    let text: String

    var description: String { "\(rule.rawValue) at \(time.inSeconds) s: \(text)" }
}

/// Looks at the world in true time, and says what must never be.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
final class Judge: @unchecked Sendable {
    /// Somebody who counts on a lease.
    ///
    /// `@unchecked Sendable`: it is used on the thread of its world only.
    final class Holding: @unchecked Sendable {
        let client: Int
        let process: SimulatedProcess
        /// What is locked; each slot of a name is something of its own.
        let resources: [String]
        /// How many slots the client believes that there are, and of what; nil for a lock.
        let slots: (name: String, count: Int)?
        /// Nil where the lock is shared.
        let token: Int64?
        /// Whether the client renews it and tells its body about the loss.
        let isWatched: Bool
        /// The TTL that was asked for, in nanoseconds.
        let ttl: Int64

        private let lease: any JudgedLease
        private let surroundings: SimulatedSurroundings

        init(
            client: Int,
            of simulated: SimulatedClient,
            lease: any JudgedLease,
            slotCount: Int? = nil,
            ttl: Int64,
            isWatched: Bool
        ) {
            self.ttl = ttl
            self.client = client
            process = simulated.process
            surroundings = simulated.surroundings
            self.lease = lease
            self.isWatched = isWatched
            resources = lease.slot.map { ["\(lease.resource) slot \($0)"] } ?? lease.resources
            slots = slotCount.map { (lease.resource, $0) }
            token = lease.judgedToken
        }

        var isValid: Bool { lease.isValid }

        /// How much was left when the step began in which the client went on; whether it is lost by now is another matter.
        var leftAtGrant: Duration {
            lease.validUntil - surroundings.clockInstant(of: process.executor.stepBegan)
        }

        /// How long the lock is to stay after its release; nil if it is not to stay, or no quorum promised it.
        var promisedRest: Duration? {
            if case .kept(let rest) = lease.releaseOutcome { rest } else { nil }
        }

        var isShared: Bool { token == nil }

        /// Who has what.
        var description: String { "client \(client) (\(token.map { "token \($0)" } ?? "shared"))" }
    }

    private struct Resource {
        var holdings: [Holding] = []
        /// Those who had it, and until when it is to stay nevertheless.
        var rests: [(holding: Holding, end: Int64)] = []
        var tokens: Set<Int64> = []
        /// The highest token that was granted up to now.
        var highest: Int64 = 0
    }

    let world: SimulatedWorld
    /// Whether two holders at a time would be a mistake of this package, and not of the world.
    private(set) var claimsExclusion = true
    /// Whether tokens must grow.
    var claimsTokenOrder: Bool { !(clocksWereWrong && countersWereLost) }
    /// Whether they must grow strictly, so that a store that compares them loses no update.
    var claimsStrictTokenOrder: Bool { claimsTokenOrder && seedDistance == 0 }
    private var isClaimFixed = false
    private var clocksWereWrong = false
    private var countersWereLost = false
    /// By how much tokens may go back, in microseconds.
    private var seedDistance: Int64 = 0
    /// The owner tokens that were released, and from which nodes, by process.
    private var released: [String: NodeSet] = [:]
    private(set) var violation: Violation?
    private(set) var grants = 0
    private var resources: [String: Resource] = [:]
    /// Those who count on a slot, by its name.
    private var slotHoldings: [String: [Holding]] = [:]

    init(world: SimulatedWorld) {
        self.world = world
    }

    /// Holds on to the claim that there are no two holders, whatever strikes.
    func fixClaim() {
        isClaimFixed = true
    }

    /// Takes back what cannot be claimed any more because of a fault.
    ///
    /// No client can tell that its virtual machine stood still before it hears from a server; a server that gives up keys
    /// between two looks at its settings, or whose clock is set by little or runs wildly while nobody who knows it looks,
    /// is not found out; among one or two servers nobody can tell whose clock is wrong; and tokens rest on clocks where
    /// counters are lost.
    func struck(_ kind: FaultKind, scenario: Scenario) {
        switch kind {
        case .virtualMachinePause, .eviction: if !isClaimFixed { claimsExclusion = false }
        case .smallClockJump, .clockRate:
            clocksWereWrong = true
            if !isClaimFixed { claimsExclusion = false }
        case .clockJump:
            clocksWereWrong = true
            if scenario.nodeCount < 3, !isClaimFixed { claimsExclusion = false }
        case .restart: if !scenario.isDurable { countersWereLost = true }
        case .flush, .promotion: countersWereLost = true
        case .counterLoss:
            countersWereLost = true
            // No quarantine lies between the loss and the next grant, so tokens may go back by what the times are apart
            // that counters begin with.
            seedDistance = scenario.distanceOfSeeds
        default: break
        }
    }

    /// Where a majority is set alike at once, it is the client's clock that seems to have stood still, and nobody can tell.
    func majorityOfClocksWasSetAlike() {
        if !isClaimFixed { claimsExclusion = false }
    }

    func violated(_ rule: Violation.Rule, _ text: @autoclosure () -> String) {
        guard violation == nil else { return }
        let violation = Violation(rule: rule, time: world.now, text: text())
        self.violation = violation
        world.note(0, "VIOLATION: \(violation)")
    }

    // MARK: Commands

    /// Looks at what a client sends to a node: nothing sets or keeps a key there whose owner token was released.
    func sends(_ command: NodeCommand, to node: Int) {
        switch command {
        case .release(_, let token, _, _), .releaseShared(_, let token, _), .releaseSlot(_, _, let token, _, _),
            .setLife(_, let token, _), .setLifeShared(_, let token, _):
            released[token.secretText, default: []].insert(node)
        case .acquire(let acquisition), .acquireInTurn(let acquisition, _), .acquireAll(let acquisition),
            .acquireSlot(let acquisition, _, _, _):
            looksAlive(acquisition.ownerToken, on: node)
        case .acquireShared(let acquisition, _): looksAlive(acquisition.ownerToken, on: node)
        case .extend(_, let token, _), .extendShared(_, let token, _), .repairShared(_, let token, _):
            looksAlive(token, on: node)
        case .repair(let repair): looksAlive(repair.ownerToken, on: node)
        default: break
        }
    }

    private func looksAlive(_ token: OwnerToken, on node: Int) {
        guard released[token.secretText]?.contains(node) == true else { return }
        violated(.lateRenewal, "node \(node) is sent a command under an owner token that was released there")
    }

    // MARK: Grants

    /// The highest token of all grants until now: whoever begins to acquire now must get a higher one.
    func highestToken(of resource: String) -> Int64 {
        resources[resource]?.highest ?? 0
    }

    /// The same for several.
    func highestTokens(of names: [String]) -> [String: Int64] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, highestToken(of: $0)) })
    }

    /// Somebody counts on a lease.
    ///
    /// - Parameter highest: the highest token of each resource before it was asked for.
    func granted(_ holding: Holding, after highest: [String: Int64]) {
        grants += 1
        for name in holding.resources { granted(holding, of: name, after: highest[name] ?? 0) }
        if let (name, count) = holding.slots { lookAtAgreement(on: count, of: name, holding) }
        // A body begins some steps later.
        guard !holding.isWatched else { return }
        if holding.leftAtGrant < .nanoseconds(holding.ttl / 2) {
            violated(.lateGrant, "\(holding.resources[0]) was granted with \(holding.leftAtGrant) left")
        }
    }

    /// All who hold slots of a name believe that there are as many.
    ///
    /// A node that was emptied and repaired has forgotten what they agreed on.
    private func lookAtAgreement(on count: Int, of name: String, _ holding: Holding) {
        slotHoldings[name, default: []].append(holding)
        guard claimsExclusion, !countersWereLost, holding.isValid,
            let other = slotHoldings[name]?.first(where: { $0.isValid && $0.slots?.count != count })
        else { return }
        violated(
            .twoHolders,
            "\(holding.description) has one of \(count) slots, \(other.description) one of more or fewer"
        )
    }

    private func granted(_ holding: Holding, of name: String, after highest: Int64) {
        world.note(holding.token ?? 0, "\(holding.description) holds \(name)")
        resources[name, default: Resource()].holdings.append(holding)
        lookAtRests(of: name, before: holding)
        if let token = holding.token { countToken(token, of: name, after: highest) }
        look(at: name)
    }

    private func countToken(_ token: Int64, of name: String, after highest: Int64) {
        let isNew = resources[name, default: Resource()].tokens.insert(token).inserted
        if claimsStrictTokenOrder, !isNew {
            violated(.tokenOrder, "token \(token) of \(name) was granted twice")
        }
        if claimsTokenOrder, token <= highest - seedDistance {
            violated(.tokenOrder, "token \(token) of \(name) after \(highest), which was granted before")
        }
        let highestOfAll = max(token, highestToken(of: name))
        resources[name]?.highest = highestOfAll
    }

    /// Nobody counts on the lease any more.
    func ended(_ holding: Holding) {
        for name in holding.resources {
            world.note(holding.token ?? 0, "\(holding.description) ends \(name)")
            resources[name]?.holdings.removeAll { $0 === holding }
        }
        if let (name, _) = holding.slots { slotHoldings[name]?.removeAll { $0 === holding } }
    }

    /// A lease was released; if its minimum hold was not over, no other client may be granted its lock before it is.
    ///
    /// - Parameters:
    ///   - begun: when the release began, at the latest.
    ///   - drift: by how much the clock of a node may run fast while the lock stays there.
    func released(_ holding: Holding, begun: Int64, drift: DriftProfile) {
        guard let rest = holding.promisedRest else { return }
        let nanoseconds: Double = rest / Duration.nanoseconds(1)
        let shortest = Int64(nanoseconds * (1 - drift.rate)) - 2 * .millisecond
        for name in holding.resources { resources[name]?.rests.append((holding, end: begun + shortest)) }
    }

    private func lookAtRests(of name: String, before holding: Holding) {
        resources[name]?.rests.removeAll { $0.end <= world.now }
        guard claimsExclusion,
            let rest = resources[name]?.rests.first(where: { !$0.holding.isShared || !holding.isShared })
        else { return }
        violated(
            .brokenMinimumHold,
            "\(name) is granted to \(holding.description) though \(rest.holding.description) keeps it until "
                + "\(rest.end.inSeconds) s"
        )
    }

    /// A process died, and counts on nothing any more.
    func died(_ process: SimulatedProcess) {
        for (_, resource) in resources.sorted(by: { $0.key < $1.key }) {
            for holding in resource.holdings where holding.process === process { ended(holding) }
        }
    }

    /// Looks whether two count on one of several resources.
    func look(at names: [String]) {
        for name in names { look(at: name) }
    }

    /// Looks whether two count on one resource.
    func look(at resource: String) {
        guard claimsExclusion, let holdings = resources[resource]?.holdings, holdings.count > 1 else { return }
        let valid = holdings.filter(\.isValid)
        guard valid.count > 1, !valid.allSatisfy(\.isShared) else { return }
        let who = valid.map(\.description)
        violated(.twoHolders, "\(resource) is held by \(who.joined(separator: " and "))")
    }

    /// Looks at somebody who works under a lease.
    func look(at holding: Holding, isCancelled: Bool) {
        look(at: holding.resources)
        let process = holding.process
        // The first 100 ms after a sleep are granted: timers stood still meanwhile, and it takes that long to notice.
        guard holding.isWatched, !isCancelled, process.isRunning, world.now - process.runsSince > 101 * .millisecond,
            !holding.isValid
        else { return }
        violated(.lateLoss, "client \(holding.client) works on \(holding.resources[0]) beyond the end of its lease")
    }
}

/// What is judged of a lease, of whatever kind.
protocol JudgedLease: Sendable {
    var resource: String { get }
    var resources: [String] { get }
    var slot: Int? { get }
    var isValid: Bool { get }
    var validUntil: ContinuousClock.Instant { get }
    /// Nil where the lock is shared.
    var judgedToken: Int64? { get }
    var releaseOutcome: ReleaseOutcome? { get }
}

extension Lease: JudgedLease {
    var judgedToken: Int64? { (self as? Lease<Fenced>)?.fencingToken.rawValue }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore

/// How much may happen in one run of the model.
///
/// Messages may take any time and any order that a connection allows; a client may stand still for ever. What is
/// counted here is the rest.
struct ModelBounds {
    /// How many attempts to acquire all clients together may begin.
    var attempts = 2
    /// How many rounds of extension may begin.
    var extensions = 0
    /// How many times a node may lose what it had in memory.
    var losses = 0
    /// The ways in which that happens.
    var lossKinds = LossKind.allCases
    /// How many times the clock of a node may leap, so that all keys expire there.
    var jumps = 0
    /// How many nodes may be fast: each gains one tick on true time, at any moment.
    var fastNodes = 0
    /// How many ticks may pass, at most 6; nil for as many as anything changes by.
    var ticks: Int?
}

/// What is left out or done wrong, so that the model must find a violation.
enum ModelDefect: String, CaseIterable {
    /// Nothing is set aside for clocks that run apart.
    case noDriftAccounting = "without drift accounting"
    /// The highest token that was answered counts, whether the counters of a quorum stand there or not.
    case noFencingConfirmation = "without fencing confirmation"
    /// A node that lost its memory votes at once.
    case noQuarantine = "without quarantine"
    /// Votes count without a look at the clock behind them.
    case noClockAudit = "without clock audit"
    /// One vote of three is taken for two.
    case oneVoteIsEnough = "one vote is enough"
    /// A release deletes the key, whoever has it.
    case releaseDeletesForeignKeys = "release deletes foreign keys"
    /// The validity counts from the last answer, and not from before the first question.
    case validityFromTheAnswer = "validity counted from the answer"
    /// The same of an extension.
    case extensionFromTheAnswer = "extension counted from the answer"
}

/// One world: what may happen in it, and the times of the protocol, counted in ticks by the machines themselves.
struct ModelRules {
    static let tickMilliseconds: Int64 = 1_000
    static let ttlTicks = 4
    /// A time-based seed lies above all tokens that were ever given: time outruns every counter.
    static let seedDistance = 4

    let bounds: ModelBounds
    let defect: ModelDefect?
    /// Whether two valid leases at once are a violation; not where nobody looks at clocks that jump.
    let judgesExclusion: Bool
    let quorum = Quorum(majorityOf: SmallWorld.nodeCount)
    let timing: LeaseTiming
    /// How long a lease is valid, counted from before the first question.
    let validTicks: Int
    /// How long a node has no vote after it was enrolled.
    let quarantineTicks: Int

    init(bounds: ModelBounds, defect: ModelDefect? = nil, judgesExclusion: Bool = true) {
        self.bounds = bounds
        self.defect = defect
        self.judgesExclusion = judgesExclusion
        // A quarter of the TTL is one tick: as much as a fast node gains.
        let rate: Int64 = defect == .noDriftAccounting ? 0 : 250_000
        let drift = ClockDrift(rate: rate, constantNanoseconds: 0)
        let ttlMilliseconds = Int64(Self.ttlTicks) * Self.tickMilliseconds
        timing = LeaseTiming(ttlMilliseconds: ttlMilliseconds, drift: drift)
        validTicks = Self.ticks(until: timing.validUntil(start: Self.instant(0)))
        quarantineTicks =
            defect == .noQuarantine
            ? 0 : Self.ticksUntilVote(maximumTTLMilliseconds: ttlMilliseconds, drift: drift)
    }

    /// The instant that lies some ticks after the origin.
    static func instant(_ ticks: Int) -> Instant {
        Instant(nanoseconds: Int64(ticks) * tickMilliseconds * 1_000_000)
    }

    /// How many ticks an instant lies after the origin.
    static func ticks(until instant: Instant) -> Int {
        Int(instant.nanoseconds / (tickMilliseconds * 1_000_000))
    }

    /// How many ticks after its enrolment a record lets its node vote.
    private static func ticksUntilVote(maximumTTLMilliseconds: Int64, drift: ClockDrift) -> Int {
        let record = ModelRecords.record(
            reason: .noRecord,
            quarantineMilliseconds: NodeRecord.quarantineMilliseconds(
                maximumTTLMilliseconds: maximumTTLMilliseconds,
                drift: drift
            )
        )
        let microseconds = record.quarantineRemainingMicroseconds(serverMicroseconds: 0, wallMicroseconds: 0)
        return Int((microseconds + tickMilliseconds * 1_000 - 1) / (tickMilliseconds * 1_000))
    }
}

/// The records of the world, as the rules of admission judge them.
enum ModelRecords {
    private static let membership = Membership(
        node: "1",
        members: ["1", "2", "3"],
        maximumTTLMilliseconds: Int64(ModelRules.ttlTicks) * ModelRules.tickMilliseconds
    )

    /// A record of the first server process, enrolled at the origin of time.
    static func record(reason: EnrolmentReason, quarantineMilliseconds: Int64) -> NodeRecord {
        NodeRecord(
            id: RecordID(bits: 1),
            reason: reason,
            serverMicroseconds: 0,
            wallMicroseconds: 0,
            quarantineMilliseconds: quarantineMilliseconds,
            marker: nil,
            facts: facts(isNewProcess: false),
            membership: membership
        )
    }

    private static func facts(isNewProcess: Bool) -> ServerFacts {
        var facts = ServerFacts()
        facts.runID = isNewProcess ? "second" : "first"
        facts.isMaster = true
        return facts
    }

    /// Whether a client that looks at a node must enrol it anew.
    static func mustBeEnrolled(hasRecord: Bool, isNewProcess: Bool) -> Bool {
        let text = hasRecord ? record(reason: .requested, quarantineMilliseconds: 0).text : nil
        let facts = facts(isNewProcess: isNewProcess)
        if case .enrol = AdmissionJudgement.judge(facts, RecordPlace(text: text), expecting: membership) { return true }
        return false
    }
}

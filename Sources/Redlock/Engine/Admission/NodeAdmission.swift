// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Logging
import RedisTransport

/// Decides whose vote counts.
///
/// A node is asked what it is on every new connection and every few seconds after; a restart always ends the
/// connection, so one that lives proves that there was none. What else may happen meanwhile shows in band: an acquire
/// names the record that was admitted, and every write ends with a look at the clock.
final class NodeAdmission {
    /// One node, as far as it is known.
    final class Node {
        var isConnected = false
        var isBeingAsked = false
        /// Whether what it answers now comes too early, so that it is asked once more.
        var isToBeAskedAgain = false
        var facts: ServerFacts?
        /// What it refused to tell of itself, and why.
        var unanswered: [Question: Explanation] = [:]
        var recordText: String? {
            didSet { if recordText != oldValue { recordPlace = RecordPlace(text: recordText) } }
        }
        var judgement: AdmissionJudgement?
        /// What the node did that makes its votes worthless, until it has another record than it had then.
        var distrust: Distrust?
        var enrolmentFailure: String?
        var isEnrolling = false
        var nextInspection = Instant(nanoseconds: .min)
        @exclusivity(unchecked) var audit: ClockAudit
        /// How far its clock is ahead of ours, as far as is known.
        @exclusivity(unchecked) var offset = ClockOffset()
        var mayAskTime = true
        var standing = NodeStanding.unknown

        /// What lies at the place of the record.
        private(set) var recordPlace = RecordPlace.empty

        /// The record that lies there, whether it stands or not; nil if it is none.
        var writtenRecord: NodeRecord? { recordPlace.record }

        init(audit: ClockAudit) {
            self.audit = audit
        }

        /// Whether it must be heard before it is enrolled.
        var isToBeHeard: Bool { distrust?.isRecordKnown == false }

        /// The record, if it stands.
        var record: NodeRecord? {
            if case .recordStands(let record) = judgement { record } else { nil }
        }
    }

    /// Why the votes of a node are worth nothing, and under which record it earned that.
    struct Distrust {
        let reason: EnrolmentReason
        /// The record that the node had when it was asked for the first time after the event; what was read before may
        /// have been replaced meanwhile, by somebody who knows nothing of the event.
        private(set) var record: RecordID?
        private(set) var isRecordKnown = false

        init(_ reason: EnrolmentReason) {
            self.reason = reason
        }

        /// Notes what lies at the place of the record now; only the first time counts.
        mutating func note(_ record: NodeRecord?) {
            guard !isRecordKnown else { return }
            self.record = record?.id
            isRecordKnown = true
        }

        /// Whether a record was written by somebody who may know nothing of the event.
        func covers(_ record: NodeRecord) -> Bool {
            !isRecordKnown || record.id == self.record
        }
    }

    private static let heartbeatNanoseconds: Int64 = 1_000_000_000
    private static let inspectionNanoseconds: Int64 = 10_000_000_000
    /// After this time, every client has seen what was changed on a node.
    static let slowestNoticeMilliseconds = (inspectionNanoseconds + 2 * heartbeatNanoseconds) / 1_000_000
    private static let refusedInspectionNanoseconds: Int64 = 2_000_000_000

    unowned let engine: LockEngine
    let isGuarding: Bool
    /// Whether nodes that need it are enrolled: from the first call on that needs their votes.
    ///
    /// A client that only looks writes nothing, and neither does that of an operator who is about to enrol them.
    private(set) var enrolsNodes = false
    let nodes: [Node]
    /// Where the replies of each node go.
    let replies: [NodeReplies]
    /// A clock that deviated, until it is known whose it is.
    @exclusivity(unchecked) var incident: ClockIncident?
    private var heartbeat: (any LoopTimer)?

    /// The nodes whose votes count.
    @exclusivity(unchecked) private(set) var admitted: NodeSet = []
    /// The nodes whose extensions count.
    private(set) var extendable: NodeSet = []
    /// The ids of the records that were admitted, by node.
    @exclusivity(unchecked) private(set) var recordIDs: [RecordID]

    init(engine: LockEngine) {
        self.engine = engine
        let profile = engine.profile
        isGuarding = profile.isStandard
        recordIDs = Array(repeating: RecordID(bits: 0), count: engine.quorum.nodeCount)
        let audit = ClockAudit(drift: engine.configuration.drift.lockCore)
        nodes = engine.nodeNames.map { _ in Node(audit: audit) }
        replies = engine.nodeNames.indices.map { node in
            NodeReplies(
                node: node,
                verifiesVotes: profile.isStandard,
                now: { [unowned engine] in engine.surroundings.now },
                judge: { [unowned engine] sample in engine.admission.clockRead(sample, at: node) },
                sendWhole: { [unowned engine] command, receiver in
                    // Most often the scripts were flushed. If it is another server behind the same connection, this
                    // tells, and the answer of the script comes behind it.
                    engine.admission.inspect(node)
                    engine.send(command, to: [node], receiver: receiver, form: .wholeInstead)
                },
                abandonConnection: { [unowned engine] in engine.surroundings.abandonConnection(to: node, $0) }
            )
        }
    }

    /// What the client expects of a node's record.
    func membership(of node: Int) -> Membership {
        Membership(
            node: engine.nodeNames[node],
            members: engine.nodeNames,
            maximumTTLMilliseconds: engine.configuration.maximumTTL.nanoseconds / 1_000_000
        )
    }

    /// Notes that something is wanted that needs votes: from now on, nodes that need it are enrolled.
    func votesAreWanted() {
        guard isGuarding, !enrolsNodes else { return }
        enrolsNodes = true
        for node in nodes.indices { refreshRecordIfOutdated(of: node) }
        reconsider()
    }

    // MARK: Connections

    func connected(_ node: Int, handshakeReplies: [RESPValue]) {
        nodes[node].isConnected = true
        guard isGuarding else { return settleUnguarded(node) }
        startHeartbeat()
        inspected(node, .success(Array(handshakeReplies.prefix(NodeInspection.commandCount))))
        // The first reading that later ones are compared with.
        engine.readClocks(of: [node])
    }

    func disconnected(_ node: Int) {
        nodes[node].isConnected = false
        nodes[node].isBeingAsked = false
        nodes[node].isToBeAskedAgain = false
        nodes[node].isEnrolling = false
        nodes[node].judgement = nil
        nodes[node].offset = ClockOffset()
        guard isGuarding else { return settleUnguarded(node) }
        reconsider()
    }

    private func settleUnguarded(_ node: Int) {
        let isConnected = nodes[node].isConnected
        nodes[node].standing = isConnected ? .admitted : .unknown
        if isConnected { admitted.insert(node) } else { admitted.remove(node) }
        extendable = admitted
        engine.admissionChanged()
    }

    // MARK: Inspection

    /// Asks a node again, because of what it answered: its record is another one, or it is no longer what it was.
    func inspect(_ node: Int) {
        guard isGuarding, nodes[node].isConnected, !nodes[node].isBeingAsked else { return }
        nodes[node].isBeingAsked = true
        let commands = NodeInspection.commands(recordKey: engine.profile.recordKey)
        let collector = ReplyCollector(replyCount: commands.count) { [unowned self] result in
            if isAnswerUseful(from: node) { inspected(node, result) }
        }
        for command in commands { engine.send(.plain(command), to: [node], receiver: collector) }
    }

    /// Ends the asking; if what came was asked for too early, the node is asked once more.
    private func isAnswerUseful(from node: Int) -> Bool {
        nodes[node].isBeingAsked = false
        guard nodes[node].isConnected else { return false }
        guard nodes[node].isToBeAskedAgain else { return true }
        nodes[node].isToBeAskedAgain = false
        inspect(node)
        return false
    }

    private func inspected(_ node: Int, _ result: Result<[RESPValue], NodeFailure>) {
        do {
            // A connection that failed is reported as such.
            guard case .success(let replies) = result else { return }
            let inspection = try NodeInspection(replies: replies)
            nodes[node].facts = inspection.facts
            nodes[node].unanswered = inspection.unanswered
            nodes[node].recordText = inspection.record
            let record = nodes[node].writtenRecord
            nodes[node].distrust?.note(record)
            nodes[node].mayAskTime = inspection.serverMicroseconds != nil
            if let serverMicroseconds = inspection.serverMicroseconds {
                nodes[node].offset.guess(serverMicroseconds: serverMicroseconds, heard: engine.surroundings.now)
            }
            lookForMarker(node)
        } catch {
            nodes[node].enrolmentFailure = error.message
            nodes[node].judgement = nil
            scheduleInspection(node)
            engine.nodeWasTried(node)
            reconsider()
        }
    }

    /// Where this user or the enroller may not learn which process the server is, the script that only its memory has
    /// tells.
    func lookForMarker(_ node: Int) {
        guard let record = nodes[node].writtenRecord, let marker = record.marker,
            nodes[node].facts?.runID == nil || record.runID == nil
        else { return judge(node) }
        nodes[node].isBeingAsked = true
        let collector = ReplyCollector(replyCount: 1) { [unowned self] result in
            guard isAnswerUseful(from: node), case .success(let replies) = result else { return }
            if replies[0].isScriptMissing {
                nodes[node].facts?.hasMarker = false
            } else if replies[0].error == nil {
                nodes[node].facts?.hasMarker = true
            }
            judge(node)
        }
        engine.send(.plain(["EVALSHA", marker, "0"]), to: [node], receiver: collector)
    }

    func judge(_ node: Int) {
        guard let facts = nodes[node].facts else { return }
        nodes[node].enrolmentFailure = nil
        let judgement = AdmissionJudgement.judge(facts, nodes[node].recordPlace, expecting: membership(of: node))
        nodes[node].judgement = judgement
        if case .recordStands(let record) = judgement {
            distrustAgain(node, under: record)
            refreshRecordIfOutdated(of: node)
        }
        scheduleInspection(node)
        engine.nodeWasTried(node)
        reconsider()
    }

    /// What was seen of a node is not forgotten while it has the record that it had then.
    private func distrustAgain(_ node: Int, under record: NodeRecord) {
        guard let distrust = nodes[node].distrust else { return }
        if distrust.covers(record) {
            nodes[node].judgement = .enrol(distrust.reason)
        } else {
            nodes[node].distrust = nil
        }
    }

    /// Notes that a node did what makes its votes worthless: it must be enrolled anew before it has a vote again, in
    /// place of the record that it has after the event.
    func distrust(_ node: Int, _ reason: EnrolmentReason) {
        if isPlanted(.jumpForgiven) { return }
        nodes[node].distrust = Distrust(reason)
        if nodes[node].record != nil { nodes[node].judgement = .enrol(reason) }
        nodes[node].isToBeAskedAgain = nodes[node].isBeingAsked
        inspect(node)
    }

    func scheduleInspection(_ node: Int) {
        let isGood = nodes[node].record != nil
        let delay = isGood ? Self.inspectionNanoseconds : Self.refusedInspectionNanoseconds
        // Spread, so that clients that started together do not ask together.
        let spread = Int64(engine.surroundings.randomBits() % UInt64(delay / 4))
        nodes[node].nextInspection = engine.surroundings.now.advanced(byNanoseconds: delay - spread)
    }

    // MARK: Standing

    /// Decides anew whose votes count; what has changed is told.
    func reconsider() {
        var changed: [(node: Int, standing: NodeStanding)] = []
        admitted = []
        extendable = []
        let median = medianOffset
        let stranger = stranger
        for node in nodes.indices {
            let standing = standing(of: node, clockMedian: median, stranger: stranger)
            if standing != nodes[node].standing { changed.append((node, standing)) }
            nodes[node].standing = standing
            if standing == .admitted, let record = nodes[node].record {
                admitted.insert(node)
                recordIDs[node] = record.id
            }
            if standing.countsExtensions { extendable.insert(node) }
        }
        for change in changed { engine.standingChanged(of: change.node, to: change.standing) }
        enrolThoseWhoAreDue()
        if !changed.isEmpty { engine.admissionChanged() }
    }

    // MARK: Heartbeat

    private func startHeartbeat() {
        guard heartbeat == nil else { return }
        let next = engine.surroundings.now.advanced(byNanoseconds: Self.heartbeatNanoseconds)
        // Timers hold on to the engine: it is there as long as anything of it runs.
        heartbeat = engine.surroundings.schedule(at: next) { [self, engine] in
            defer { withExtendedLifetime(engine) {} }
            heartbeat = nil
            beat()
            if nodes.contains(where: \.isConnected) { startHeartbeat() }
        }
    }

    /// Reads the clocks that no other traffic reads, asks again who is due, and ends quarantines.
    private func beat() {
        let now = engine.surroundings.now
        // At every beat while leases are held, at every second one otherwise: each attempt reads the clocks it depends on.
        // Half a beat less: an answer is a round trip younger than the beat that asked for it.
        let halfBeat = Self.heartbeatNanoseconds / 2
        let longAgo = now.advanced(byNanoseconds: engine.keeper.count > 0 ? -halfBeat : -3 * halfBeat)
        var silent: NodeSet = []
        for (node, state) in nodes.enumerated() where state.isConnected && state.mayAskTime {
            if state.audit.lastRead.map({ $0 <= longAgo }) ?? true { silent.insert(node) }
        }
        if !silent.isEmpty { engine.readClocks(of: silent) }
        for node in nodes.indices where nodes[node].nextInspection <= now { inspect(node) }
        reconsider()
    }

    /// Ends what goes on by itself.
    func stop() {
        heartbeat?.cancel()
        heartbeat = nil
        incident?.timer?.cancel()
        incident = nil
    }
}

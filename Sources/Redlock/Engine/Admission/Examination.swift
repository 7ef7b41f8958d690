// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// One look at all that the promises rest on.
struct Examination {
    let engine: LockEngine

    /// What is known of one node at one moment.
    private struct Snapshot: Sendable {
        let facts: ServerFacts?
        let record: NodeRecord?
        let standing: NodeStanding
        let problem: String?
        let quarantineMicroseconds: Int64?
        let isConnected: Bool
        let clockDistanceMilliseconds: Int64?
        let twin: Int?
        /// What the server is, if it is of a kind that no lock can be on; then it is asked nothing else.
        let kindWithoutLocks: Refusal?
        /// What the server did not tell, and why.
        var unanswered: [Question: Explanation]
        /// How often keys were deleted wholesale since the server started; nil if that is not known.
        var deletions: [String: Int64]?
        /// Why the server did not take a write; nil if it did.
        var refusedWrite: Explanation?
    }

    func diagnosis() async -> Diagnosis {
        await waitForEnrolments()
        var nodes: [Diagnosis.Node] = []
        for node in engine.allNodes { nodes.append(await examine(node)) }
        return Diagnosis(
            nodes: nodes,
            client: Self.clientFindings,
            quorum: engine.quorum.votesNeeded,
            nodesThatMayFail: engine.quorum.nodesThatMayFail,
            nodesThatMayForget: engine.quorum.nodesThatMayForget
        )
    }

    private func examine(_ node: Int) async -> Diagnosis.Node {
        var snapshot = await engine.onLoop { Self.snapshot(of: node, in: $0) }
        if snapshot.isConnected, snapshot.kindWithoutLocks == nil { await question(node, &snapshot) }
        return Diagnosis.Node(
            name: engine.nodeNames[node],
            server: snapshot.isConnected ? snapshot.facts?.software?.printable(limit: 100) : nil,
            hasVote: snapshot.isConnected && snapshot.standing == .admitted && snapshot.refusedWrite == nil,
            reason: snapshot.problem ?? snapshot.refusedWrite.map { "takes no writes: \($0.reason)" },
            quarantineRemaining: snapshot.quarantineMicroseconds.map { .microseconds($0) },
            findings: snapshot.isConnected ? findings(of: snapshot) : []
        )
    }

    /// Asks a node what is asked for the diagnosis alone.
    private func question(_ node: Int, _ snapshot: inout Snapshot) async {
        // No client sets that key, so there is nothing to replace; a server that takes no writes refuses even that.
        let questions = [["INFO", "commandstats"], ["SET", engine.profile.probeKey, "1", "XX", "PX", "1000"]]
        switch await engine.ask(node, questions.map { NodeCommand.plain($0) }) {
        case .success(let replies):
            snapshot.deletions = replies[0].string.map(Self.deletions(inCommandStatistics:))
            if snapshot.deletions == nil {
                snapshot.unanswered[.statistics] = Question.statistics.refused(with: replies[0])
            }
            if replies[1].error != nil { snapshot.refusedWrite = Self.refusedWrite(replies[1]) }
        case .failure(let failure):
            snapshot.unanswered[.statistics] = Explanation(failure.message)
            snapshot.refusedWrite = Explanation(failure.message)
        }
    }

    /// What stands against a write, by the code of the error.
    private static func refusedWrite(_ reply: RESPValue) -> Explanation {
        let remedy: String? =
            switch reply.error?.prefix(while: { $0 != " " }) {
            case "OOM": "give it more memory"
            case "MISCONF": "give it disk, and mend what keeps it from saving"
            case "NOPERM": "give its user the rights that the README lists"
            case "READONLY": "give every node a master of its own, without replicas or failover"
            case "NOREPLICAS": "set min-replicas-to-write 0"
            default: nil
            }
        return Explanation(reply.problem.printable(), remedy: remedy)
    }

    /// A node that is being enrolled at this moment is in quarantine in the next, and then it can be told for how long.
    private func waitForEnrolments() async {
        for _ in 0..<10 where await engine.onLoop({ $0.admission.nodes.contains(where: \.isEnrolling) }) {
            try? await Task.sleep(for: engine.configuration.nodeTimeout / 10)
        }
    }

    private static func snapshot(of node: Int, in engine: LockEngine) -> Snapshot {
        let state = engine.admission.nodes[node]
        let record = state.writtenRecord
        var quarantineMicroseconds: Int64?
        if case .quarantined = state.standing, let record {
            quarantineMicroseconds = engine.admission.quarantineRemainingMicroseconds(of: record, on: node)
        }
        return Snapshot(
            facts: state.facts,
            record: record,
            standing: state.standing,
            problem: state.standing == .admitted ? nil : engine.problem(of: node),
            quarantineMicroseconds: quarantineMicroseconds,
            isConnected: state.isConnected,
            clockDistanceMilliseconds: engine.admission.clockDistanceMilliseconds(of: node),
            twin: engine.admission.twin(of: node),
            kindWithoutLocks: engine.admission.kindWithoutLocks(of: node),
            unanswered: state.unanswered
        )
    }

    /// The calls of FLUSHALL and FLUSHDB; see https://redis.io/docs/latest/commands/info/.
    private static func deletions(inCommandStatistics text: String) -> [String: Int64] {
        var calls: [String: Int64] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            for command in ["flushall", "flushdb"] where line.hasPrefix("cmdstat_\(command):calls=") {
                calls[command] = Int64(line.drop { $0 != "=" }.dropFirst().prefix(while: \.isNumber))
            }
        }
        return calls
    }

    // MARK: Nodes

    private func findings(of snapshot: Snapshot) -> [Diagnosis.Finding] {
        let findings = [
            distinctServers(snapshot), durability(snapshot), fsyncBeforeReply(snapshot), noDeletion(snapshot),
            noEviction(snapshot), independentMaster(snapshot), clockNotFast(snapshot), clockNotSlow(snapshot),
            sameConfiguration(snapshot), takesWrites(snapshot),
        ]
        guard let kind = snapshot.kindWithoutLocks else { return findings }
        let (reason, remedy) = kind.text(nodeNames: engine.nodeNames)
        return findings.map { finding in
            finding.assumption == .independentMaster
                ? .fail(.independentMaster, reason, remedy) : .unknown(finding.assumption, "not asked: \(reason)", nil)
        }
    }

    /// What is said of an assumption where the server did not answer the question that it depends on.
    private func unknown(
        _ assumption: Assumption,
        _ question: Question,
        _ snapshot: Snapshot,
        consequence: String = ""
    ) -> Diagnosis.Finding {
        let explanation =
            snapshot.unanswered[question] ?? question.withoutAnswer(isAsked: snapshot.facts != nil)
        return .unknown(assumption, explanation.reason + consequence, explanation.remedy)
    }

    private func distinctServers(_ snapshot: Snapshot) -> Diagnosis.Finding {
        if let twin = snapshot.twin {
            let other = engine.nodeNames[twin]
            return .fail(.distinctServers, "it is the same server as \(other)", "list every server once")
        }
        guard snapshot.facts?.runID != nil else { return unknown(.distinctServers, .information, snapshot) }
        return .pass(.distinctServers, "no other node is the same server process")
    }

    private func durability(_ snapshot: Snapshot) -> Diagnosis.Finding {
        let quarantine = "a restart costs a quarantine of \(quarantineSeconds(snapshot)) s"
        guard let facts = snapshot.facts, let hasFile = facts.hasAppendOnlyFile else {
            return unknown(.durability, .information, snapshot, consequence: "; \(quarantine)")
        }
        guard hasFile else {
            return .fail(.durability, "it writes no append-only file; \(quarantine)", "set appendonly yes")
        }
        switch facts.suspendsFsyncDuringRewrite {
        case true?:
            return .fail(
                .durability,
                "it does not sync while it rewrites its file; \(quarantine)",
                "set no-appendfsync-on-rewrite no"
            )
        case nil:
            return unknown(.durability, .settings, snapshot, consequence: "; \(quarantine)")
        case false?:
            break
        }
        guard facts.isDurable else {
            return .fail(.durability, "it does not sync every write; \(quarantine)", "set appendfsync always")
        }
        guard snapshot.record?.isDurable != false else {
            return .fail(
                .durability,
                "it was not durable when it was enrolled; \(quarantine)",
                "enrol it anew with `redlock init --update`"
            )
        }
        return .pass(.durability, "append-only file, synced before every answer; it keeps its vote after a restart")
    }

    private func quarantineSeconds(_ snapshot: Snapshot) -> Int64 {
        let maximumTTL = engine.configuration.maximumTTL.nanoseconds / 1_000_000
        let length = NodeRecord.quarantineMilliseconds(
            maximumTTLMilliseconds: max(maximumTTL, snapshot.record?.maximumTTLMilliseconds ?? 0),
            drift: engine.configuration.drift.lockCore
        )
        return (length + 999) / 1_000
    }

    private func fsyncBeforeReply(_ snapshot: Snapshot) -> Diagnosis.Finding {
        guard let policy = snapshot.facts?.fsyncPolicy else {
            return unknown(.fsyncBeforeReply, .settings, snapshot)
        }
        guard snapshot.facts?.hasAppendOnlyFile != false else {
            return .fail(.fsyncBeforeReply, "it writes no append-only file", "set appendonly yes")
        }
        guard policy == "always" else {
            return .fail(.fsyncBeforeReply, "appendfsync is \(policy)", "set appendfsync always")
        }
        return .pass(.fsyncBeforeReply, "appendfsync is always")
    }

    private func noDeletion(_ snapshot: Snapshot) -> Diagnosis.Finding {
        guard let deletions = snapshot.deletions else {
            return unknown(.noDeletion, .statistics, snapshot, consequence: "; a lost record would be noticed")
        }
        let calls = deletions.filter { $0.value > 0 }.sorted { $0.key < $1.key }
        guard calls.isEmpty else {
            let list = calls.map { "\($0.key) \($0.value) times" }.joined(separator: ", ")
            return .fail(.noDeletion, "since its start it was told \(list)", "take the right to it from every user")
        }
        return .pass(.noDeletion, "no FLUSHALL or FLUSHDB since its start; a lost record would be noticed")
    }

    private func noEviction(_ snapshot: Snapshot) -> Diagnosis.Finding {
        guard let facts = snapshot.facts, let limit = facts.memoryLimitBytes, let policy = facts.evictionPolicy else {
            return unknown(.noEviction, .information, snapshot)
        }
        if facts.mayEvict {
            return .fail(.noEviction, "maxmemory-policy is \(policy)", "set maxmemory-policy noeviction")
        }
        return .pass(.noEviction, limit == 0 ? "maxmemory is not set" : "maxmemory-policy is noeviction")
    }

    private func independentMaster(_ snapshot: Snapshot) -> Diagnosis.Finding {
        guard let isMaster = snapshot.facts?.isMaster else {
            return unknown(.independentMaster, .information, snapshot)
        }
        guard isMaster else {
            return .fail(.independentMaster, "it is a replica", "give every node a master of its own, without failover")
        }
        guard snapshot.facts?.formerReplicationID == nil else {
            return .fail(
                .independentMaster,
                "it was a replica and became a master",
                "give every node a master of its own, without failover"
            )
        }
        return .pass(.independentMaster, "it is a master and never was a replica in this process")
    }

    private func clockNotFast(_ snapshot: Snapshot) -> Diagnosis.Finding {
        clock(.clockNotFast, snapshot) { $0 > 0 }
    }

    private func clockNotSlow(_ snapshot: Snapshot) -> Diagnosis.Finding {
        clock(.clockNotSlow, snapshot) { $0 < 0 }
    }

    private func clock(
        _ assumption: Assumption,
        _ snapshot: Snapshot,
        _ isWrong: (Int64) -> Bool
    ) -> Diagnosis.Finding {
        if snapshot.unanswered[.time] != nil { return unknown(assumption, .time, snapshot) }
        guard let distance = snapshot.clockDistanceMilliseconds else {
            return .unknown(assumption, "its clock was not read yet", nil)
        }
        let limit = engine.configuration.maximumTTL.nanoseconds / 4_000_000
        let text = "\(distance.magnitude) ms \(distance < 0 ? "behind" : "ahead of") the median of the nodes"
        if isWrong(distance), distance.magnitude > UInt64(limit) {
            return .fail(assumption, text, "synchronise its clock; slew it, never step it")
        }
        return .pass(assumption, text + "; watched with every write")
    }

    private func sameConfiguration(_ snapshot: Snapshot) -> Diagnosis.Finding {
        switch snapshot.standing {
        case .refused(let refusal):
            switch refusal {
            case .otherMembership, .maximumTTL, .unreadableRecord:
                let (reason, remedy) = refusal.text(nodeNames: engine.nodeNames)
                return .fail(.sameConfiguration, reason, remedy)
            default: break
            }
        case .membersDisagree, .enrolmentFailed:
            return .fail(.sameConfiguration, snapshot.problem ?? "its record cannot be used", nil)
        default: break
        }
        guard let record = snapshot.record else {
            return .unknown(
                .sameConfiguration,
                "it has no record yet",
                "`redlock init`, if none of the servers ever granted a lock; otherwise the first client that asks for a "
                    + "lock enrols it"
            )
        }
        let seconds = Double(record.maximumTTLMilliseconds) / 1_000
        return .pass(
            .sameConfiguration,
            "enrolled as \(record.node), one of \(record.members.count), for TTLs up to \(seconds) s"
        )
    }

    private func takesWrites(_ snapshot: Snapshot) -> Diagnosis.Finding {
        guard let problem = snapshot.refusedWrite else {
            return .pass(.takesWrites, "it would carry out a write; none was made")
        }
        return .fail(.takesWrites, problem.reason, problem.remedy)
    }

    // MARK: Client

    /// What no node can break, and how it is kept.
    private static let clientFindings: [Diagnosis.Finding] = [
        .pass(
            .ownClock,
            "leases end by a clock that runs on in suspend; the nodes' clocks would show if it stood still"
        ),
        .unknown(
            .holderStops,
            "no lock can stop a paused holder; renewal and the loss deadline make it rare",
            "give the fencing token to the store, and let it refuse lower ones"
        ),
        .pass(.repliesMatch, "a connection with a late, surplus or unreadable reply is closed"),
        .pass(.givenUpCommands, "a release follows on the same connection, and later ones until the TTL is over"),
        .pass(.errorsAreDoubtful, "what an error leaves in doubt is released"),
        .pass(.unguessableTokens, "128 bits from the system, new for every attempt"),
    ]
}

extension Diagnosis.Finding {
    fileprivate static func pass(_ assumption: Assumption, _ reason: String) -> Self {
        Self(assumption: assumption, verdict: .pass, reason: reason, remedy: nil)
    }

    fileprivate static func fail(_ assumption: Assumption, _ reason: String, _ remedy: String?) -> Self {
        Self(assumption: assumption, verdict: .fail, reason: reason, remedy: remedy)
    }

    fileprivate static func unknown(_ assumption: Assumption, _ reason: String, _ remedy: String?) -> Self {
        Self(assumption: assumption, verdict: .unknown, reason: reason, remedy: remedy)
    }
}

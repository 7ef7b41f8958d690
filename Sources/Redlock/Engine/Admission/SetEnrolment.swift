// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// The enrolment of a whole set of nodes by an operator: every node is looked at before the first is changed.
struct SetEnrolment {
    let engine: LockEngine

    private struct Candidate {
        let node: Int
        let inspection: NodeInspection
        var record: NodeRecord? { inspection.record.flatMap(NodeRecord.init(text:)) }
    }

    func enrolNewSet() async throws {
        let candidates = try await inspectAll()
        try refuse(problems(of: candidates), "no node was enrolled")
        var problems: [Int: String] = [:]
        let areSomeEnrolled = candidates.contains { $0.record != nil }
        for candidate in candidates {
            if let problem = problemOfRecord(of: candidate, among: candidates) {
                problems[candidate.node] = problem
            } else if areSomeEnrolled, let problem = try await problemOfFormerLocks(on: candidate.node) {
                problems[candidate.node] = problem
            } else if let problem = try await problemOfHeldLocks(on: candidate.node) {
                problems[candidate.node] = problem
            }
        }
        try refuse(problems, "no node was enrolled; `redlock init --update` enrols nodes that have a record")
        try await write(candidates, .atOnce)
    }

    func updateSet() async throws -> Duration {
        let candidates = try await inspectAll()
        try refuse(problems(of: candidates), "no node was enrolled anew")
        try refuseToLeaveOldQuorum(candidates)
        try await write(candidates, .quarantine)
        let remaining = await engine.onLoop { engine in
            engine.allNodes.compactMap { node in
                engine.admission.nodes[node].record.map {
                    engine.admission.quarantineRemainingMicroseconds(of: $0, on: node)
                }
            }.max()
        }
        return .microseconds(remaining ?? 0)
    }

    // MARK: Looking

    private func inspectAll() async throws -> [Candidate] {
        try await engine.waitUntilConnected()
        // A quorum is enough to lock, but not to found a set.
        await engine.waitForStragglers()
        var candidates: [Candidate] = []
        var problems: [Int: String] = [:]
        let commands = NodeInspection.commands(recordKey: engine.profile.recordKey).map { NodeCommand.plain($0) }
        for node in engine.allNodes {
            do {
                let replies = try await engine.ask(node, commands).get()
                candidates.append(Candidate(node: node, inspection: try NodeInspection(replies: replies)))
            } catch {
                problems[node] = "\(error)"
            }
        }
        guard problems.isEmpty else {
            throw RedlockError(
                .quorumUnavailable,
                "every node must answer to be enrolled, and \(problems.count) of \(engine.quorum.nodeCount) do not",
                nodes: engine.report(problems, otherwise: "answers")
            )
        }
        return candidates
    }

    /// What stands against a node, whatever its record says.
    private func problems(of candidates: [Candidate]) -> [Int: String] {
        var problems: [Int: String] = [:]
        for candidate in candidates {
            guard let refusal = refusal(of: candidate, among: candidates) else { continue }
            let (reason, remedy) = refusal.text(nodeNames: engine.nodeNames)
            problems[candidate.node] = "\(reason); \(remedy)"
        }
        return problems
    }

    private func refusal(of candidate: Candidate, among candidates: [Candidate]) -> Refusal? {
        let inspection = candidate.inspection
        if let refusal = AdmissionJudgement.refusal(of: inspection.facts) { return refusal }
        let twin = candidates.first { other in
            other.node != candidate.node && inspection.facts.runID != nil
                && other.inspection.facts.runID == inspection.facts.runID
        }
        if let twin { return .listedTwice(with: twin.node) }
        if inspection.serverMicroseconds == nil { return .clockUnknown }
        return inspection.record != nil && candidate.record == nil ? .unreadableRecord : nil
    }

    /// Why a lock may have been granted under the record of a node; nil if it has none, or if that is ruled out as far as
    /// records tell.
    ///
    /// It is where a client wrote the record because there was none, the server lost nothing since, and the node had no
    /// vote yet when the last of the set was enrolled: then nothing was granted before that, and what was granted later
    /// has left keys on its nodes.
    private func problemOfRecord(of candidate: Candidate, among candidates: [Candidate]) -> String? {
        guard let record = candidate.record else { return nil }
        let problem = "it has a record already, so it may have granted locks"
        guard record.reason == .noRecord else { return "\(problem); \(record.reason.text)" }
        let membership = Membership(
            node: engine.nodeNames[candidate.node],
            members: engine.nodeNames,
            maximumTTLMilliseconds: record.maximumTTLMilliseconds
        )
        switch AdmissionJudgement.judge(candidate.inspection.facts, .holds(record), expecting: membership) {
        case .enrol(let reason): return "\(problem); \(reason.text)"
        case .refuse(let refusal): return "\(problem); \(refusal.text(nodeNames: engine.nodeNames).reason)"
        case .recordStands: break
        }
        // A node without a record may have lost one at any time until now.
        let lastEnrolment = candidates.compactMap { $0.record?.serverMicroseconds ?? $0.inspection.serverMicroseconds }
        let lastByWall = candidates.map { $0.record?.wallMicroseconds ?? engine.surroundings.wallMicroseconds }
        let remaining = record.quarantineRemainingMicroseconds(
            serverMicroseconds: lastEnrolment.max() ?? .max,
            wallMicroseconds: lastByWall.max() ?? .max
        )
        return remaining > 0 ? nil : "\(problem); it had a vote before the others were enrolled"
    }

    /// Looks for what grants leave behind below the prefix, counters above all, which live on when a lock has ended.
    private func problemOfFormerLocks(on node: Int) async throws -> String? {
        let profile = engine.profile
        return try await problemOfKeys("\(profile.keyPrefix.escapedForPatterns)*", on: node, "it has granted locks") {
            profile.isLeftByGrant(key: $0)
        }
    }

    /// Looks for locks of the standard profile below the prefix.
    private func problemOfHeldLocks(on node: Int) async throws -> String? {
        for (start, _) in engine.profile.holdingPrefixes {
            let pattern = start.escapedForPatterns + "*"
            if let problem = try await problemOfKeys(pattern, on: node, "it holds locks", where: { _ in true }) {
                return problem
            }
        }
        return nil
    }

    private func problemOfKeys(
        _ pattern: String,
        on node: Int,
        _ problem: String,
        where isProof: ([UInt8]) -> Bool
    ) async throws -> String? {
        do throws(NodeFailure) {
            guard let key = try await engine.keys(matching: pattern, on: node).first(where: isProof) else { return nil }
            return "\(problem), for example \(String(decoding: key, as: UTF8.self).printable())"
        } catch {
            guard error.kind == .permission else { throw error }
            return "it cannot be told whether \(problem): \(error.message)"
        }
    }

    /// Clients that still have an old list must not find a quorum in which no node knows of the new one.
    private func refuseToLeaveOldQuorum(_ candidates: [Candidate]) throws {
        // By the names that they had: a node that gets another name is not left out.
        let renewed = Set(candidates.compactMap { $0.record?.node })
        for members in Set(candidates.compactMap { $0.record?.members }) {
            let left = members.filter { !renewed.contains($0) }
            guard left.count > members.count / 2 else { continue }
            throw RedlockError(
                .enrolmentRefused,
                "the new list leaves out \(left.joined(separator: ", ")), a majority of the old one, so clients with the "
                    + "old list could go on locking there; replace at most a minority at a time"
            )
        }
    }

    private func refuse(_ problems: [Int: String], _ message: String) throws {
        guard !problems.isEmpty else { return }
        let report = engine.report(problems, otherwise: "nothing stands against it")
        throw RedlockError(.enrolmentRefused, message, nodes: report)
    }

    // MARK: Writing

    private func write(_ candidates: [Candidate], _ kind: NodeAdmission.EnrolmentKind) async throws {
        // All are known before the first is written: the longest TTL that any of them was enrolled for counts for all.
        let longestTTL = await engine.onLoop { engine in
            for candidate in candidates {
                engine.admission.nodes[candidate.node].facts = candidate.inspection.facts
                engine.admission.nodes[candidate.node].recordText = candidate.inspection.record
            }
            return engine.admission.longestTTLMilliseconds
        }
        var problems: [Int: String] = [:]
        // Those first whose records clients with another list know: the new ones alone must not become a quorum.
        for candidate in candidates.filter({ $0.record != nil }) + candidates.filter({ $0.record == nil }) {
            let node = candidate.node
            let problem: String? = await withCheckedContinuation { continuation in
                engine.submit { engine in
                    let admission = engine.admission
                    let membership = admission.membership(of: node)
                    admission.enrol(node, .requested, at: kind, membership: membership, longestTTL: longestTTL) {
                        continuation.resume(returning: $0)
                    }
                }
            }
            if let problem {
                problems[node] = problem
                break
            }
        }
        guard problems.isEmpty else {
            throw RedlockError(
                .enrolmentRefused,
                "not every node could be enrolled; `redlock init --update` enrols them all anew",
                nodes: engine.report(problems, otherwise: "enrolled, or not tried after that")
            )
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import Logging
import RedisTransport

/// A clock that deviated, and what the other nodes say meanwhile: only all together show whose clock it was.
struct ClockIncident {
    /// Readings that were asked for before say nothing of it.
    let opened: Instant
    var deviations: [Int: ClockDeviation] = [:]
    /// The readings from which the clocks of the deviating nodes are followed on.
    var readings: [Int: ClockSample] = [:]
    /// The nodes whose clocks agree with the client's, and by how much they may deviate all the same.
    var agreeing: [Int: ClockDeviation] = [:]
    var timer: (any LoopTimer)?
    /// Whether the client's own clock is suspected, so that nothing is held any more.
    var isOwnClockSuspected = false

    /// The deviations, in the order of the nodes.
    var inOrder: [ClockDeviation] {
        deviations.sorted { $0.key < $1.key }.map(\.value)
    }
}

extension NodeAdmission {
    /// Takes a reading of a node's clock; tells whether it agrees with ours.
    func clockRead(_ sample: ClockSample, at node: Int) -> Bool {
        nodes[node].offset.read(sample)
        let isFirstReading = nodes[node].audit.lastRead == nil
        if let deviation = nodes[node].audit.read(sample) {
            clockDeviated(deviation, at: node, reading: sample)
            return false
        }
        // One that deviated and agrees again did jump, forth and back.
        if isSuspected(node) { return false }
        if let incident, !isFirstReading, sample.sent >= incident.opened {
            self.incident?.agreeing[node] = nodes[node].audit.lastRange
            closeIncidentIfClear()
        }
        return true
    }

    /// Takes a deviation that shows in a reading, or in the life that is left to a key.
    func clockDeviated(_ deviation: ClockDeviation, at node: Int, reading: ClockSample?) {
        guard isGuarding else { return }
        if incident == nil { openIncident() }
        incident?.deviations[node] = deviation
        incident?.agreeing[node] = nil
        if let reading { incident?.readings[node] = reading }
        closeIncidentIfClear()
    }

    /// Whether the clock of a node deviated, and it is not known yet whose it was.
    func isSuspected(_ node: Int) -> Bool {
        incident?.deviations[node] != nil
    }

    private func openIncident() {
        let now = engine.surroundings.now
        incident = ClockIncident(opened: now)
        engine.readClocks(of: engine.connectedNodes)
        incident?.timer = engine.surroundings.schedule(
            at: now.advanced(byNanoseconds: engine.nodeTimeoutNanoseconds)
        ) { [engine] in engine.admission.firstPatienceIsOver() }
    }

    /// A majority that says the same decides at once.
    private func closeIncidentIfClear() {
        guard let incident else { return }
        let culprit = ClockComparison.culprit(incident.inOrder, nodeCount: nodes.count)
        if culprit == .client || incident.agreeing.count > nodes.count / 2 { closeIncident(culprit) }
    }

    /// One node that agrees is enough to acquit the client's clock.
    ///
    /// Without any, it is suspected: nothing is held on to, and the nodes that are just being connected to are heard
    /// before a server is blamed.
    private func firstPatienceIsOver() {
        guard let incident else { return }
        guard incident.agreeing.isEmpty else { return closeIncident(.servers) }
        self.incident?.isOwnClockSuspected = true
        engine.ownClockDeviated(milliseconds: incident.inOrder.first?.milliseconds ?? 0)
        let patience = engine.configuration.connectTimeout.nanoseconds + engine.nodeTimeoutNanoseconds
        self.incident?.timer = engine.surroundings.schedule(
            at: engine.surroundings.now.advanced(byNanoseconds: patience)
        ) { [engine] in engine.admission.closeIncident(.either) }
    }

    private func closeIncident(_ culprit: ClockComparison.Culprit) {
        guard let incident else { return }
        self.incident = nil
        incident.timer?.cancel()
        if culprit != .servers {
            if incident.isOwnClockSuspected {
                // Told already; what was granted since then goes as well.
                engine.dropEverythingHeld()
            } else {
                engine.ownClockDeviated(milliseconds: incident.inOrder.first?.milliseconds ?? 0)
            }
        }
        let common =
            culprit == .client ? ClockComparison.commonDeviation(incident.inOrder, nodeCount: nodes.count) : nil
        followClocks(after: incident, culprit, common)
        for (node, deviation) in jumps(in: incident, common) {
            engine.clockDeviated(of: node, milliseconds: deviation.milliseconds)
            distrust(node, .clockJumped)
        }
        reconsider()
    }

    /// From here on the clocks are followed anew: what is wrong was seen.
    ///
    /// - Parameter common: by how much the client's clock was wrong, if it was the client's.
    private func followClocks(
        after incident: ClockIncident,
        _ culprit: ClockComparison.Culprit,
        _ common: ClockDeviation?
    ) {
        for node in nodes.indices {
            if let reading = incident.readings[node] {
                nodes[node].audit.restart(at: reading)
            } else if let common, incident.agreeing[node] == nil {
                // It was not heard since; its clock is expected to have gone on as those of the majority.
                nodes[node].audit.advance(by: common)
            } else if culprit != .servers {
                // What was read by a clock that may have stood still compares with nothing any more.
                nodes[node].audit = ClockAudit(drift: engine.configuration.drift.lockCore)
            }
        }
    }

    /// The nodes whose clocks went wrong, by how far.
    ///
    /// Where it was the client's clock, those are the nodes that did not go on as the majority did: they deviated
    /// otherwise, or went along with the client.
    private func jumps(
        in incident: ClockIncident,
        _ common: ClockDeviation?
    ) -> [(node: Int, deviation: ClockDeviation)] {
        let deviations =
            common == nil
            ? incident.deviations : incident.deviations.merging(incident.agreeing) { deviation, _ in deviation }
        return deviations.sorted { $0.key < $1.key }
            .compactMap { node, deviation in
                guard let common else { return (node, deviation) }
                return deviation.isAlike(common) ? nil : (node, deviation.minus(common))
            }
    }
}

// MARK: What the clocks say

extension NodeAdmission {
    /// How far the node's clock is ahead of the median of all, in milliseconds; nil while it was not read.
    func clockDistanceMilliseconds(of node: Int) -> Int64? {
        clockDistanceMilliseconds(of: node, from: medianOffset)
    }

    var medianOffset: Int64? { ClockComparison.median(nodes.compactMap(\.offset.nanoseconds)) }

    func clockDistanceMilliseconds(of node: Int, from median: Int64?) -> Int64? {
        guard let offset = nodes[node].offset.nanoseconds, let median else { return nil }
        return offset.subtractingReportingOverflow(median).partialValue / 1_000_000
    }

    func isTooFar(_ milliseconds: Int64) -> Bool {
        milliseconds.magnitude > UInt64(engine.configuration.maximumTTL.nanoseconds / 4_000_000)
            && !isPlanted(.clocksNotCompared)
    }

    /// What the clock of a node says by now, in microseconds since 1970; nil while it was not read.
    private func serverMicroseconds(of node: Int) -> Int64? {
        nodes[node].offset.nanoseconds.map { (engine.surroundings.now.nanoseconds + $0) / 1_000 }
    }

    /// What the clocks of the nodes say by now, in microseconds since 1970: that of the first node that has a vote; nil
    /// without any.
    var nodeMicroseconds: Int64? {
        admitted.first { !isSuspected($0) }.flatMap { serverMicroseconds(of: $0) }
    }

    /// What the clock in the middle of those of all nodes with a vote says, in microseconds since 1970: about the same for
    /// every client, whatever the order of its list.
    var medianMicroseconds: Int64? {
        let times = admitted.compactMap { serverMicroseconds(of: $0) }.sorted()
        return times.isEmpty ? nil : times[times.count / 2]
    }

    /// What a counter begins with that a node lost: one time for all nodes, so that they agree at once.
    ///
    /// Not the client's wall clock: those of many clients are apart by more than those of a few servers, and nothing
    /// checks them. Nor what the client knows of the nodes' clocks if it stood still meanwhile, so that a node takes its
    /// own time where the other is apart by more than an answer may take.
    var seeding: NodeCommand.Seeding {
        if isPlanted(.seededByWallClock) {
            return NodeCommand.Seeding(
                proposedMicroseconds: engine.surroundings.wallMicroseconds,
                toleranceMicroseconds: engine.configuration.maximumTTL.nanoseconds / 4_000
            )
        }
        return NodeCommand.Seeding(
            proposedMicroseconds: nodeMicroseconds ?? 0,
            toleranceMicroseconds: engine.nodeTimeoutNanoseconds / 1_000
        )
    }

    /// How much longer a node has no vote because of its last enrolment.
    func quarantineRemainingMicroseconds(of record: NodeRecord, on node: Int) -> Int64 {
        record.quarantineRemainingMicroseconds(
            serverMicroseconds: serverMicroseconds(of: node) ?? 0,
            wallMicroseconds: engine.surroundings.wallMicroseconds
        )
    }
}

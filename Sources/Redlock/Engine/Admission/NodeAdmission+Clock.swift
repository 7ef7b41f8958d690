// SPDX-License-Identifier: Apache-2.0

import LockCore
import Logging
import RedisTransport

/// A clock that deviated, and what the other nodes say meanwhile: only all together show whose clock it was.
struct ClockIncident {
    var deviations: [Int: ClockDeviation] = [:]
    /// The readings from which the clocks of the deviating nodes are followed on.
    var readings: [Int: ClockSample] = [:]
    /// The nodes that have yet to be heard.
    var open: NodeSet
    var timer: (any LoopTimer)?
}

extension NodeAdmission {
    /// Takes a reading of a node's clock; tells whether it agrees with ours.
    func clockRead(_ sample: ClockSample, at node: Int) -> Bool {
        nodes[node].offsetNanoseconds = sample.offsetNanoseconds
        if let deviation = nodes[node].audit.read(sample) {
            clockDeviated(deviation, at: node, reading: sample)
            return false
        }
        clockUnheard(of: node)
        return true
    }

    /// Takes a deviation that shows in a reading, or in the life that is left to a key.
    func clockDeviated(_ deviation: ClockDeviation, at node: Int, reading: ClockSample?) {
        guard isGuarding else { return }
        if incident == nil { openIncident(exceptFor: node) }
        incident?.deviations[node] = deviation
        if let reading { incident?.readings[node] = reading }
        clockUnheard(of: node)
    }

    /// Notes that a node has nothing (more) to say to the incident.
    func clockUnheard(of node: Int) {
        guard incident?.open.contains(node) == true || incident?.open.isEmpty == true else { return }
        incident?.open.remove(node)
        if incident?.open.isEmpty == true { closeIncident() }
    }

    private func openIncident(exceptFor node: Int) {
        let others = NodeSet(nodes.indices.filter { $0 != node && nodes[$0].isConnected })
        let patience = engine.surroundings.now.advanced(byNanoseconds: engine.configuration.nodeTimeout.nanoseconds)
        let timer = engine.surroundings.schedule(at: patience) { [weak self] in self?.closeIncident() }
        incident = ClockIncident(open: others, timer: timer)
        engine.readClocks(of: others)
    }

    private func closeIncident() {
        guard let incident else { return }
        self.incident = nil
        incident.timer?.cancel()
        // From here on the clocks are followed anew: what is wrong was seen.
        for (node, reading) in incident.readings { nodes[node].audit.restart(at: reading) }
        let culprit = ClockComparison.culprit(Array(incident.deviations.values), nodeCount: nodes.count)
        if culprit != .servers {
            let milliseconds = incident.deviations.values.first?.milliseconds ?? 0
            engine.ownClockDeviated(milliseconds: milliseconds)
        }
        guard culprit != .client else { return }
        for (node, deviation) in incident.deviations where nodes[node].isConnected {
            engine.clockDeviated(of: node, milliseconds: deviation.milliseconds)
            nodes[node].judgement = .enrol(.clockJumped)
        }
        reconsider()
    }
}

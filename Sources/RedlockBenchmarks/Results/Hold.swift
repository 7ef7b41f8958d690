// SPDX-License-Identifier: Apache-2.0

/// The time in which one holder had a lock, by the monotonic clock, which all processes of a machine share.
struct Hold: Codable, Sendable, Equatable {
    var begin: Int64
    var end: Int64
}

/// What many holds of one lock say about how it went from one holder to the next.
struct HoldTimeline {
    /// How long nobody had the lock, in nanoseconds, between one holder and the next.
    private(set) var gaps: [Int64] = []
    /// How many holds began while another one went on: none, unless the lock does not exclude.
    private(set) var overlapCount = 0

    /// The holds of all tasks and processes, in any order.
    init(_ holds: [Hold]) {
        var lastEnd: Int64?
        for hold in holds.sorted(by: { $0.begin < $1.begin }) {
            if let lastEnd {
                if hold.begin < lastEnd {
                    overlapCount += 1
                } else {
                    gaps.append(hold.begin - lastEnd)
                }
            }
            lastEnd = max(lastEnd ?? .min, hold.end)
        }
    }
}

extension Measurement {
    /// What several processes measured that competed for one lock at the same time.
    init(merging parts: [Measurement]) {
        self.init(seconds: parts.map(\.seconds).max() ?? 0)
        cycles = parts.map(\.cycles).reduce(0, +)
        processorSeconds = parts.map(\.processorSeconds).reduce(0, +)
        peakMemoryBytes = parts.map(\.peakMemoryBytes).reduce(0, +)
        acquisitionsOfEach = parts.flatMap(\.acquisitionsOfEach)
        lostLeases = parts.map(\.lostLeases).reduce(0, +)
        // Each process has seen what the nodes were asked by all of them.
        traffic = parts.compactMap(\.traffic).max { $0.commands < $1.commands }
        add(HoldTimeline(parts.flatMap { $0.holds ?? [] }))
    }

    /// Adds what the holds of one lock say.
    mutating func add(_ timeline: HoldTimeline) {
        var gaps = LatencyRecord()
        for gap in timeline.gaps { gaps.record(nanoseconds: gap) }
        gap = gaps.latency
        overlaps = timeline.overlapCount
    }
}

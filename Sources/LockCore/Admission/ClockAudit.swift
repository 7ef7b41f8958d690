// SPDX-License-Identifier: Apache-2.0

/// A server's clock, read between two instants of the client's own.
package struct ClockSample: Hashable, Sendable {
    /// Before the question was sent.
    package let sent: Instant

    /// When the answer was there.
    package let received: Instant

    /// What the server's clock said in between, in microseconds since 1970.
    package let serverMicroseconds: Int64

    /// One reading.
    package init(sent: Instant, received: Instant, serverMicroseconds: Int64) {
        self.sent = sent
        self.received = received
        self.serverMicroseconds = serverMicroseconds
    }

    /// How long it took: nobody knows when in between the clock was read.
    var widthNanoseconds: Int64 { sent.nanoseconds(until: received) }

    /// How far the server's clock is ahead of the client's, in nanoseconds; the origin of the client's is arbitrary, so
    /// the number means something only in comparison.
    package var offsetNanoseconds: Int64 {
        let middle = sent.nanoseconds / 2 + received.nanoseconds / 2
        return serverMicroseconds.multipliedSaturating(by: 1_000).subtractingSaturating(middle)
    }
}

/// How far a server's clock went beyond what its drift and the round trips explain.
package struct ClockDeviation: Hashable, Sendable {
    /// The least and the most by which the server's clock advanced more than the client's, in nanoseconds; negative
    /// if it advanced less.
    package let range: ClosedRange<Int64>

    /// A deviation between the least and the most.
    package init(range: ClosedRange<Int64>) {
        self.range = range
    }

    /// Whether both may be the same deviation: then it is the client's clock that it belongs to.
    package func isAlike(_ other: ClockDeviation) -> Bool {
        range.overlaps(other.range)
    }

    /// What is left of the deviation without the other, within what both leave open.
    package func minus(_ other: ClockDeviation) -> ClockDeviation {
        let least = range.lowerBound.subtractingSaturating(other.range.upperBound)
        let most = range.upperBound.subtractingSaturating(other.range.lowerBound)
        return ClockDeviation(range: least...most)
    }

    /// The middle of the range, in milliseconds.
    package var milliseconds: Int64 { (range.lowerBound / 2 + range.upperBound / 2) / 1_000_000 }
}

/// Follows the clock of one server: whatever it says must agree with the client's clock, within round trip and drift.
package struct ClockAudit: Hashable, Sendable {
    /// How old the readings that others are compared with may become.
    ///
    /// Compared with the one just before, a clock that runs wildly fast would hide behind the round trips. A young one
    /// shows small jumps, an old one a rate that is a little too high.
    private static let baselineLivesNanoseconds: [Int64] = [2_000_000_000, 60_000_000_000]

    private let drift: ClockDrift
    /// One for each life; empty before the first reading.
    private var baselines: [ClockSample] = []

    /// An audit that has read nothing.
    package init(drift: ClockDrift) {
        self.drift = drift
    }

    /// When the clock was last known to agree; nil if never.
    package private(set) var lastRead: Instant?

    /// By how much the clock may deviate although the last reading agrees: within what round trips and drift hide.
    package private(set) var lastRange = ClockDeviation(range: .min ... .max)

    /// Takes a reading; returns how far it deviates, nil if it agrees.
    package mutating func read(_ sample: ClockSample) -> ClockDeviation? {
        guard !baselines.isEmpty else {
            restart(at: sample)
            return nil
        }
        for baseline in baselines where !isPlanted(.clocksNotCompared) {
            if let deviation = deviation(of: sample, from: baseline) { return deviation }
        }
        lastRange = range(of: sample, from: baselines[0])
        for (index, life) in Self.baselineLivesNanoseconds.enumerated() where isDue(sample, index, life) {
            baselines[index] = sample
        }
        lastRead = sample.received
        return nil
    }

    private func deviation(of sample: ClockSample, from baseline: ClockSample) -> ClockDeviation? {
        let range = range(of: sample, from: baseline)
        return range.range.contains(0) ? nil : range
    }

    /// How far the server's clock may have gone beyond the client's between two readings.
    private func range(of sample: ClockSample, from baseline: ClockSample) -> ClockDeviation {
        let advanced = sample.serverMicroseconds.subtractingSaturating(baseline.serverMicroseconds)
            .multipliedSaturating(by: 1_000)
        let longest = max(0, baseline.sent.nanoseconds(until: sample.received))
        let shortest = min(longest, max(0, baseline.received.nanoseconds(until: sample.sent)))
        let tolerance = drift.nanoseconds(forTTLNanoseconds: longest)
        let least = advanced.subtractingSaturating(longest)
        let most = advanced.subtractingSaturating(shortest)
        return ClockDeviation(range: least.subtractingSaturating(tolerance)...most.addingSaturating(tolerance))
    }

    /// Whether a reading takes the place of one that is too old: as soon as it is about as exact, and some time later in
    /// any case.
    private func isDue(_ sample: ClockSample, _ index: Int, _ life: Int64) -> Bool {
        let age = baselines[index].received.nanoseconds(until: sample.sent)
        let isExact = sample.widthNanoseconds / 2 <= baselines[index].widthNanoseconds
        return age >= life && (isExact || age / 2 >= life)
    }

    /// Takes it for granted that the server's clock went on further than the client's by the deviation, which was the
    /// client's fault; what the deviation leaves open makes the readings less exact.
    package mutating func advance(by deviation: ClockDeviation) {
        let middle = deviation.range.lowerBound / 2 + deviation.range.upperBound / 2
        let width = middle.subtractingSaturating(deviation.range.lowerBound)
        baselines = baselines.map { baseline in
            ClockSample(
                sent: baseline.sent.advanced(byNanoseconds: -width),
                received: baseline.received.advanced(byNanoseconds: width),
                serverMicroseconds: baseline.serverMicroseconds.addingSaturating(middle / 1_000)
            )
        }
    }

    /// Begins anew: from here on, others are compared with this reading.
    package mutating func restart(at sample: ClockSample) {
        baselines = Self.baselineLivesNanoseconds.map { _ in sample }
        lastRead = sample.received
    }
}

/// Compares the clocks of the nodes with each other.
package enum ClockComparison {
    /// The median of the offsets of several servers; nil without any.
    package static func median(_ offsets: [Int64]) -> Int64? {
        guard !offsets.isEmpty else { return nil }
        let sorted = offsets.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : sorted[middle - 1] / 2 + sorted[middle] / 2
    }

    /// Whose clock went wrong.
    package enum Culprit: Hashable, Sendable {
        /// The servers that deviate.
        case servers
        /// The client: its clock stood still, or ran on without the servers.
        case client
        /// One of the two: there are too few nodes to tell.
        case either
    }

    /// A majority of all nodes that deviates alike shows that it is the client's clock; one or two nodes show nothing.
    package static func culprit(_ deviations: [ClockDeviation], nodeCount: Int) -> Culprit {
        guard nodeCount > 2 else { return .either }
        return commonDeviation(deviations, nodeCount: nodeCount) == nil ? .servers : .client
    }

    /// The deviation that a majority of all nodes shares; nil if there is none.
    ///
    /// One deviation for the whole majority: ranges that overlap with the same one need not overlap with each other.
    package static func commonDeviation(_ deviations: [ClockDeviation], nodeCount: Int) -> ClockDeviation? {
        for deviation in deviations {
            // What several ranges share begins where one of them does.
            let least = deviation.range.lowerBound
            let alike = deviations.filter { $0.range.contains(least) }
            guard alike.count > nodeCount / 2 else { continue }
            return ClockDeviation(range: least...(alike.map(\.range.upperBound).min() ?? least))
        }
        return nil
    }
}

extension Int64 {
    fileprivate func multipliedSaturating(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? ((self < 0) == (factor < 0) ? .max : .min) : product
    }

    fileprivate func subtractingSaturating(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (other > 0 ? .min : .max) : difference
    }

    fileprivate func addingSaturating(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How far a server's clock is ahead of the client's, by the most exact of its readings.
///
/// A reading that took long, because the server or the client was busy, is wrong by up to half of that time. So an older
/// and quicker one counts until its clocks may have run apart by as much.
package struct ClockOffset: Hashable, Sendable {
    /// One nanosecond in so many is what clocks run apart in practice at most: a quartz does better.
    ///
    /// What they may run apart by is another thing: no promise depends on this guess.
    private static let usualRateDivisor: Int64 = 2_000

    private var reading: ClockSample?
    /// What counts until there is a reading.
    private var firstGuess: Int64?

    /// An offset that is not known.
    package init() {}

    /// The offset in nanoseconds; nil before anything is known.
    package var nanoseconds: Int64? { reading?.offsetNanoseconds ?? firstGuess }

    /// Takes what a server said some time before it was heard; nobody knows how long, so that any reading is better.
    package mutating func guess(serverMicroseconds: Int64, heard: Instant) {
        let sample = ClockSample(sent: heard, received: heard, serverMicroseconds: serverMicroseconds)
        firstGuess = sample.offsetNanoseconds
    }

    /// Takes a reading, if it is more exact by now than the one that is there, or shows that one to be wrong.
    package mutating func read(_ sample: ClockSample) {
        guard let reading else {
            reading = sample
            return
        }
        let (age, isEndless) = sample.received.nanoseconds.subtractingReportingOverflow(reading.received.nanoseconds)
        let error = Self.error(of: reading).addingReportingOverflow(max(0, age) / Self.usualRateDivisor)
        let newError = Self.error(of: sample)
        let (most, isBeyond) = error.partialValue.addingReportingOverflow(newError)
        let distance = sample.offsetNanoseconds.subtractingReportingOverflow(reading.offsetNanoseconds)
        let isAlike = !distance.overflow && (isBeyond || distance.partialValue.magnitude <= most)
        if isEndless || error.overflow || newError <= error.partialValue || !isAlike { self.reading = sample }
    }

    private static func error(of sample: ClockSample) -> Int64 {
        max(0, sample.widthNanoseconds / 2)
    }
}

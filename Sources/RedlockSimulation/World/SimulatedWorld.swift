// SPDX-License-Identifier: Apache-2.0

internal import HeapModule
package import RedlockTesting

/// A world on one thread, in which true time passes only from one event to the next and chance has a seed.
///
/// Whatever happens in it, happens in an event. Two runs with one seed are the same in every step; the trace is a number
/// that tells whether they were.
///
/// `@unchecked Sendable`: a world and all that is in it live on the thread that runs it.
package final class SimulatedWorld: @unchecked Sendable {
    /// True time, in nanoseconds since the beginning, which no clock in the world need show.
    package private(set) var now: Int64 = 0
    /// Where all chance comes from.
    package var random: SeededRandom
    /// How many events there were.
    package private(set) var eventCount = 0
    /// How many events there were because clients look at clocks while they have nothing else to do.
    package private(set) var heartbeatEventCount = 0
    /// A number that depends on every event and on all that was noted.
    package private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Takes a line for all that happens; nil while nobody reads it.
    package var log: ((_ now: Int64, _ line: String) -> Void)?

    private enum Work {
        case certain(() -> Void)
        case cancellable(SimulatedEvent)
    }

    private var events = Heap<Entry>()
    private var lastSequence: UInt32 = 0
    private var hasEnded = false

    private struct Entry: Comparable {
        let time: Int64
        /// Of events at one time, chance decides which comes first.
        let order: UInt32
        /// No two events are alike.
        let sequence: UInt32
        let work: Work

        static func < (left: Entry, right: Entry) -> Bool {
            (left.time, left.order, left.sequence) < (right.time, right.order, right.sequence)
        }

        static func == (left: Entry, right: Entry) -> Bool { left.sequence == right.sequence }
    }

    /// Runs the scripts of all servers of the world.
    let interpreter: ScriptInterpreter

    /// A world at its beginning.
    ///
    /// - Parameter interpreter: that of another world which has ended on this thread, or a new one.
    package init(seed: UInt64, interpreter: ScriptInterpreter) {
        random = SeededRandom(seed: seed)
        self.interpreter = interpreter
    }

    /// Has something happen at a point of true time, which must not lie in the past.
    package func schedule(at time: Int64, _ work: @escaping () -> Void) {
        insert(.certain(work), at: time)
    }

    /// Has something happen after some nanoseconds.
    package func schedule(after nanoseconds: Int64, _ work: @escaping () -> Void) {
        schedule(at: now + nanoseconds, work)
    }

    /// Has something happen at a point of true time unless it is cancelled before.
    func scheduleCancellable(at time: Int64, _ work: @escaping () -> Void) -> SimulatedEvent {
        let event = SimulatedEvent(work)
        insert(.cancellable(event), at: time)
        return event
    }

    private func insert(_ work: Work, at time: Int64) {
        guard !hasEnded else { return }
        lastSequence &+= 1
        let order = UInt32(truncatingIfNeeded: random.next())
        events.insert(Entry(time: max(time, now), order: order, sequence: lastSequence, work: work))
    }

    /// Lets time pass, event by event, until there is none before the end or the condition holds.
    package func run(until end: Int64, orUntil isOver: () -> Bool = { false }) {
        while let next = events.min, next.time <= end, !isOver() {
            events.removeMin()
            let work: () -> Void
            switch next.work {
            case .certain(let certain): work = certain
            case .cancellable(let event):
                guard let left = event.take() else { continue }
                work = left
            }
            now = next.time
            eventCount += 1
            mix(UInt64(bitPattern: now))
            work()
        }
        if !isOver() { now = max(now, end) }
    }

    /// Ends the world: nothing happens in it any more.
    package func end() {
        // Timers and their events hold on to each other until one of them lets go.
        for entry in events.unordered {
            if case .cancellable(let event) = entry.work { event.cancel() }
        }
        events = Heap()
        hasEnded = true
    }

    // MARK: Trace

    /// Makes the trace depend on what happened, and writes it down if somebody reads.
    package func note(_ number: Int64, _ line: @autoclosure () -> String) {
        mix(UInt64(bitPattern: number))
        if let log { log(now, line()) }
    }

    /// Writes down what happened if somebody reads, and leaves the trace as it is.
    package func tell(_ line: @autoclosure () -> String) {
        if let log { log(now, line()) }
    }

    private func mix(_ number: UInt64) {
        trace = (trace ^ number) &* 0x0000_0100_0000_01B3
        trace ^= trace >> 29
    }

    /// Notes that a client looks at a clock and at nothing else, which takes its flush, the way there and the way back.
    func noteHeartbeat() {
        heartbeatEventCount += 3
    }

    // MARK: Chance

    /// True in so many of a thousand cases.
    package func happens(perMille: Int) -> Bool {
        Int.random(in: 0..<1_000, using: &random) < perMille
    }

    /// A number in the range.
    package func number(in range: ClosedRange<Int64>) -> Int64 {
        Int64.random(in: range, using: &random)
    }

    /// One of several.
    package func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }
}

/// Something that is going to happen, unless it is cancelled.
final class SimulatedEvent {
    private var work: (() -> Void)?

    init(_ work: @escaping () -> Void) {
        self.work = work
    }

    /// Has it not happen.
    func cancel() {
        work = nil
    }

    func take() -> (() -> Void)? {
        defer { work = nil }
        return work
    }
}

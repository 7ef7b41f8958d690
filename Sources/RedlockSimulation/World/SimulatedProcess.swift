// SPDX-License-Identifier: Apache-2.0

package import LockCore
internal import Redlock

/// A process with clocks of its own, which may be stopped at every step, put to sleep with its machine, or killed.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
package final class SimulatedProcess: @unchecked Sendable {
    package let world: SimulatedWorld
    /// Which process it is, for the trace.
    package let number: Int
    /// The clock that goes on while the machine sleeps; leases end by it.
    package var continuousClock: SimulatedClock
    /// The clock of timers, which stands still while the machine sleeps.
    package var monotonicClock: SimulatedClock
    /// What the machine takes for the time of day, in nanoseconds since 1970.
    package var wallClock: SimulatedClock
    /// Whether it runs; while it does not, what would happen in it waits.
    package private(set) var isRunning = true
    /// When it last began to run.
    package private(set) var runsSince: Int64 = 0
    package private(set) lazy var executor = SimulatedExecutor(process: self)

    private var waiting: [() -> Void] = []
    private var lastLoopTurn: Int64 = 0
    /// Until when it does what has waited while it did not run.
    private var catchesUpUntil: Int64 = 0
    /// Whether it was killed: what still runs of it is a ghost.
    package private(set) var isDead = false

    /// A process that runs.
    ///
    /// - Parameters:
    ///   - wallNanoseconds: the time of day that it begins with.
    ///   - wander: how its clocks go wrong.
    package init(
        world: SimulatedWorld,
        number: Int,
        wallNanoseconds: Int64,
        wander: SimulatedClock.Wander? = nil
    ) {
        self.world = world
        self.number = number
        // Far from zero, and differently in each process: the origin of a clock means nothing.
        let origin = 1_000_000_000_000 * Int64(number + 1)
        continuousClock = SimulatedClock(reading: origin, wander: wander, at: world.now)
        monotonicClock = SimulatedClock(reading: origin / 2, wander: wander, at: world.now)
        wallClock = SimulatedClock(reading: wallNanoseconds, wander: wander, at: world.now)
    }

    /// The continuous clock.
    package var now: Instant { Instant(nanoseconds: continuousClock.read(at: world.now)) }

    // MARK: Running

    /// Does something in the process that comes from outside, now or as soon as it runs again, and not before what has
    /// waited for that.
    func enter(_ work: @escaping () -> Void) {
        if isRunning, !isFree { runOnLoop(work) } else { perform(work) }
    }

    /// Whether what comes from outside happens at once.
    private var isFree: Bool { isRunning && world.now >= catchesUpUntil }

    private func perform(_ work: @escaping () -> Void) {
        if isRunning { work() } else { waiting.append(work) }
    }

    /// Does something in the process within a microsecond.
    func runSoon(_ work: @escaping () -> Void) {
        world.schedule(after: world.number(in: 1...1_000)) { [self] in perform(work) }
    }

    /// Does something on the loop of the process, behind everything that was handed to it before.
    func runOnLoop(_ work: @escaping () -> Void) {
        lastLoopTurn = max(lastLoopTurn, world.now) + 1
        world.schedule(at: lastLoopTurn) { [self] in perform(work) }
    }

    /// Does something when the clock of timers has gone on for some nanoseconds.
    func schedule(afterNanoseconds delay: Int64, _ work: @escaping () -> Void) -> SimulatedTimer {
        let timer = SimulatedTimer(target: monotonicClock.read(at: world.now) + max(0, delay))
        schedule(timer, work)
        return timer
    }

    private func schedule(_ timer: SimulatedTimer, _ work: @escaping () -> Void) {
        // A clock that stands still belongs to a process that does not run; it is looked at again when it does.
        let time = monotonicClock.time(ofReading: timer.target, from: world.now) ?? world.now + 1_000_000
        timer.event = world.scheduleCancellable(at: time) { [self] in
            if isFree { fire(timer, work) } else { enter { [self] in fire(timer, work) } }
        }
    }

    private func fire(_ timer: SimulatedTimer, _ work: @escaping () -> Void) {
        guard !timer.isCancelled else { return }
        if monotonicClock.read(at: world.now) < timer.target { schedule(timer, work) } else { work() }
    }

    // MARK: Faults

    /// What stands still while the process does not run.
    package enum Pause {
        /// The process alone, as after SIGSTOP.
        case process
        /// The machine sleeps: timers stand still with it.
        case machine
        /// The virtual machine: no clock of it knows.
        case virtualMachine
    }

    /// Stops the process until it is resumed.
    package func pause(_ pause: Pause) {
        guard isRunning else { return }
        isRunning = false
        if pause != .process { monotonicClock.setFrozen(true, at: world.now) }
        if pause == .virtualMachine { continuousClock.setFrozen(true, at: world.now) }
    }

    func die() {
        resume()
        isDead = true
    }

    /// Lets the process go on; what waited happens in the order in which it came.
    package func resume() {
        guard !isRunning else { return }
        isRunning = true
        runsSince = world.now
        monotonicClock.setFrozen(false, at: world.now)
        continuousClock.setFrozen(false, at: world.now)
        let work = waiting
        waiting = []
        for work in work { runOnLoop(work) }
        catchesUpUntil = lastLoopTurn
    }
}

/// A timer of a simulated process; what it does, its event in the world knows alone, so that both end with the world.
final class SimulatedTimer: LoopTimer {
    /// What the clock of timers shows when it is due.
    let target: Int64
    fileprivate var event: SimulatedEvent?
    fileprivate private(set) var isCancelled = false

    fileprivate init(target: Int64) {
        self.target = target
    }

    func cancel() {
        isCancelled = true
        event?.cancel()
    }
}

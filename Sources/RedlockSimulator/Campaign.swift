// SPDX-License-Identifier: Apache-2.0

import Foundation
import RedlockSimulation
import Synchronization

/// Many worlds, one after the other, on as many threads as there are processors.
///
/// Not in tasks: a world runs the tasks of its clients by itself, and must not do so inside of another task.
struct Campaign: Sendable {
    /// The seeds to run, in order.
    let seeds: Range<UInt64>
    let makeScenario: @Sendable (UInt64) -> Scenario
    /// Whether the first violation ends it.
    var stopsAtViolation = false
    /// Of how many worlds one is run twice, to see that both runs are the same; none if 0.
    var repeatsOneOf: UInt64 = 0

    /// What came of it.
    struct Result: Sendable {
        var worlds: UInt64 = 0
        var repeated = 0
        var unlikeRepeats: [UInt64] = []
        var violations: [(seed: UInt64, violation: Violation)] = []
        var grants = 0
        var terms = 0
        var faults = 0
        var events = 0
        var eventsBesidesHeartbeats = 0
        var refusedWrites = 0
        var updatesLostWithoutTokens = 0
        var simulatedNanoseconds: Int64 = 0
        var elapsed = Duration.zero
        /// The least of each that any world had.
        var fewestGrants = Int.max

        fileprivate mutating func add(_ outcome: Simulation.Outcome, of seed: UInt64) {
            worlds += 1
            grants += outcome.grants
            terms += outcome.terms
            faults += outcome.faults
            events += outcome.events
            eventsBesidesHeartbeats += outcome.eventsBesidesHeartbeats
            refusedWrites += outcome.refusedWrites
            updatesLostWithoutTokens += outcome.updatesLostWithoutTokens
            simulatedNanoseconds += outcome.simulatedNanoseconds
            fewestGrants = min(fewestGrants, outcome.grants)
            if let violation = outcome.violation { violations.append((seed, violation)) }
        }
    }

    private final class State: Sendable {
        struct Progress {
            var next: UInt64
            var result = Result()
        }

        let progress: Mutex<Progress>

        init(next: UInt64) {
            progress = Mutex(Progress(next: next))
        }
    }

    /// Runs worlds until something is violated in one: how many it took, and what it was; nil if nothing was.
    func firstViolation() -> (worlds: UInt64, seed: UInt64, violation: Violation)? {
        var campaign = self
        campaign.stopsAtViolation = true
        let result = campaign.run()
        return result.violations.first.map { (result.worlds, $0.seed, $0.violation) }
    }

    /// Runs all worlds and waits for them.
    ///
    /// - Parameter progress: is told now and then what came of it so far.
    func run(progress: (Result) -> Void = { _ in }) -> Result {
        let clock = ContinuousClock()
        let begun = clock.now
        let state = State(next: seeds.lowerBound)
        let finished = DispatchSemaphore(value: 0)
        var open = max(1, ProcessInfo.processInfo.activeProcessorCount)
        for _ in 0..<open {
            let thread = Thread {
                let interpreter = ScriptInterpreter()
                while let seed = takeSeed(state) { run(seed, state, interpreter) }
                finished.signal()
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        func result() -> Result {
            var result = state.progress.withLock { $0.result }
            result.violations.sort { $0.seed < $1.seed }
            result.elapsed = clock.now - begun
            return result
        }
        while open > 0 {
            if finished.wait(timeout: .now() + .milliseconds(500)) == .success { open -= 1 }
            progress(result())
        }
        return result()
    }

    private func run(_ seed: UInt64, _ state: State, _ interpreter: ScriptInterpreter) {
        let outcome = Simulation(makeScenario(seed), interpreter: interpreter).run()
        var isUnlike: Bool?
        if repeatsOneOf > 0, seed % repeatsOneOf == 0 {
            let again = Simulation(makeScenario(seed), interpreter: interpreter).run()
            isUnlike = again.trace != outcome.trace || again.events != outcome.events
        }
        state.progress.withLock { progress in
            progress.result.add(outcome, of: seed)
            guard let isUnlike else { return }
            progress.result.repeated += 1
            if isUnlike { progress.result.unlikeRepeats.append(seed) }
        }
    }

    private func takeSeed(_ state: State) -> UInt64? {
        state.progress.withLock { progress in
            let isStopped = stopsAtViolation && !progress.result.violations.isEmpty
            guard progress.next < seeds.upperBound, !isStopped else { return nil }
            defer { progress.next += 1 }
            return progress.next
        }
    }
}

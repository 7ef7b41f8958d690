// SPDX-License-Identifier: Apache-2.0

/// Tells what happened in a world in which something was violated, as short as it can be told.
struct Replay {
    private let scenario: Scenario
    private let violation: Violation

    /// The world with as few of its faults as still lead to the violation of the same rule.
    init(_ scenario: Scenario, _ violation: Violation) {
        var (shortest, latest) = (scenario, violation)
        var index = 0
        while index < shortest.faults.count {
            var shorter = shortest
            shorter.faults.remove(at: index)
            if let violation = Simulation(shorter).run().violation, violation.rule == latest.rule {
                (shortest, latest) = (shorter, violation)
            } else {
                index += 1
            }
        }
        self.scenario = shortest
        self.violation = latest
    }

    /// The faults, and the last things that happened before the violation.
    func lines(events count: Int = 60) -> [String] {
        var events: [String] = []
        _ = Simulation(scenario) { now, line in events.append("  \(now.inSeconds) s  \(line)") }.run()
        if let end = events.firstIndex(where: { $0.contains("VIOLATION") }) { events.removeSubrange((end + 1)...) }
        return ["\(violation)", scenario.description, "faults that are needed for it:"]
            + scenario.faults.map { "  \($0.description)" } + ["what happened before:"] + events.suffix(count)
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `redlock-simulator model`: everything that can happen in a small world.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Tries everything that can happen to 3 nodes and 2 clients.",
        discussion: """
            The rounds of the protocol are driven through every order of messages, of expiries and of a bounded number of \
            faults, breadth first. With every guard in place, no run may find a violation; without one of them, its run \
            must, and the shortest way there is printed. A run that does not end within its limits has failed.
            """
    )

    @Option(help: "How many attempts may begin; with this, one world with these bounds is explored, and no other.")
    var attempts: Int?

    @Option(help: "How many rounds of extension may begin.")
    var extensions = 0

    @Option(help: "How many times a node may lose its memory.")
    var losses = 0

    @Option(help: "How many times the clock of a node may jump.")
    var jumps = 0

    @Option(help: "How many nodes may be fast.")
    var fastNodes = 0

    @Option(help: "How many ticks may pass, at most 6; without this, there is no bound.")
    var ticks: Int?

    @Option(help: "The most worlds of a run.")
    var maximumWorlds = ExplorerLimits().worlds

    @Option(help: "The longest time of a run, in seconds.")
    var maximumSeconds = 300

    func validate() throws {
        let isSmall =
            (1...4).contains(attempts ?? 1) && (0...2).contains(extensions) && (0...1).contains(losses)
            && (0...1).contains(jumps) && (0...3).contains(fastNodes) && (0...6).contains(ticks ?? 0)
        guard isSmall else {
            throw ValidationError("at most 4 attempts, 2 extensions, 1 loss, 1 jump, 3 fast nodes and 6 ticks")
        }
        guard (1...1_000_000_000).contains(maximumWorlds), (1...1_000_000).contains(maximumSeconds) else {
            throw ValidationError("the limits are 1 to 1000000000 worlds and 1 to 1000000 seconds")
        }
    }

    func run() throws {
        let limits = ExplorerLimits(worlds: maximumWorlds, time: .seconds(maximumSeconds))
        print(
            """
            3 nodes, 2 clients with 2 attempts each at most, TTL \(ModelRules.ttlTicks) ticks; every run within \
            \(limits.worlds) worlds and \(maximumSeconds) s

            """
        )
        var failures = 0
        var (worlds, transitions) = (0, 0)
        let clock = ContinuousClock()
        let start = clock.now
        for run in runs {
            var explorer = Explorer(rules: run.rules, limits: limits)
            let exploration = explorer.explore()
            let isPassed = run.isPassed(exploration.outcome)
            if !isPassed { failures += 1 }
            worlds += exploration.worlds
            transitions += exploration.transitions
            report(run, exploration, isPassed: isPassed)
        }
        let seconds = Self.seconds(clock.now - start)
        print(
            "\n\(runs.count) runs, \(failures) failed; \(worlds) worlds, \(transitions) transitions, \(seconds) s"
        )
        if failures > 0 { throw ExitCode.failure }
    }

    private var runs: [ModelRun] {
        guard let attempts else { return ModelRun.all }
        let bounds = ModelBounds(
            attempts: attempts,
            extensions: extensions,
            losses: losses,
            jumps: jumps,
            fastNodes: fastNodes,
            ticks: ticks
        )
        return [ModelRun(guarded: "these bounds", bounds)]
    }

    private func report(_ run: ModelRun, _ exploration: Exploration, isPassed: Bool) {
        let (verdict, steps): (String, [String]) =
            switch exploration.outcome {
            case .noViolation: ("no violation", [])
            case .violation(let violation, let steps): (violation.text, steps)
            case .unfinished: ("not finished within the limits", [])
            }
        print("\(isPassed ? "pass" : "FAIL")  \(run.name) (\(run.rules.bounds.text)): \(verdict)")
        print(
            """
                  \(exploration.worlds) worlds, \(exploration.transitions) transitions, depth \(exploration.depth), \
            \(exploration.grants) grants, \(exploration.rounds) states of rounds, \(Self.seconds(exploration.time)) s
            """
        )
        for (index, step) in steps.enumerated() { print("      \(index + 1). \(step)") }
    }

    private static func seconds(_ duration: Duration) -> String {
        let tenths = duration.components.seconds * 10 + duration.components.attoseconds / 100_000_000_000_000_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension ModelBounds {
    /// The bounds in words.
    fileprivate var text: String {
        var parts = ["\(attempts) attempts"]
        if extensions > 0 { parts.append("extensions \(extensions)") }
        if losses > 0 { parts.append("losses \(losses)") }
        if jumps > 0 { parts.append("jumps \(jumps)") }
        if fastNodes > 0 { parts.append("fast nodes \(fastNodes)") }
        if let ticks { parts.append("ticks \(ticks)") }
        return parts.joined(separator: ", ")
    }
}

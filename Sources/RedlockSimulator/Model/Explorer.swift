// SPDX-License-Identifier: Apache-2.0

/// How far a run may go before it counts as unfinished.
struct ExplorerLimits {
    /// The most worlds that are kept in memory.
    var worlds = 40_000_000
    /// The longest time.
    var time: Duration = .seconds(600)
}

/// What came out of a run.
struct Exploration {
    enum Outcome {
        /// Everything that can happen was tried, and nothing went wrong.
        case noViolation
        /// The shortest way to go wrong, one line for each step.
        case violation(ModelViolation, steps: [String])
        /// The run met a limit.
        case unfinished
    }

    let outcome: Outcome
    /// How many different worlds were reached.
    let worlds: Int
    /// How many times something happened to one of them.
    let transitions: Int
    /// The most steps from the beginning.
    let depth: Int
    /// How many worlds had a lease in them that was granted in the last step.
    let grants: Int
    /// How many states the rounds of the protocol came to.
    let rounds: Int
    let time: Duration
}

/// Tries everything that can happen, breadth first.
struct Explorer {
    private let model: Model
    private let limits: ExplorerLimits
    private var store = WorldStore()
    private var transitions = 0
    private var grants = 0

    init(rules: ModelRules, limits: ExplorerLimits = ExplorerLimits()) {
        model = Model(rules: rules)
        self.limits = limits
    }

    /// Runs to the end, to the first violation, or to a limit.
    mutating func explore() -> Exploration {
        let clock = ContinuousClock()
        let start = clock.now
        let first = World(rules: model.rules)
        _ = store.insert(model.representative(of: first), from: 0)
        var depth = 0
        var endOfLevel = 1
        var place = 0
        var outcome = Exploration.Outcome.noViolation
        while place < store.count {
            if place == endOfLevel {
                depth += 1
                endOfLevel = store.count
            }
            if let violation = expand(place) {
                outcome = .violation(violation, steps: Retelling(model: model, first: first).steps(to: path()))
                depth += 1
                break
            }
            place += 1
            if store.count >= limits.worlds || (place % 1_024 == 0 && clock.now - start > limits.time) {
                outcome = .unfinished
                break
            }
        }
        return Exploration(
            outcome: outcome,
            worlds: store.count,
            transitions: transitions,
            depth: depth,
            grants: grants,
            rounds: model.acquireRounds.count + model.extendRounds.count + model.releaseRounds.count,
            time: clock.now - start
        )
    }

    /// Adds all worlds that may come next; returns what is wrong with one of them, which is then the last one there.
    private mutating func expand(_ place: Int) -> ModelViolation? {
        let world = store[place]
        if model.isSpent(world) { return nil }
        for action in ModelAction.all {
            guard let next = model.next(world, action) else { continue }
            transitions += 1
            let isNew = store.insert(model.representative(of: next), from: place)
            if isNew, next.ledger.grantedTokens != world.ledger.grantedTokens { grants += 1 }
            if let violation = next.ledger.violation { return violation }
        }
        return nil
    }

    /// The worlds from the first to the last one that was added.
    private func path() -> [World] {
        var place = store.count - 1
        var worlds = [store[place]]
        while place != 0 {
            place = store.parent(of: place)
            worlds.append(store[place])
        }
        return worlds.reversed()
    }
}

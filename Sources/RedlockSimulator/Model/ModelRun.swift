// SPDX-License-Identifier: Apache-2.0

/// One exploration, and what must come out of it.
struct ModelRun {
    let name: String
    let rules: ModelRules
    let mustFindViolation: Bool

    /// A run in which every guard is there, so that nothing may go wrong.
    init(guarded name: String, _ bounds: ModelBounds) {
        self.name = name
        rules = ModelRules(bounds: bounds)
        mustFindViolation = false
    }

    /// A run without one guard, in which something must go wrong.
    init(_ defect: ModelDefect, _ bounds: ModelBounds) {
        name = defect.rawValue
        rules = ModelRules(bounds: bounds, defect: defect)
        mustFindViolation = true
    }

    /// A run in which a clock jumps and nobody looks: two may hold the lock then, but tokens must go on increasing.
    init(fencingAlone name: String, _ bounds: ModelBounds) {
        self.name = name
        rules = ModelRules(bounds: bounds, defect: .noClockAudit, judgesExclusion: false)
        mustFindViolation = false
    }

    /// Every run of the full model.
    static let all: [ModelRun] = [
        ModelRun(guarded: "nothing fails", ModelBounds()),
        ModelRun(guarded: "a fast node, an extension", ModelBounds(extensions: 1, fastNodes: 1)),
        ModelRun(guarded: "a jump", ModelBounds(jumps: 1)),
        ModelRun(guarded: "a loss", ModelBounds(losses: 1)),
        ModelRun(
            guarded: "a loss, a jump, an extension",
            // Without a bound it outgrows any machine: 160 million worlds and no end at a depth of 22.
            ModelBounds(extensions: 1, losses: 1, jumps: 1, ticks: 1)
        ),
        ModelRun(guarded: "a loss, an extension", ModelBounds(extensions: 1, losses: 1)),
        ModelRun(guarded: "a jump, an extension", ModelBounds(extensions: 1, jumps: 1)),
        ModelRun(guarded: "three attempts", ModelBounds(attempts: 3, ticks: 0)),
        ModelRun(fencingAlone: "tokens, an unseen jump", ModelBounds(attempts: 3, jumps: 1, ticks: 0)),
        ModelRun(.noDriftAccounting, ModelBounds(fastNodes: 1)),
        ModelRun(.noFencingConfirmation, ModelBounds(attempts: 3, ticks: 0)),
        ModelRun(.noQuarantine, ModelBounds(losses: 1)),
        ModelRun(.noClockAudit, ModelBounds(jumps: 1)),
        ModelRun(.oneVoteIsEnough, ModelBounds()),
        ModelRun(.releaseDeletesForeignKeys, ModelBounds(attempts: 3, ticks: 0)),
        ModelRun(.validityFromTheAnswer, ModelBounds()),
        ModelRun(.extensionFromTheAnswer, ModelBounds(extensions: 1)),
    ]

    /// Whether the outcome is the one that must be.
    func isPassed(_ outcome: Exploration.Outcome) -> Bool {
        switch outcome {
        case .noViolation: !mustFindViolation
        case .violation: mustFindViolation
        case .unfinished: false
        }
    }
}

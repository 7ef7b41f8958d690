// SPDX-License-Identifier: Apache-2.0

import LockCore

/// A machine of the protocol as the model drives it: begun at the origin of time, told what happened, and when.
protocol RoundMachine: Hashable {
    associatedtype Beginning: Hashable
    associatedtype Event: Hashable
    associatedtype Outcome

    static func begin(_ beginning: Beginning, rules: ModelRules) -> Self
    mutating func take(_ event: Event) -> Outcome?

    /// The same where the nodes have another order.
    static func reordered(_ beginning: Beginning, by order: NodeOrder) -> Beginning
    static func reordered(_ event: Event, by order: NodeOrder) -> Event
}

/// Every state that the machines of one kind came to, each with a number.
///
/// A world names a machine by its number, so worlds stay small and are still compared exactly. What a machine does in a
/// state is asked of the machine once and looked up from then on.
final class RoundBook<Machine: RoundMachine> {
    private struct Question: Hashable {
        let round: Int
        let event: Machine.Event
    }

    private let rules: ModelRules
    private var machines: [Machine] = []
    /// How each state was reached first: a machine that is told the same of other nodes is its mirror image.
    private var histories: [(beginning: Machine.Beginning, events: [Machine.Event])] = []
    private var numbers: [Machine: Int] = [:]
    private var answers: [Question: (round: Int, outcome: Machine.Outcome?)] = [:]
    private var mirrored: [[Int?]] = []

    init(rules: ModelRules) {
        self.rules = rules
    }

    /// How many states there are.
    var count: Int { machines.count }

    subscript(round: Int) -> Machine { machines[round] }

    func begin(_ beginning: Machine.Beginning) -> Int {
        number(of: .begin(beginning, rules: rules), history: (beginning, []))
    }

    /// Tells a machine what happened; returns the number of its next state, and what is to be done.
    func take(_ event: Machine.Event, by round: Int) -> (round: Int, outcome: Machine.Outcome?) {
        let question = Question(round: round, event: event)
        if let known = answers[question] { return known }
        var machine = machines[round]
        let outcome = machine.take(event)
        let history = histories[round]
        let next = number(of: machine, history: (history.beginning, history.events + [event]))
        answers[question] = (next, outcome)
        return (next, outcome)
    }

    /// The state that the machine would be in if the nodes had another order.
    func mirror(_ round: Int, by order: Int) -> Int {
        if order == 0 { return round }
        if let known = mirrored[round][order] { return known }
        let history = histories[round]
        var image = begin(Machine.reordered(history.beginning, by: NodeOrder.all[order]))
        for event in history.events {
            image = take(Machine.reordered(event, by: NodeOrder.all[order]), by: image).round
        }
        mirrored[round][order] = image
        return image
    }

    private func number(
        of machine: Machine,
        history: @autoclosure () -> (beginning: Machine.Beginning, events: [Machine.Event])
    ) -> Int {
        if let known = numbers[machine] { return known }
        let number = machines.count
        machines.append(machine)
        histories.append(history())
        mirrored.append([Int?](repeating: nil, count: NodeOrder.all.count))
        numbers[machine] = number
        return number
    }
}

// MARK: The machines

/// An answer of a node, and how many ticks after the beginning it came.
struct RoundEvent<Answer: Hashable>: Hashable {
    let answer: Answer
    let node: Int
    let elapsedTicks: Int

    func reordered(by order: NodeOrder) -> Self {
        RoundEvent(answer: answer, node: order.newPlace(of: node), elapsedTicks: elapsedTicks)
    }
}

extension AcquireRound: RoundMachine {
    /// What a node said to either question of the round.
    enum AnyAnswer: Hashable {
        case vote(Answer)
        case raise(RaiseAnswer)
    }

    struct NoBeginning: Hashable {}

    static func begin(_ beginning: NoBeginning, rules: ModelRules) -> AcquireRound {
        AcquireRound(quorum: rules.quorum, timing: rules.timing, start: ModelRules.instant(0))
    }

    mutating func take(_ event: RoundEvent<AnyAnswer>) -> Step? {
        let now = ModelRules.instant(event.elapsedTicks)
        switch event.answer {
        case .vote(let answer): return answered(answer, by: event.node, at: now)
        case .raise(let answer): return answered(answer, by: event.node, at: now)
        }
    }

    static func reordered(_ beginning: NoBeginning, by order: NodeOrder) -> NoBeginning { beginning }

    static func reordered(_ event: RoundEvent<AnyAnswer>, by order: NodeOrder) -> RoundEvent<AnyAnswer> {
        event.reordered(by: order)
    }
}

extension ExtendRound: RoundMachine {
    /// Begins with the ticks for which the lease is still valid.
    static func begin(_ validTicks: Int, rules: ModelRules) -> ExtendRound {
        ExtendRound(
            quorum: rules.quorum,
            timing: rules.timing,
            start: ModelRules.instant(0),
            validUntil: ModelRules.instant(validTicks)
        )
    }

    mutating func take(_ event: RoundEvent<Answer>) -> Decision? {
        answered(event.answer, by: event.node, at: ModelRules.instant(event.elapsedTicks))
    }

    static func reordered(_ validTicks: Int, by order: NodeOrder) -> Int { validTicks }

    static func reordered(_ event: RoundEvent<Answer>, by order: NodeOrder) -> RoundEvent<Answer> {
        event.reordered(by: order)
    }
}

extension ReleaseRound: RoundMachine {
    /// Begins with the nodes that are asked.
    static func begin(_ asked: NodeSet, rules: ModelRules) -> ReleaseRound {
        ReleaseRound(quorum: rules.quorum, asked: asked)
    }

    mutating func take(_ event: RoundEvent<Answer>) -> Decision? {
        answered(event.answer, by: event.node)
    }

    static func reordered(_ asked: NodeSet, by order: NodeOrder) -> NodeSet {
        NodeSet(modelBits: order.reordered(bits: asked.modelBits))
    }

    static func reordered(_ event: RoundEvent<Answer>, by order: NodeOrder) -> RoundEvent<Answer> {
        event.reordered(by: order)
    }
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting

/// Clients that take the same lock over and over, on nodes that count their grants.
///
/// Every step is taken by chance: messages arrive in any order, late or never, and keys expire at any moment, as after
/// a jump of the node's clock. What is watched are the tokens alone: with keys that expire early, there may well be two
/// leases at a time.
struct FencingWorld {
    /// What the world is spared, and what it is not.
    struct Rules {
        /// Whether a lease needs nodes whose counters were seen at its token; if not, the highest answer will do.
        var confirms = true
        /// Whether nodes lose their data now and then, and counters end with their lives.
        var losesData = false
        /// Whether a counter below the time of the enrolment is seeded anew.
        var seeds = true
        /// How far a clock may be from the true time.
        var clockErrorMilliseconds: Int64 = 600
    }

    private enum Message {
        case acquire(recordID: RecordID, proposedMicroseconds: Int64)
        case raise(token: Int64)
        case release
        case acquireAnswer(AcquireRound.Answer)
        case raiseAnswer(AcquireRound.RaiseAnswer)
    }

    private struct Letter {
        let message: Message
        let ownerToken: Int
        let node: Int
    }

    private struct Attempt {
        let ownerToken: Int
        var round: AcquireRound
        /// The highest token of all grants that were finished when the attempt began.
        let highestBefore: Int64
        var highestAnswer: Int64 = 0
    }

    static let timing = LeaseTiming(ttlMilliseconds: 400, drift: .standard)

    private let rules: Rules
    private let quorum: Quorum
    private var random: SeededRandom
    private var now = Instant(nanoseconds: 1_000_000_000_000_000)
    private var nodes: [CountingNode]
    private var attempts: [Attempt?]
    private let clientClockErrors: [Int64]
    private var letters: [Letter] = []
    private var lastOwnerToken = 0
    private var highestToken: Int64 = 0
    private var tokens: Set<Int64> = []

    private(set) var grants = 0
    private(set) var losses = 0
    private(set) var violation: String?

    init(seed: UInt64, nodeCount: Int, rules: Rules) {
        var random = SeededRandom(seed: seed)
        let now = now
        func clockError() -> Int64 {
            let longest = rules.clockErrorMilliseconds * 1_000
            return Int64.random(in: -longest...longest, using: &random)
        }
        quorum = Quorum(majorityOf: nodeCount)
        attempts = Array(repeating: nil, count: 3)
        clientClockErrors = attempts.map { _ in clockError() }
        nodes = (0..<nodeCount).map { number in
            var node = CountingNode(number: number, clockErrorMicroseconds: clockError(), seeds: rules.seeds)
            node.enrol(id: random.next(), wallMicroseconds: 0, isNew: true, at: now)
            // Counters that survived from earlier times, unlike each other.
            if !rules.losesData { node.counter = node.microseconds(at: now) + Int64.random(in: 0...9, using: &random) }
            return node
        }
        self.random = random
        self.rules = rules
    }

    mutating func run(stepCount: Int) {
        for _ in 0..<stepCount where violation == nil { step() }
    }

    /// A number below the given one; `Int.random` is slow without optimisation.
    private mutating func chance(_ count: Int) -> Int {
        Int(truncatingIfNeeded: random.next() >> 33) % count
    }

    private mutating func step() {
        // Between two losses there is time for a few leases, and for the quarantine.
        now = now.advanced(byNanoseconds: Int64(chance(rules.losesData ? 4_000_000 : 1_000_000)))
        let client = chance(attempts.count)
        switch chance(300) {
        case 0 where rules.losesData: loseData(chance(nodes.count))
        case 0..<4 * nodes.count: nodes[chance(nodes.count)].expireKey()
        case 20..<40: begin(client)
        // Most attempts are not given up before they are decided.
        case 40..<80 where attempts[client]?.round.decision != nil || chance(20) == 0: end(client)
        default: takeLetter()
        }
    }

    // MARK: Clients

    private func wallMicroseconds(of client: Int) -> Int64 {
        now.nanoseconds / 1_000 + clientClockErrors[client]
    }

    private mutating func begin(_ client: Int) {
        guard attempts[client] == nil else { return }
        lastOwnerToken += attempts.count
        // Tells whose it is.
        let ownerToken = lastOwnerToken + client
        let round = AcquireRound(quorum: quorum, timing: Self.timing, start: now)
        attempts[client] = Attempt(ownerToken: ownerToken, round: round, highestBefore: highestToken)
        let wall = wallMicroseconds(of: client)
        for node in nodes.indices {
            if nodes[node].hasVote(wallMicroseconds: wall, at: now) {
                let message = Message.acquire(recordID: nodes[node].record.id, proposedMicroseconds: wall)
                letters.append(Letter(message: message, ownerToken: ownerToken, node: node))
            } else {
                hear(.refused, from: node, client: client)
            }
        }
    }

    /// Ends an attempt or a lease; what the nodes have is released, or left to them.
    private mutating func end(_ client: Int) {
        guard let attempt = attempts[client] else { return }
        attempts[client] = nil
        guard chance(8) > 0 else { return }
        for node in nodes.indices {
            letters.append(Letter(message: .release, ownerToken: attempt.ownerToken, node: node))
        }
    }

    private mutating func hear(_ answer: AcquireRound.Answer, from node: Int, client: Int) {
        var answer = answer
        if case .granted(let token?) = answer, !rules.confirms {
            let highest = attempts[client]?.highestAnswer ?? 0
            attempts[client]?.highestAnswer = max(highest, token)
            answer = .granted(token: nil)
        }
        follow(attempts[client]?.round.answered(answer, by: node, at: now), client: client)
    }

    private mutating func hearRaise(_ answer: AcquireRound.RaiseAnswer, from node: Int, client: Int) {
        follow(attempts[client]?.round.answered(answer, by: node, at: now), client: client)
    }

    private mutating func follow(_ step: AcquireRound.Step?, client: Int) {
        guard let step, let attempt = attempts[client] else { return }
        switch step {
        case .raise(let nodes, let token):
            for node in nodes {
                letters.append(Letter(message: .raise(token: token), ownerToken: attempt.ownerToken, node: node))
            }
        case .end(.granted(_, let token)): granted(token ?? attempt.highestAnswer, attempt)
        case .end(.failed): end(client)
        }
    }

    private mutating func granted(_ token: Int64, _ attempt: Attempt) {
        grants += 1
        if token <= attempt.highestBefore {
            violation = "token \(token) was granted after \(attempt.highestBefore)"
        } else if !tokens.insert(token).inserted {
            violation = "token \(token) was granted twice"
        }
        highestToken = max(highestToken, token)
    }

    // MARK: Network

    private mutating func takeLetter() {
        guard !letters.isEmpty else { return }
        let place = chance(letters.count)
        letters.swapAt(place, letters.count - 1)
        let letter = letters.removeLast()
        switch chance(20) {
        case 0: giveUp(letter)
        case 1:
            // It comes all the same, after its answer was given up.
            giveUp(letter)
            letters.append(letter)
        default: arrive(letter)
        }
    }

    private func isAwaited(_ letter: Letter) -> Int? {
        let client = letter.ownerToken % attempts.count
        return attempts[client]?.ownerToken == letter.ownerToken ? client : nil
    }

    private mutating func giveUp(_ letter: Letter) {
        guard let client = isAwaited(letter) else { return }
        switch letter.message {
        case .acquire, .acquireAnswer: hear(.unknown, from: letter.node, client: client)
        case .raise, .raiseAnswer: hearRaise(.unknown, from: letter.node, client: client)
        case .release: break
        }
    }

    private mutating func arrive(_ letter: Letter) {
        let (ownerToken, node) = (letter.ownerToken, letter.node)
        var answer: Message?
        switch letter.message {
        case .acquire(let recordID, let proposed):
            answer = .acquireAnswer(nodes[node].acquire(ownerToken, recordID, proposedMicroseconds: proposed, at: now))
        case .raise(let token): answer = .raiseAnswer(nodes[node].raise(to: token, for: ownerToken, at: now))
        case .release: nodes[node].release(ownerToken)
        case .acquireAnswer(let answer):
            if let client = isAwaited(letter) { hear(answer, from: node, client: client) }
        case .raiseAnswer(let answer):
            if let client = isAwaited(letter) { hearRaise(answer, from: node, client: client) }
        }
        if let answer { letters.append(Letter(message: answer, ownerToken: ownerToken, node: node)) }
    }

    // MARK: Losses

    /// The node comes back empty or from an old file, without the record or with one that is not its own, and the next
    /// client that sees it enrols it anew.
    private mutating func loseData(_ node: Int) {
        losses += 1
        nodes[node].loseData(restoring: chance(2) == 0)
        let wall = wallMicroseconds(of: chance(attempts.count))
        nodes[node].enrol(id: random.next(), wallMicroseconds: wall, isNew: false, at: now)
    }
}

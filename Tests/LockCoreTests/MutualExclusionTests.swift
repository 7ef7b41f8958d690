// SPDX-License-Identifier: Apache-2.0

import LockCore
import RedlockTesting
import Testing

/// Clients that drive the rounds over simulated nodes: messages are late, lost or answered to nobody, clocks run at
/// different rates, clients give up early, and come back at once.
@Suite
struct MutualExclusionTests {
    @Test(arguments: 1...5)
    func neverTwoValidLeases(nodeCount: Int) {
        var grants = 0
        var extensions = 0
        for seed in 0..<40 {
            var world = World(seed: UInt64(seed * 10 + nodeCount), nodeCount: nodeCount)
            world.run()
            grants += world.grants
            extensions += world.extensions
            guard world.violations.isEmpty else { return recordIssue("seed \(seed): \(world.violations)") }
        }
        // A test in which nobody gets anything shows nothing.
        #expect(grants > 200, "\(grants) grants")
        #expect(extensions > 50, "\(extensions) extensions")
    }
}

private struct World {
    enum Message {
        case acquire(Int)
        case extend(Int, round: Int)
        case release(Int)
    }

    enum Reply {
        case acquire(AcquireRound.Answer)
        case extend(ExtendRound.Answer, round: Int)
        case release
    }

    enum Event {
        case begin(client: Int)
        case arrives(Message, client: Int, node: Int)
        case answered(Reply, ownerToken: Int, client: Int, node: Int)
        case extends(client: Int, ownerToken: Int)
        case gives(client: Int, ownerToken: Int)
    }

    struct Client {
        var ownerToken = 0
        var acquiring: AcquireRound?
        var extending: ExtendRound?
        var extendNumber = 0
        var validUntil: Instant?
    }

    private static let millisecond: Int64 = 1_000_000
    private static let end = Instant(nanoseconds: 10_000 * millisecond)

    private let timing = LeaseTiming(ttlMilliseconds: 400, drift: .standard)
    private let quorum: Quorum
    private var random: SeededRandom
    private var nodes: [SimulatedNode]
    private var clients = [Client](repeating: Client(), count: 3)
    private var agenda = Agenda<Event>()
    private var lastOwnerToken = 0
    private let lossPercentage: Int

    private(set) var grants = 0
    private(set) var extensions = 0
    private(set) var violations: [String] = []

    init(seed: UInt64, nodeCount: Int) {
        random = SeededRandom(seed: seed)
        quorum = Quorum(majorityOf: nodeCount)
        nodes = (0..<nodeCount).map { _ in SimulatedNode() }
        lossPercentage = [0, 5, 20].randomElement(using: &random) ?? 0
        // As fast and as slow as the drift allows.
        for node in nodes.indices { nodes[node].rate = Int64.random(in: 991_000...1_009_000, using: &random) }
        for client in clients.indices { agenda.add(.begin(client: client), at: Instant(nanoseconds: 0)) }
    }

    mutating func run() {
        while violations.isEmpty, let (now, event) = agenda.next(), now < Self.end { handle(event, at: now) }
    }

    private mutating func handle(_ event: Event, at now: Instant) {
        switch event {
        case .begin(let client): begin(client, at: now)
        case .arrives(let message, let client, let node): arrives(message, client: client, node: node, at: now)
        case .answered(let reply, let ownerToken, let client, let node):
            guard clients[client].ownerToken == ownerToken else { return }
            switch reply {
            case .acquire(let answer): acquireAnswered(answer, client: client, node: node, at: now)
            case .extend(let answer, let round) where round == clients[client].extendNumber:
                extendAnswered(answer, client: client, node: node, at: now)
            case .extend, .release: break
            }
        case .extends(let client, let ownerToken):
            guard clients[client].ownerToken == ownerToken, let validUntil = clients[client].validUntil else { return }
            clients[client].extendNumber += 1
            clients[client].extending = ExtendRound(quorum: quorum, timing: timing, start: now, validUntil: validUntil)
            let round = clients[client].extendNumber
            for node in nodes.indices {
                let silence = Reply.extend(.unknown, round: round)
                send(.extend(ownerToken, round: round), client: client, node: node, giveUpAs: silence, at: now)
            }
        case .gives(let client, let ownerToken):
            guard clients[client].ownerToken == ownerToken else { return }
            clients[client].validUntil = nil
            clients[client].extending = nil
            for node in nodes.indices {
                send(.release(ownerToken), client: client, node: node, giveUpAs: .release, at: now)
            }
            agenda.add(.begin(client: client), at: soon(now))
        }
    }

    private mutating func begin(_ client: Int, at now: Instant) {
        lastOwnerToken += 1
        clients[client] = Client(ownerToken: lastOwnerToken)
        clients[client].acquiring = AcquireRound(quorum: quorum, timing: timing, start: now)
        for node in nodes.indices {
            send(.acquire(lastOwnerToken), client: client, node: node, giveUpAs: .acquire(.unknown), at: now)
        }
    }

    private mutating func arrives(_ message: Message, client: Int, node: Int, at now: Instant) {
        let ttl = timing.ttlNanoseconds
        switch message {
        case .acquire(let token):
            let answer = nodes[node].acquire(token, ttlNanoseconds: ttl, at: now)
            reply(.acquire(answer), ownerToken: token, client: client, node: node, at: now)
        case .extend(let token, let round):
            let answer = nodes[node].extend(token, ttlNanoseconds: ttl, at: now)
            reply(.extend(answer, round: round), ownerToken: token, client: client, node: node, at: now)
        case .release(let token):
            _ = nodes[node].release(token, at: now)
        }
    }

    private mutating func acquireAnswered(_ answer: AcquireRound.Answer, client: Int, node: Int, at now: Instant) {
        guard let decision = clients[client].acquiring?.decision(after: answer, by: node, at: now) else { return }
        let ownerToken = clients[client].ownerToken
        switch decision {
        case .granted(let validUntil, _):
            grants += 1
            for (other, holder) in clients.enumerated() where other != client {
                if let otherValidUntil = holder.validUntil, now < otherValidUntil, now < validUntil {
                    violations.append("clients \(other) and \(client) both hold it at \(now)")
                }
            }
            clients[client].validUntil = validUntil
            let hold = Int64.random(in: 1...600, using: &random) * Self.millisecond
            agenda.add(.extends(client: client, ownerToken: ownerToken), at: now.advanced(byNanoseconds: hold / 3))
            agenda.add(.gives(client: client, ownerToken: ownerToken), at: now.advanced(byNanoseconds: hold))
        case .failed:
            agenda.add(.gives(client: client, ownerToken: ownerToken), at: now)
        }
    }

    private mutating func extendAnswered(_ answer: ExtendRound.Answer, client: Int, node: Int, at now: Instant) {
        guard let decision = clients[client].extending?.answered(answer, by: node, at: now) else { return }
        switch decision {
        case .extended(let validUntil):
            extensions += 1
            clients[client].validUntil = validUntil
            let others = clients.indices.filter { $0 != client && (clients[$0].validUntil.map { now < $0 } ?? false) }
            if !others.isEmpty { violations.append("client \(client) extended while \(others) hold it at \(now)") }
        case .lost, .tooLate: clients[client].validUntil = nil
        case .inconclusive: break
        }
    }

    // MARK: Network

    private mutating func soon(_ now: Instant) -> Instant {
        now.advanced(byNanoseconds: Int64.random(in: 0...50, using: &random) * Self.millisecond)
    }

    /// Mostly quick, seldom so late that the round is long over.
    private mutating func delay() -> Int64 {
        let longest: Int64 = Int.random(in: 0..<20, using: &random) == 0 ? 800 : 10
        return Int64.random(in: 0...longest * Self.millisecond, using: &random)
    }

    private mutating func isLost() -> Bool {
        Int.random(in: 0..<100, using: &random) < lossPercentage
    }

    private mutating func send(_ message: Message, client: Int, node: Int, giveUpAs silence: Reply, at now: Instant) {
        let ownerToken = clients[client].ownerToken
        if !isLost() {
            agenda.add(.arrives(message, client: client, node: node), at: now.advanced(byNanoseconds: delay()))
        }
        let patience = now.advanced(byNanoseconds: 40 * Self.millisecond)
        agenda.add(.answered(silence, ownerToken: ownerToken, client: client, node: node), at: patience)
    }

    private mutating func reply(_ reply: Reply, ownerToken: Int, client: Int, node: Int, at now: Instant) {
        guard !isLost() else { return }
        let time = now.advanced(byNanoseconds: delay())
        agenda.add(.answered(reply, ownerToken: ownerToken, client: client, node: node), at: time)
    }
}

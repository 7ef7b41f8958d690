// SPDX-License-Identifier: Apache-2.0

/// Everything that is true at one moment, in 96 bytes; worlds that are equal have the same future.
///
/// All times are relative to now, so a world does not know how long it has lasted.
struct World: Hashable {
    /// The commands on their way, by client and node.
    var commands = OfClients(repeating: OfNodes(repeating: CommandQueue()))
    var clients = OfClients(repeating: Client())
    var ledger = Ledger()
    var nodes = OfNodes(repeating: Node())
    /// What each client knows of each node, and the answer that is on its way between them.
    var links = OfClients(repeating: OfNodes(repeating: Link()))

    /// The world before anything has happened: every node is enrolled, admitted by every client, and counts from one.
    init(rules: ModelRules) {
        ledger.attemptsLeft = rules.bounds.attempts
        ledger.extensionsLeft = rules.bounds.extensions
        ledger.lossesLeft = rules.bounds.losses
        ledger.jumpsLeft = rules.bounds.jumps
        ledger.fastNodesLeft = rules.bounds.fastNodes
        ledger.ticksLeft = rules.bounds.ticks
        ledger.highestToken = 1
        for node in 0..<SmallWorld.nodeCount {
            nodes[node].hasRecord = true
            nodes[node].generation = 1
            nodes[node].counter = 1
            nodes[node].enrolmentToken = 1
            for client in 0..<SmallWorld.clientCount { links[client][node].knownGeneration = 1 }
        }
    }
}

/// Who set a key: a client's attempt, with its first owner token or the spare one.
struct Owner: Hashable {
    /// 0 stands for nobody.
    let code: Int

    static let nobody = Owner(code: 0)

    init(code: Int) { self.code = code }

    init(client: Int, attempt: Int, isSpare: Bool) {
        code = 1 + client * 4 + attempt * 2 + (isSpare ? 1 : 0)
    }

    /// The same attempt of the other client.
    var swapped: Owner { self == .nobody ? self : Owner(code: (code - 1) ^ 4 + 1) }

    var client: Int { (code - 1) / 4 }
}

/// One Redis server.
struct Node: BitPacked {
    private static let owner = BitField(offset: 0, width: 4)
    private static let left = BitField(offset: 4, width: 3)
    private static let counter = BitField(offset: 7, width: 5)
    private static let enrolmentToken = BitField(offset: 12, width: 5)
    private static let generation = BitField(offset: 17, width: 2)
    private static let hasRecord = BitField(offset: 19, width: 1)
    private static let isNewProcess = BitField(offset: 20, width: 1)
    private static let quarantine = BitField(offset: 21, width: 3)
    private static let hasJumped = BitField(offset: 24, width: 1)
    private static let wasFast = BitField(offset: 25, width: 1)

    var word: UInt32 = 0

    /// Who has the key of the lock.
    var owner: Owner {
        get { Owner(code: self[Self.owner]) }
        set { self[Self.owner] = newValue.code }
    }
    /// How many ticks of its own clock the key still lives.
    var ticksLeft: Int {
        get { self[Self.left] }
        set { self[Self.left] = newValue }
    }
    /// The last fencing token that was given.
    var counter: Int {
        get { self[Self.counter] }
        set { self[Self.counter] = newValue }
    }
    /// The time of the enrolment, as a token: a counter below it was lost.
    var enrolmentToken: Int {
        get { self[Self.enrolmentToken] }
        set { self[Self.enrolmentToken] = newValue }
    }
    /// Tells the record from every other that the node ever had.
    var generation: Int {
        get { self[Self.generation] }
        set { self[Self.generation] = newValue }
    }
    var hasRecord: Bool {
        get { isSet(Self.hasRecord) }
        set { self[Self.hasRecord] = newValue ? 1 : 0 }
    }
    /// Whether the server process is another one than was enrolled.
    var isNewProcess: Bool {
        get { isSet(Self.isNewProcess) }
        set { self[Self.isNewProcess] = newValue ? 1 : 0 }
    }
    /// For how many ticks the node has no vote.
    var quarantineTicks: Int {
        get { self[Self.quarantine] }
        set { self[Self.quarantine] = newValue }
    }
    var hasJumped: Bool {
        get { isSet(Self.hasJumped) }
        set { self[Self.hasJumped] = newValue ? 1 : 0 }
    }
    /// Whether the clock has gained the tick that it may gain.
    var wasFast: Bool {
        get { isSet(Self.wasFast) }
        set { self[Self.wasFast] = newValue ? 1 : 0 }
    }

    mutating func dropKey() {
        owner = .nobody
        ticksLeft = 0
    }
}

/// What a client is doing.
enum Phase: Int {
    case idle, acquiring, holding, extending, releasing

    /// Whether the client may still ask nodes for anything without beginning a new attempt.
    var mayStillAsk: Bool {
        switch self {
        case .acquiring, .holding, .extending: true
        case .idle, .releasing: false
        }
    }
}

/// One client, with one lease or none.
struct Client: BitPacked {
    private static let phase = BitField(offset: 0, width: 3)
    private static let attempts = BitField(offset: 3, width: 2)
    private static let elapsed = BitField(offset: 5, width: 3)
    private static let validity = BitField(offset: 8, width: 3)
    private static let token = BitField(offset: 11, width: 5)
    private static let tokenBefore = BitField(offset: 16, width: 5)
    private static let extensions = BitField(offset: 21, width: 2)
    private static let keys = BitField(offset: 23, width: 3)
    private static let repaired = BitField(offset: 26, width: 3)
    private static let takenBack = BitField(offset: 29, width: 3)
    private static let round = BitField(offset: 32, width: 20)

    var word: UInt64 = 0

    var phase: Phase {
        get { Phase(rawValue: self[Self.phase]) ?? .idle }
        set { self[Self.phase] = newValue.rawValue }
    }
    /// How many attempts the client has begun.
    var attempts: Int {
        get { self[Self.attempts] }
        set { self[Self.attempts] = newValue }
    }
    /// Which of them is the last.
    var attempt: Int { max(0, attempts - 1) }
    /// How many ticks ago the round began; beyond the validity they are all alike.
    var elapsedTicks: Int {
        get { self[Self.elapsed] }
        set { self[Self.elapsed] = newValue }
    }
    /// For how many ticks the holder may count on its lease.
    var validTicks: Int {
        get { self[Self.validity] }
        set { self[Self.validity] = newValue }
    }
    /// The fencing token of the lease.
    var token: Int {
        get { self[Self.token] }
        set { self[Self.token] = newValue }
    }
    /// The highest token that had been granted when the attempt began.
    var tokenBefore: Int {
        get { self[Self.tokenBefore] }
        set { self[Self.tokenBefore] = newValue }
    }
    /// How many rounds of extension the lease has begun.
    var extensions: Int {
        get { self[Self.extensions] }
        set { self[Self.extensions] = newValue }
    }
    /// The nodes that may have the key, as bits; while it is released, those that were asked.
    var keys: Int {
        get { self[Self.keys] }
        set { self[Self.keys] = newValue }
    }
    /// The nodes on which the key was set again.
    var repaired: Int {
        get { self[Self.repaired] }
        set { self[Self.repaired] = newValue }
    }
    /// The nodes whose vote came to nothing: a release went there at once.
    var takenBack: Int {
        get { self[Self.takenBack] }
        set { self[Self.takenBack] = newValue }
    }
    /// The number of the round that the client is in.
    var round: Int {
        get { self[Self.round] }
        set { self[Self.round] = newValue }
    }

    var isHolder: Bool { validTicks > 0 }

    /// Forgets the lease and the round; what was begun stays begun.
    mutating func becomeIdle() {
        let attempts = attempts
        word = 0
        self.attempts = attempts
    }

    /// What tells the client from the other whatever the order of the nodes.
    var wordWithoutNodes: UInt64 {
        var copy = self
        copy.round = 0
        copy.keys = copy.keys.nonzeroBitCount
        copy.repaired = copy.repaired.nonzeroBitCount
        copy.takenBack = copy.takenBack.nonzeroBitCount
        return copy.word
    }
}

/// What is wrong with a world.
enum ModelViolation: Int {
    case twoHolders = 1
    case sameTokenTwice
    case lowerTokenLater
    case releasedButHeld

    var text: String {
        switch self {
        case .twoHolders: "two clients have a valid lease at the same time"
        case .sameTokenTwice: "two leases have the same fencing token"
        case .lowerTokenLater: "a grant has a lower token than one that was finished before it began"
        case .releasedButHeld: "a release is said to be done, and a quorum still has the key"
        }
    }
}

/// What may still happen, and the judge's memory.
struct Ledger: BitPacked {
    private static let granted = BitField(offset: 0, width: 32)
    private static let attempts = BitField(offset: 32, width: 3)
    private static let extensions = BitField(offset: 35, width: 2)
    private static let losses = BitField(offset: 37, width: 2)
    private static let jumps = BitField(offset: 39, width: 2)
    private static let fastNodes = BitField(offset: 41, width: 2)
    private static let highest = BitField(offset: 43, width: 5)
    private static let violation = BitField(offset: 48, width: 3)
    private static let ticks = BitField(offset: 51, width: 3)
    private static let unboundedTicks = 7

    var word: UInt64 = 0

    var attemptsLeft: Int {
        get { self[Self.attempts] }
        set { self[Self.attempts] = newValue }
    }
    var extensionsLeft: Int {
        get { self[Self.extensions] }
        set { self[Self.extensions] = newValue }
    }
    var lossesLeft: Int {
        get { self[Self.losses] }
        set { self[Self.losses] = newValue }
    }
    var jumpsLeft: Int {
        get { self[Self.jumps] }
        set { self[Self.jumps] = newValue }
    }
    var fastNodesLeft: Int {
        get { self[Self.fastNodes] }
        set { self[Self.fastNodes] = newValue }
    }
    /// How many ticks may pass; nil without a bound.
    var ticksLeft: Int? {
        get { self[Self.ticks] == Self.unboundedTicks ? nil : self[Self.ticks] }
        set { self[Self.ticks] = newValue ?? Self.unboundedTicks }
    }
    /// The highest token that any node ever answered.
    var highestToken: Int {
        get { self[Self.highest] }
        set { self[Self.highest] = newValue }
    }
    var violation: ModelViolation? {
        get { ModelViolation(rawValue: self[Self.violation]) }
        set { self[Self.violation] = newValue?.rawValue ?? 0 }
    }

    /// The tokens of leases that a later grant may still be compared with, as bits.
    var grantedTokens: Int {
        get { self[Self.granted] }
        set { self[Self.granted] = newValue }
    }

    /// The highest token of a lease; 0 without any.
    var highestGrantedToken: Int {
        Int.bitWidth - 1 - (grantedTokens | 1).leadingZeroBitCount
    }
}

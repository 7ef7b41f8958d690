// SPDX-License-Identifier: Apache-2.0

/// A command on its way from a client to a node.
struct Command: BitPacked {
    enum Kind: Int {
        case acquire = 1
        case raise, extend, repair, release
    }

    private static let kind = BitField(offset: 0, width: 3)
    private static let attempt = BitField(offset: 3, width: 1)
    private static let isSpare = BitField(offset: 4, width: 1)
    private static let number = BitField(offset: 5, width: 5)
    static let width = 10

    var word: UInt64

    init(word: UInt64) { self.word = word }

    init(_ kind: Kind, attempt: Int, isSpare: Bool = false, number: Int = 0) {
        word = 0
        self[Self.kind] = kind.rawValue
        self[Self.attempt] = attempt
        self[Self.isSpare] = isSpare ? 1 : 0
        self[Self.number] = number
    }

    var kind: Kind { Kind(rawValue: self[Self.kind]) ?? .release }
    /// Which attempt of the client the owner token is of.
    var attempt: Int { self[Self.attempt] }
    var isSpare: Bool { isSet(Self.isSpare) }
    /// The record that was admitted, the token to raise the counter to, or the round of extension.
    var number: Int { self[Self.number] }
}

/// The commands on one connection, in the order in which they were sent.
struct CommandQueue: Hashable {
    private(set) var word: UInt64 = 0

    var isEmpty: Bool { word == 0 }

    mutating func append(_ command: Command) {
        // No command is zero, so the highest bit that is set lies in the last one.
        let count = (UInt64.bitWidth - word.leadingZeroBitCount + Command.width - 1) / Command.width
        precondition(count < UInt64.bitWidth / Command.width, "more commands on a connection than there is room for")
        word |= command.word << UInt64(count * Command.width)
    }

    /// The command that is carried out next.
    var first: Command? { isEmpty ? nil : Command(word: word & (1 << UInt64(Command.width) - 1)) }

    mutating func popFirst() -> Command? {
        defer { word >>= UInt64(Command.width) }
        return first
    }

    mutating func removeAll() { word = 0 }

    func contains(where matches: (Command) -> Bool) -> Bool {
        var rest = self
        while let command = rest.popFirst() {
            if matches(command) { return true }
        }
        return false
    }
}

/// What a node answered, or that nothing will come any more.
enum Reply: Int {
    case none
    case granted, held, refused
    case raised, gone
    case stillMine, missing, foreign
    case deleted, notHeld
    /// The connection was cut before the answer.
    case cut
}

/// What one client knows of one node, and the answer to its last question.
///
/// There is never more than one answer that anybody waits for: the next question is asked when it is there, or when
/// the client has turned to something else.
struct Link: BitPacked {
    private static let reply = BitField(offset: 0, width: 4)
    private static let number = BitField(offset: 4, width: 5)
    private static let isFromJumpedClock = BitField(offset: 9, width: 1)
    private static let knownGeneration = BitField(offset: 10, width: 2)
    private static let isCut = BitField(offset: 12, width: 1)
    private static let knowsJump = BitField(offset: 13, width: 1)
    private static let isSuspected = BitField(offset: 14, width: 1)
    private static let isDoubtful = BitField(offset: 15, width: 1)

    var word: UInt16 = 0

    var reply: Reply { Reply(rawValue: self[Self.reply]) ?? .none }
    /// The token of a grant.
    var token: Int { self[Self.number] }
    /// Whether the clock, read behind the answer, had jumped by then.
    var isFromJumpedClock: Bool { isSet(Self.isFromJumpedClock) }

    mutating func answer(_ reply: Reply, token: Int = 0, hasJumped: Bool = false) {
        self[Self.reply] = reply.rawValue
        self[Self.number] = token
        self[Self.isFromJumpedClock] = hasJumped ? 1 : 0
    }

    mutating func dropReply() { answer(.none) }

    mutating func forgetAllButReply() {
        let reply = reply
        word = 0
        answer(reply)
    }

    /// The record that the client has admitted.
    var knownGeneration: Int {
        get { self[Self.knownGeneration] }
        set { self[Self.knownGeneration] = newValue }
    }
    /// Whether the connection was cut and not made anew.
    var isCut: Bool {
        get { isSet(Self.isCut) }
        set { self[Self.isCut] = newValue ? 1 : 0 }
    }
    /// Whether the client follows the clock from after its jump.
    var knowsJump: Bool {
        get { isSet(Self.knowsJump) }
        set { self[Self.knowsJump] = newValue ? 1 : 0 }
    }
    /// Whether the client saw the clock jump and has not enrolled the node anew.
    var isSuspected: Bool {
        get { isSet(Self.isSuspected) }
        set { self[Self.isSuspected] = newValue ? 1 : 0 }
    }
    /// Whether the record changed since the question was asked.
    var isDoubtful: Bool {
        get { isSet(Self.isDoubtful) }
        set { self[Self.isDoubtful] = newValue ? 1 : 0 }
    }
}

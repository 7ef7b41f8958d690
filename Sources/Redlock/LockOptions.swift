// SPDX-License-Identifier: Apache-2.0

internal import LockCore
internal import RedisTransport

/// How long to wait for a lock that others hold.
public enum WaitPolicy: Hashable, Sendable {
    /// One attempt; none if tasks of this client wait for the lock already, who would get it first.
    case none
    /// Attempts until the time is over, in turn with the tasks of this client that came before; at least one, which may
    /// take one node timeout, if nobody did.
    case atMost(Duration)
    /// Attempts until the lock is obtained or the task is cancelled.
    case forever
}

/// Who keeps a lease alive.
public enum Renewal: Hashable, Sendable {
    /// Nobody but the holder, by calling `extend`.
    case none
    /// The client, at a third of the TTL, until the lease is released, lost or forgotten.
    case automatic
}

/// What to ask for with one lock; every value has a default.
public struct LockOptions: Sendable {
    /// How long the lock lives if nobody renews or releases it; 10 s by default, in whole milliseconds.
    ///
    /// A shorter one frees the lock sooner after its holder crashed, and leaves less time to bridge an outage.
    public var ttl: Duration

    /// How long to wait while others hold the lock; for ever by default.
    public var wait: WaitPolicy

    /// The longest that renewal keeps the lease alive, counted from its grant; without a bound by default.
    public var maximumHold: Duration?

    /// How long the lock stays at least, counted from its grant, however soon it is released; nil by default.
    ///
    /// For work that takes less time than the clocks of the machines that start it differ: it does not run twice. A release
    /// before that time has the nodes keep the lock for exactly the rest, unrenewed and under the same owner token, and
    /// wakes no waiter; neither the process nor the client has to stay for it. So it is whatever the work came to, an error
    /// included, and when the client is shut down; but not if the lease was lost. The lock of a process that is killed ends
    /// with its TTL, as always. ``Lease/waiveMinimumHold()`` ends it, and
    /// so does a release by the owner token or by force. A lock with a minimum hold is not handed over within the client.
    ///
    /// At most ``maximumHold``, and at most the maximum TTL of the client: a node that forgot the lock has a vote again
    /// after that time.
    public var minimumHold: Duration?

    /// How long before the end of its validity a lease counts as lost, so that what runs under it can stop in time.
    ///
    /// By default the larger of 20 ms and 1 % of the TTL. At most half the TTL.
    public var cancellationMargin: Duration?

    /// What stands in the owner token for people to read; the client's label by default.
    public var label: String?

    /// What else whoever looks at the lock is to read, such as a job or a request; nothing by default.
    ///
    /// It stands in the owner token: at most 256 bytes, without control characters. It is no secret.
    public var note: String?

    /// Whether `withLock` may be called again, with the same lock, by the task that already runs under it; false by default.
    ///
    /// The inner body then runs under the lease of the outer one, with its fencing token, TTL, label and note; the lock is
    /// released after the outer body. Without it, the inner call throws `heldByTask`.
    public var reentrant: Bool

    /// Whether the lock is granted in the order in which it was asked for, over all processes; false by default.
    ///
    /// Otherwise whoever asks at the moment at which the lock is free gets it, which is faster, and a lock may go from one
    /// task of a client to the next. In order means: among all who ask for the same lock so, by the time at which each call
    /// began, as the clocks of the nodes tell it. One that is woken and does not come within half a node timeout loses its
    /// turn. It is for one name, to be had alone; a client of the compatible profile refuses it.
    public var fair: Bool

    /// Whether the lock may go from one task of this client to the next without the nodes being asked; true by default.
    ///
    /// For that, a grant reserves 16 fencing tokens or more. Without it a grant reserves its own only, so that
    /// ``LockStatus/holderFencingToken`` is the token of the holder, and the tokens of a resource have no gaps but those of
    /// attempts that failed.
    public var handsOver: Bool

    /// Whose turn it is first among those who wait in order (``fair``): that of the highest priority, from -100 to 100; 0 by
    /// default.
    ///
    /// It does not take the lock from whoever has it. A client is in the order once for each lock, with the priority of the
    /// first of its tasks that wait. One that has waited for more than a year longer goes before one of the next priority.
    public var priority: Int

    /// How many of the last grants of this lock the nodes keep a record of, 32 at most; none by default.
    ///
    /// For people, after something went wrong: see ``RedlockClient/recordedGrants(of:)``. Written at the beginning and the end
    /// of each lease on every node that can be asked, without anybody waiting for that. It is for one name, to be had alone;
    /// a client of the compatible profile refuses it.
    public var recordedGrants: Int

    /// Options with the given values.
    @inline(never)  // An async caller would keep room for each piece for as long as it waits.
    public init(
        ttl: Duration = .seconds(10),
        wait: WaitPolicy = .forever,
        maximumHold: Duration? = nil,
        minimumHold: Duration? = nil,
        cancellationMargin: Duration? = nil,
        label: String? = nil,
        note: String? = nil,
        reentrant: Bool = false,
        fair: Bool = false,
        handsOver: Bool = true,
        priority: Int = 0,
        recordedGrants: Int = 0
    ) {
        self.ttl = ttl
        self.wait = wait
        self.maximumHold = maximumHold
        self.minimumHold = minimumHold
        self.cancellationMargin = cancellationMargin
        self.label = label
        self.note = note
        self.reentrant = reentrant
        self.fair = fair
        self.handsOver = handsOver
        self.priority = priority
        self.recordedGrants = recordedGrants
    }
}

/// The options of one call, checked, in the units that the protocol counts in.
struct LeaseTerms: Sendable {
    let timing: LeaseTiming
    let cancellationMarginNanoseconds: Int64
    let label: String
    let note: String?
    let maximumHoldNanoseconds: Int64?
    let minimumHoldNanoseconds: Int64?
    let renewal: Renewal
    /// Whether the lock is to be had in the order in which all asked for it.
    let isFair: Bool
    /// Whether another task of the client may have the lock next without the nodes being asked.
    let handsOver: Bool
    /// Who waits in order with a higher one has the lock first.
    let priority: Int
    /// How many of the last grants the nodes keep a record of.
    let recordCount: Int

    init(
        _ options: LockOptions,
        renewal: Renewal,
        configuration: RedlockConfiguration
    ) throws(RedlockError) {
        timing = try Self.timing(ttl: options.ttl, configuration: configuration)
        if let maximumHold = options.maximumHold, maximumHold <= .zero {
            throw RedlockError(.invalidArgument, "the maximum hold must be longer than 0")
        }
        try Self.validateMinimumHold(of: options, configuration: configuration)
        let margin = options.cancellationMargin?.nanoseconds
        if let margin, margin < 0 || margin > timing.ttlNanoseconds / 2 {
            throw RedlockError(.invalidArgument, "the cancellation margin must lie between 0 and half the TTL")
        }
        if let label = options.label { try RedlockConfiguration.validate(label: label, .invalidArgument) }
        if let note = options.note { try Self.validate(note: note) }
        guard Self.priorities.contains(options.priority) else {
            throw RedlockError(.invalidArgument, "the priority must lie between -100 and 100")
        }
        guard (0...Self.mostRecords).contains(options.recordedGrants) else {
            throw RedlockError(.invalidArgument, "records of 0 to \(Self.mostRecords) grants can be kept")
        }
        maximumHoldNanoseconds = options.maximumHold?.nanoseconds
        minimumHoldNanoseconds = options.minimumHold?.nanoseconds
        cancellationMarginNanoseconds = margin ?? max(20_000_000, timing.ttlNanoseconds / 100)
        self.renewal = renewal
        isFair = options.fair
        // Others may not have the lock before the minimum hold is over, and the tasks of this client are no exception.
        handsOver = options.handsOver && options.minimumHold == nil
        priority = options.priority
        recordCount = options.recordedGrants
        label = options.label ?? configuration.label
        note = options.note
    }

    private static func validateMinimumHold(
        of options: LockOptions,
        configuration: RedlockConfiguration
    ) throws(RedlockError) {
        guard let minimumHold = options.minimumHold else { return }
        guard minimumHold > .zero else {
            throw RedlockError(.invalidArgument, "the minimum hold must be longer than 0")
        }
        guard minimumHold <= configuration.maximumTTL else {
            throw RedlockError(
                .invalidArgument,
                "the minimum hold (\(minimumHold)) is longer than the maximum TTL of this client "
                    + "(\(configuration.maximumTTL)), after which a node that forgot the lock has a vote again: shorten it, or "
                    + "enrol the nodes for a longer maximum TTL"
            )
        }
        if let maximumHold = options.maximumHold, minimumHold > maximumHold {
            throw RedlockError(
                .invalidArgument,
                "the minimum hold (\(minimumHold)) is longer than the maximum hold (\(maximumHold))"
            )
        }
    }

    /// Until when a lock stays at least that is granted now; nil without a minimum hold.
    func minimumHoldEnd(grantedAt surroundings: any Surroundings) -> Instant? {
        minimumHoldNanoseconds.map { surroundings.now.advanced(byNanoseconds: $0) }
    }

    private static let priorities = -100...100
    /// So many fit into one reply.
    static let mostRecords = 32

    /// Whether a lock that was asked for under one serves the other as well: it lives as long and tells people the same.
    func areAlike(_ other: LeaseTerms) -> Bool {
        timing == other.timing && label == other.label && note == other.note && handsOver == other.handsOver
            && recordCount == other.recordCount
    }

    private static func validate(note: String) throws(RedlockError) {
        let (count, limit) = (note.utf8.count, OwnerField.longestNote)
        guard count <= limit else {
            throw RedlockError(.invalidArgument, "the note is \(count) bytes long, and at most \(limit) are allowed")
        }
        guard !note.containsControlCharacters else {
            throw RedlockError(.invalidArgument, "the note has control characters")
        }
    }

    /// The times of a lease of the given TTL, if the configuration allows it.
    static func timing(ttl: Duration, configuration: RedlockConfiguration) throws(RedlockError) -> LeaseTiming {
        guard ttl > .zero else { throw RedlockError(.invalidArgument, "the TTL must be longer than 0") }
        guard ttl <= configuration.maximumTTL else {
            throw RedlockError(
                .invalidArgument,
                "the TTL (\(ttl)) is longer than the maximum TTL of this client (\(configuration.maximumTTL))"
            )
        }
        guard ttl >= configuration.nodeTimeout * 10 else {
            throw RedlockError(
                .invalidArgument,
                "the TTL (\(ttl)) is shorter than ten times the node timeout (\(configuration.nodeTimeout)): "
                    + "one slow node would use it up"
            )
        }
        let milliseconds = (ttl.nanoseconds + 999_999) / 1_000_000
        return LeaseTiming(ttlMilliseconds: milliseconds, drift: configuration.drift.lockCore)
    }
}

/// The name of what is locked, checked.
///
/// Two names are one if their bytes are, as the nodes have it. Texts of Swift are also equal if they look alike: an accented
/// letter, and the same letter followed by its accent.
struct ResourceName: Hashable {
    static let maximumByteCount = 512

    /// What is named: names of different kinds have nothing to do with each other.
    enum Kind: Hashable {
        case lock
        /// All slots of one name.
        case slots
        case slot(Int)
    }

    let text: String
    let kind: Kind

    /// The name, and the number of the slot if it is one.
    var title: String { slot.map { "\(text) slot \($0)" } ?? text }

    /// The number of the slot; nil for what is none.
    var slot: Int? {
        if case .slot(let slot) = kind { slot } else { nil }
    }

    init(_ text: String, kind: Kind = .lock) {
        self.text = text
        self.kind = kind
    }

    static func == (one: ResourceName, other: ResourceName) -> Bool {
        guard one.kind == other.kind, one.text.utf8.count == other.text.utf8.count else { return false }
        var (one, other) = (one.text, other.text)
        // As memory: comparing the views of two texts takes many times as long.
        return one.withUTF8 { one in other.withUTF8 { other in one.elementsEqual(other) } }
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }

    static func validate(_ name: String) throws(RedlockError) {
        guard !name.isEmpty else { throw RedlockError(.invalidArgument, "the name of the lock is empty") }
        guard name.utf8.count <= maximumByteCount else {
            throw RedlockError(
                .invalidArgument,
                "the name of the lock is \(name.utf8.count) bytes long, and at most \(maximumByteCount) are allowed"
            )
        }
        guard !name.containsControlCharacters else {
            throw RedlockError(.invalidArgument, "the name of the lock has control characters")
        }
    }
}

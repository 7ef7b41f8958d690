// SPDX-License-Identifier: Apache-2.0

/// What somebody wants to lock, or has locked, and how.
enum Claim: Hashable, Sendable {
    /// One name, for one holder alone.
    case exclusive(ResourceName)
    /// One name, together with all others who share it.
    case shared(ResourceName)
    /// Several names at once, for one holder alone; sorted, each once, two at least.
    case all([ResourceName])
    /// One of so many slots of a name; which of them, is known once there is one.
    case slot(Int?, of: ResourceName, count: Int)

    /// The names of what is wanted, sorted: who has one of them keeps others from it.
    var names: [ResourceName] {
        switch self {
        case .exclusive(let name), .shared(let name), .slot(_, let name, _): [name]
        case .all(let names): names
        }
    }

    /// The names of the locks on the nodes; none for a slot as long as nobody knows which.
    var locks: [ResourceName] {
        switch self {
        case .exclusive, .shared, .all: names
        case .slot(let slot, let name, _): slot.map { [ResourceName(name.text, kind: .slot($0))] } ?? []
        }
    }

    /// Whether only one task of all has it at a time, so that those of one client can hand it over to each other.
    var isForOne: Bool {
        switch self {
        case .exclusive, .all: true
        case .shared, .slot: false
        }
    }

    /// Which slot it is; nil for what is none, or as long as nobody knows.
    var slot: Int? {
        if case .slot(let slot, _, _) = self { slot } else { nil }
    }

    /// The same claim, to whichever slot.
    var asAskedFor: Claim {
        if case .slot(_, let name, let count) = self { .slot(nil, of: name, count: count) } else { self }
    }

    /// The same claim to the given slot.
    func withSlot(_ slot: Int) -> Claim {
        if case .slot(_, let name, let count) = self { .slot(slot, of: name, count: count) } else { self }
    }

    /// What nodes know the place of a client by that waits for this; nil for several names, of which each call has its own.
    func member(ofClient client: String) -> String? {
        switch self {
        case .exclusive: client + "x"
        case .shared: client + "s"
        // As others may wait for slots of the same name who believe that there are more of them.
        case .slot(_, _, let count): "\(client)c\(count)"
        case .all: nil
        }
    }

    /// The same for one who waits for what one lease of this gives free: for one of several names, alone.
    func member(ofHeir client: String) -> String {
        member(ofClient: client) ?? Claim.exclusive(names[0]).member(ofClient: client) ?? client
    }

    /// Whether every attempt tells since when it has waited, and not only those that are to have the lock in turn.
    var needsTicket: Bool { !isForOne }

    /// Whether others may have the same at the same time.
    var isShared: Bool {
        if case .shared = self { true } else { false }
    }

    /// What is locked, for people to read.
    var resource: String {
        switch self {
        case .exclusive(let name), .shared(let name), .slot(_, let name, _): name.text
        case .all(let names): names.map(\.text).joined(separator: ", ")
        }
    }

    /// The claim to one name alone.
    static func one(_ name: String) throws(RedlockError) -> Claim {
        try ResourceName.validate(name)
        return .exclusive(ResourceName(name))
    }

    /// The claim to one name together with others.
    static func shared(_ name: String) throws(RedlockError) -> Claim {
        try ResourceName.validate(name)
        return .shared(ResourceName(name))
    }

    /// Throws unless whoever has this claim can have it in turn.
    func refuseUnlessFair(in profile: LockProfile) throws(RedlockError) {
        guard profile.isStandard else {
            throw RedlockError(.invalidArgument, "locks of the compatible profile cannot be had in turn")
        }
        switch self {
        case .exclusive, .slot: break
        case .shared, .all:
            throw RedlockError(
                .invalidArgument,
                "a lock that is shared, or had together with others, cannot be had in turn"
            )
        }
    }

    /// Throws unless the nodes can keep a record of who had this claim.
    func refuseUnlessRecorded(in profile: LockProfile) throws(RedlockError) {
        guard case .exclusive = self, profile.isStandard else {
            throw RedlockError(
                .invalidArgument,
                "records are kept of the grants of one name, to be had alone, and not in the compatible profile"
            )
        }
    }

    /// The claim to one of so many slots.
    static func slot(of name: String, count: Int) throws(RedlockError) -> Claim {
        try ResourceName.validate(name)
        guard (1...maximumSlotCount).contains(count) else {
            let message = "\(count) slots make no sense; there are 1 to \(maximumSlotCount) under one name"
            throw RedlockError(.invalidArgument, message)
        }
        return .slot(nil, of: ResourceName(name, kind: .slots), count: count)
    }

    /// The claim to several names at once.
    static func exclusive(_ names: [String]) throws(RedlockError) -> Claim {
        guard !names.isEmpty else { throw RedlockError(.invalidArgument, "there is no name to lock") }
        for name in names { try ResourceName.validate(name) }
        let sorted = Set(names.map { ResourceName($0) }).sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }
        guard sorted.count <= maximumNameCount else {
            let message = "\(sorted.count) names are to be locked at once, and at most \(maximumNameCount) are allowed"
            throw RedlockError(.invalidArgument, message)
        }
        return sorted.count == 1 ? .exclusive(sorted[0]) : .all(sorted)
    }

    /// How many slots there can be under one name: scripts look at one after the other.
    static let maximumSlotCount = 256

    /// How many names can be locked at once.
    static let maximumNameCount = 64
}

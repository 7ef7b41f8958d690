// SPDX-License-Identifier: Apache-2.0

/// What somebody wants to lock, or has locked, and how.
enum Claim: Hashable, Sendable {
    /// One name, for one holder alone.
    case exclusive(ResourceName)
    /// One name, together with all others who share it.
    case shared(ResourceName)
    /// Several names at once, for one holder alone; sorted, each once, two at least.
    case all([ResourceName])

    /// The names, sorted.
    var names: [ResourceName] {
        switch self {
        case .exclusive(let name), .shared(let name): [name]
        case .all(let names): names
        }
    }

    /// Whether others may have the same at the same time.
    var isShared: Bool {
        if case .shared = self { true } else { false }
    }

    /// What is locked, for people to read.
    var resource: String {
        switch self {
        case .exclusive(let name), .shared(let name): name.text
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
        guard case .exclusive = self else {
            throw RedlockError(.invalidArgument, "only one lock that is to be had alone can be had in turn")
        }
    }

    /// The claim to several names at once.
    static func exclusive(_ names: [String]) throws(RedlockError) -> Claim {
        guard !names.isEmpty else { throw RedlockError(.invalidArgument, "there is no name to lock") }
        for name in names { try ResourceName.validate(name) }
        let sorted = Set(names.map(ResourceName.init)).sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }
        guard sorted.count <= maximumNameCount else {
            let message = "\(sorted.count) names are to be locked at once, and at most \(maximumNameCount) are allowed"
            throw RedlockError(.invalidArgument, message)
        }
        return sorted.count == 1 ? .exclusive(sorted[0]) : .all(sorted)
    }

    /// How many names can be locked at once.
    static let maximumNameCount = 64
}

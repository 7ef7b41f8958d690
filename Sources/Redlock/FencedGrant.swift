// SPDX-License-Identifier: Apache-2.0

/// A grant that a store can tell from an earlier one: what was locked, and the fencing token of the grant.
///
/// An exclusive lease is one, however it was obtained; a shared lease has no token and is none, by its type. A service that
/// is told the token by another, for example in a header, makes a ``ReceivedGrant`` of it.
public protocol FencedGrant: Sendable {
    /// What the token is compared for, by the names that stores keep.
    ///
    /// Where several resources were locked at once, the token is that of each, and a store compares it for all of them.
    var fencedResources: [String] { get }

    /// The number of the grant.
    var fencingToken: FencingToken { get }

    /// Until when the holder may count on the grant, as far as is known now; nil if that is not known here.
    ///
    /// A store with limits of time lets no transaction go on beyond it.
    var endOfValidity: ContinuousClock.Instant? { get }
}

extension FencedGrant {
    /// Not known.
    public var endOfValidity: ContinuousClock.Instant? { nil }
}

extension Lease: FencedGrant where Fencing == Fenced {
    /// The names of what is locked; for a slot, a name of its own, as the tokens of one slot mean nothing for another.
    public var fencedResources: [String] {
        guard let slot else { return resources }
        // No resource has a control character in its name, so that none can have the name of a slot.
        return resources.map { "\($0)\u{1F}\(slot)" }
    }

    /// Until when the holder may count on the lease, as far as is known now; an extension moves it.
    public var endOfValidity: ContinuousClock.Instant? { validUntil }
}

/// A grant that somebody else holds, and in whose name something is written.
public struct ReceivedGrant: FencedGrant, Hashable {
    /// What the token is compared for.
    public let resource: String
    /// The number of the grant.
    public let fencingToken: FencingToken

    /// The resource alone.
    public var fencedResources: [String] { [resource] }

    /// The grant of one resource.
    public init(_ resource: String, _ fencingToken: FencingToken) {
        self.resource = resource
        self.fencingToken = fencingToken
    }
}

/// A grant that no lock can have given: a name or a token that a store would take for another.
public struct InvalidGrantError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public let description: String
}

extension FencedGrant {
    /// Throws for what a store must not see: names that it could take for others, and numbers that it cannot compare.
    package func validate() throws(InvalidGrantError) {
        guard (1...(1 << 53)).contains(fencingToken.rawValue) else {
            throw InvalidGrantError(
                description: "a fencing token lies between 1 and 2^53, and \(fencingToken) does not"
            )
        }
        guard !fencedResources.isEmpty else {
            throw InvalidGrantError(description: "a grant of no resource cannot be written under")
        }
        for resource in fencedResources {
            // A slot has its number behind the name, and a sign between that no name has.
            let parts = resource.utf8.split(separator: 0x1F, maxSplits: 1, omittingEmptySubsequences: false)
            let isSlotValid = parts.count == 1 || UInt16(String(decoding: parts[1], as: UTF8.self)) != nil
            guard !parts[0].isEmpty, isSlotValid, !parts[0].contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
                throw InvalidGrantError(description: "the name of a resource is empty or has control characters")
            }
        }
    }
}

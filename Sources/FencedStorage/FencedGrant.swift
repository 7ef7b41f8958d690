// SPDX-License-Identifier: Apache-2.0

public import Redlock

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
}

extension Lease: FencedGrant where Fencing == Fenced {
    /// The names of what is locked; for a slot, a name of its own, as the tokens of one slot mean nothing for another.
    public var fencedResources: [String] {
        guard let slot else { return resources }
        // No resource has a control character in its name, so that none can have the name of a slot.
        return resources.map { "\($0)\u{1F}\(slot)" }
    }
}

/// A grant that somebody else holds, and in whose name something is written.
public struct ReceivedGrant: FencedGrant, Hashable {
    /// What the token is compared for.
    public let fencedResources: [String]
    /// The number of the grant.
    public let fencingToken: FencingToken

    /// The grant of one resource.
    public init(_ resource: String, _ fencingToken: FencingToken) {
        self.fencedResources = [resource]
        self.fencingToken = fencingToken
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A later holder of the resource has written already; nothing was changed.
///
/// A holder that gets this has lost the lock, even if nothing else told so: what it knows about the data is old. It ends its
/// work and, where that is still to be done, begins again under a new lease.
public struct StaleGrantError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What the token was compared for.
    public let resource: String
    /// The token of the write that was refused.
    public let token: FencingToken
    /// The highest token that the store has seen.
    public let highestToken: FencingToken

    /// An error of a store that keeps tokens.
    public init(resource: String, token: FencingToken, highestToken: FencingToken) {
        self.resource = resource
        self.token = token
        self.highestToken = highestToken
    }

    /// What happened and why.
    public var description: String {
        let name = resource.split(separator: "\u{1F}").joined(separator: " slot ")
        return
            "stale write to \"\(name)\" refused: its fencing token is \(token), and \(highestToken) has written since"
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How much a server may make a ``ReplyReader`` hold.
///
/// What exceeds a limit is refused before memory is spent on it.
package struct ReplyLimits: Sendable, Hashable {
    /// The longest reply, in bytes on the wire: type bytes, lengths and line ends count too.
    package var maximumReplyBytes: Int

    /// The most elements in one array.
    package var maximumArrayElements: Int

    /// The most arrays inside each other; 0 allows no array.
    ///
    /// hiredis itself never reads deeper than 7.
    package var maximumDepth: Int

    /// Creates limits; the defaults are those for ``lockTraffic``.
    package init(maximumReplyBytes: Int = 64 * 1024, maximumArrayElements: Int = 1024, maximumDepth: Int = 4) {
        self.maximumReplyBytes = maximumReplyBytes
        self.maximumArrayElements = maximumArrayElements
        self.maximumDepth = maximumDepth
    }

    /// Ample for everything that a lock asks of a server.
    package static let lockTraffic = ReplyLimits()
}

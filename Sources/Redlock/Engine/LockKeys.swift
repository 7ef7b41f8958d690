// SPDX-License-Identifier: Apache-2.0

/// The rules that a client follows: which keys it uses, and whether nodes are trusted unseen.
package enum LockProfile: Hashable, Sendable {
    /// Keys below a prefix, fencing tokens, and votes only from nodes that can be trusted.
    case standard(prefix: String)
    /// The published algorithm and nothing else: the key of a lock is exactly its name.
    case compatible

    /// Whether nodes count their grants and must be admitted.
    var isStandard: Bool { self != .compatible }

    /// The key that holds the owner token.
    ///
    /// The resource comes last, so that no two names give one key.
    func lockKey(_ resource: String) -> String {
        switch self {
        case .standard(let prefix): "\(prefix)lock:\(resource)"
        case .compatible: resource
        }
    }

    /// The key that counts the grants of a resource; the compatible profile has none.
    func fenceKey(_ resource: String) -> String {
        switch self {
        case .standard(let prefix): "\(prefix)fence:\(resource)"
        case .compatible: preconditionFailure("nodes of the compatible profile do not count their grants")
        }
    }

    /// Where those wait who want a resource; the compatible profile has no such place.
    func waitingQueue(_ resource: String) -> NodeCommand.WaitingQueue? {
        guard case .standard(let prefix) = self else { return nil }
        return NodeCommand.WaitingQueue(
            queue: "\(prefix)queue:\(resource)",
            expiry: "\(prefix)queue-expiry:\(resource)",
            channelPrefix: "\(prefix)wake:"
        )
    }

    /// The channel on which a client is woken.
    func wakeChannel(ofClient client: String) -> String {
        switch self {
        case .standard(let prefix): "\(prefix)wake:\(client)"
        case .compatible: preconditionFailure("nobody is woken in the compatible profile")
        }
    }

    /// The resource that a queue belongs to; nil if it is no queue of this profile.
    func resource(ofQueue queue: ArraySlice<UInt8>) -> String? {
        guard case .standard(let prefix) = self else { return nil }
        let start = "\(prefix)queue:".utf8
        // Byte by byte: the first character of a name may be one that merges with what stands before it.
        return queue.starts(with: start) ? String(decoding: queue.dropFirst(start.count), as: UTF8.self) : nil
    }

    /// A key that nobody reads, to see whether a node takes writes; the compatible profile has none.
    var probeKey: String {
        switch self {
        case .standard(let prefix): "\(prefix)probe"
        case .compatible: preconditionFailure("nodes of the compatible profile are not examined")
        }
    }

    /// The key of a node's own record; the compatible profile has none.
    var recordKey: String {
        switch self {
        case .standard(let prefix): "\(prefix)node"
        case .compatible: preconditionFailure("nodes of the compatible profile have no record")
        }
    }

    /// What every connection begins with: the inspection first, whose answers the engine expects; the rest only makes
    /// later commands shorter.
    package var handshakeCommands: [[String]] {
        func loading(_ scripts: [Script]) -> [[String]] { scripts.map { ["SCRIPT", "LOAD", $0.text] } }
        guard isStandard else { return loading(Script.compatible) }
        return NodeInspection.commands(recordKey: recordKey) + loading(Script.standard)
    }
}

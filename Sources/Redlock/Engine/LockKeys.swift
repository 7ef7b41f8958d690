// SPDX-License-Identifier: Apache-2.0

/// The rules that a client follows: which keys it uses, and whether nodes are trusted unseen.
package enum LockProfile: Hashable, Sendable {
    /// Keys below a prefix, fencing tokens, and votes only from nodes that can be trusted.
    case standard(prefix: String)
    /// The published algorithm and nothing else: the key of a lock is exactly its name.
    case compatible

    /// Whether nodes count their grants and must be admitted.
    var isStandard: Bool { self != .compatible }

    /// The keys of what is locked under a name; in the compatible profile there is only the lock, which is the name.
    ///
    /// The name comes last, so that no two give one key.
    func keys(of name: ResourceName) -> NodeCommand.LockKeys {
        switch self {
        case .standard(let prefix):
            NodeCommand.LockKeys(
                lock: "\(prefix)lock:\(name.text)",
                readers: "\(prefix)readers:\(name.text)",
                fence: "\(prefix)fence:\(name.text)"
            )
        case .compatible: NodeCommand.LockKeys(lock: name.text, readers: "", fence: "")
        }
    }

    /// What the keys begin with that are there while a lock is held; what follows is its name.
    var holdingPrefixes: [String] {
        switch self {
        case .standard(let prefix): ["\(prefix)lock:", "\(prefix)readers:"]
        case .compatible: [""]
        }
    }

    /// Where those wait who want what is locked under a name; the compatible profile has no such place.
    func waitingQueue(of name: ResourceName) -> NodeCommand.WaitingQueue? {
        guard case .standard(let prefix) = self else { return nil }
        return NodeCommand.WaitingQueue(
            queue: "\(prefix)queue:\(name.text)",
            expiry: "\(prefix)queue-expiry:\(name.text)",
            turn: "\(prefix)turn:\(name.text)",
            channelPrefix: channelPrefix
        )
    }

    /// What the channels begin with on which clients are woken.
    private var channelPrefix: String {
        switch self {
        case .standard(let prefix): "\(prefix)wake:"
        case .compatible: preconditionFailure("nobody is woken in the compatible profile")
        }
    }

    /// The channel on which a client is woken.
    func wakeChannel(ofClient client: String) -> String { channelPrefix + client }

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

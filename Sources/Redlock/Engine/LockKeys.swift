// SPDX-License-Identifier: Apache-2.0

import Hiredis
import RedisTransport

/// The rules that a client follows: which keys it uses, and whether nodes are trusted unseen.
package enum LockProfile: Hashable, Sendable {
    /// Keys below a prefix, fencing tokens, and votes only from nodes that can be trusted.
    case standard(prefix: String)
    /// The published algorithm and nothing else: the key of a lock is exactly its name.
    case compatible

    /// Whether nodes count their grants and must be admitted.
    var isStandard: Bool {
        if case .standard = self { true } else { false }
    }

    /// The keys of what is locked under a name; in the compatible profile there is only the lock, which is the name.
    ///
    /// The name comes last, so that no two give one key.
    func keys(of name: ResourceName) -> NodeCommand.LockKeys {
        guard case .standard(let prefix) = self else {
            return NodeCommand.LockKeys(prefix: "", kind: .nameAlone, name: name.text)
        }
        switch name.kind {
        case .lock: return NodeCommand.LockKeys(prefix: prefix, name: name.text)
        case .slot(let slot):
            return NodeCommand.LockKeys(prefix: prefix, kind: .slot(digits: Self.digits(ofSlot: slot)), name: name.text)
        case .slots: preconditionFailure("only one slot has keys of its own")
        }
    }

    /// The keys of all slots under a name.
    func slots(of name: ResourceName, count: Int) -> NodeCommand.Slots {
        guard case .standard(let prefix) = self else {
            preconditionFailure("there are no slots in the compatible profile")
        }
        return NodeCommand.Slots(
            agreement: "\(prefix)slots:\(name.text)",
            lockStart: "\(prefix)slot:",
            fenceStart: "\(prefix)slot-fence:",
            end: ":\(name.text)",
            count: count
        )
    }

    /// As long for every slot, so that a pattern can tell where the name begins.
    private static func digits(ofSlot slot: Int) -> String {
        let digits = String(slot)
        return String(repeating: "0", count: 3 - digits.count) + digits
    }

    /// What is asked of the nodes for a claim.
    func wanted(_ claim: Claim, _ name: ResourceName) -> NodeCommand.Wanted {
        switch claim {
        case .exclusive, .all: .alone(keys(of: name))
        case .shared: .shared(keys(of: name))
        case .slot(_, let name, let count): .slot(slots(of: name, count: count))
        }
    }

    /// What the keys begin with that are there while a lock is held; what follows is its name, behind the number if it is a
    /// slot.
    var holdingPrefixes: [(start: String, isSlot: Bool)] {
        switch self {
        case .standard(let prefix):
            [("\(prefix)lock:", false), ("\(prefix)readers:", false), ("\(prefix)slot:", true)]
        case .compatible: [("", false)]
        }
    }

    /// What all keys that are there while a lock is held have in common, if their names match a pattern.
    func holdingPatterns(matching pattern: String) -> [String] {
        holdingPrefixes.map { $0.start.escapedForPatterns + ($0.isSlot ? "???:" : "") + pattern }
    }

    /// What is locked while a key is there; nil for a key of something else.
    func holding(ofKey key: [UInt8]) -> ResourceName? {
        for (start, isSlot) in holdingPrefixes where key.starts(with: start.utf8) {
            var name = key.dropFirst(start.utf8.count)
            var kind = ResourceName.Kind.lock
            if isSlot {
                let digits = name.prefix(3)
                guard name.count > 4, digits.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains),
                    let slot = Int(String(decoding: digits, as: UTF8.self))
                else { return nil }
                name = name.dropFirst(4)
                kind = .slot(slot)
            }
            let text = String(decoding: name, as: UTF8.self)
            // What others have put there may be no name.
            return (try? ResourceName.validate(text)) == nil ? nil : ResourceName(text, kind: kind)
        }
        return nil
    }

    /// Where those wait who want what is locked under a name; the compatible profile has no such place.
    func waitingQueue(of name: ResourceName) -> NodeCommand.WaitingQueue? {
        guard case .standard(let prefix) = self else { return nil }
        return NodeCommand.WaitingQueue(prefix: prefix, isForSlots: name.kind != .lock, name: name.text)
    }

    /// Where the last grants of a lock are written down; not in the compatible profile.
    func recordsKey(of name: ResourceName) -> String {
        switch self {
        case .standard(let prefix): "\(prefix)records:\(name.text)"
        case .compatible: preconditionFailure("no records are kept in the compatible profile")
        }
    }

    /// What all keys begin with; nothing in the compatible profile.
    var keyPrefix: String {
        switch self {
        case .standard(let prefix): prefix
        case .compatible: ""
        }
    }

    /// Whether a key below the prefix is a sign that a lock was granted once: all are but the record, and what clients
    /// leave that wait.
    func isLeftByGrant(key: [UInt8]) -> Bool {
        let queues = [false, true].map { NodeCommand.WaitingQueue(prefix: keyPrefix, isForSlots: $0, name: "") }
        let starts = queues.flatMap { [$0.queue, $0.expiry, $0.turn] }
        let names = [recordKey, probeKey]
        return !names.contains { key.elementsEqual($0.utf8) } && !starts.contains { key.starts(with: $0.utf8) }
    }

    /// What the channels begin with on which clients are woken.
    private var channelPrefix: String {
        switch self {
        case .standard(let prefix): prefix + NodeCommand.WaitingQueue.channelKind
        case .compatible: preconditionFailure("nobody is woken in the compatible profile")
        }
    }

    /// The channel on which a client is woken.
    func wakeChannel(ofClient client: String) -> String { channelPrefix + client }

    /// A key that is never there, to see whether a node takes writes; the compatible profile has none.
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
        guard isStandard else {
            return loading(Script.compatible) + [
                ["EVALSHA", Script.probe.digest, "0"], ["EVAL", Script.probe.text, "0"],
            ]
        }
        return NodeInspection.commands(recordKey: recordKey) + loading(Script.standard)
    }

    /// Why a node cannot be used that answered the handshake like this; nil if it can.
    ///
    /// The published algorithm locks by a plain command, and renews and releases by scripts: a node that runs none would be
    /// locked until the TTL is over. The standard profile locks by a script.
    func failure(inHandshake replies: [RESPValue]) -> NodeFailure? {
        guard !isStandard, replies.count >= 2 else { return nil }
        let (byDigest, whole) = (replies[replies.count - 2], replies[replies.count - 1])
        guard let error = byDigest.isScriptMissing ? whole.error : byDigest.error else { return nil }
        return NodeFailure(
            .permission,
            "it runs no scripts, without which a lock could be neither renewed nor released: "
                + "\(error.withoutEchoedArguments.printable()); allow EVALSHA, EVAL and SCRIPT LOAD"
        )
    }
}

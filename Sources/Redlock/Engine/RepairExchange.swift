// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// Sets the key of a lease again on one node that lost it.
///
/// It adds to what excludes others and is no vote. The node counts in the next round, by what it says then.
final class RepairExchange: ScriptSender {
    private let command: NodeCommand
    private let lease: HeldLease
    private let engine: LockEngine

    init(command: NodeCommand, lease: HeldLease, engine: LockEngine) {
        self.command = command
        self.lease = lease
        self.engine = engine
    }

    /// Not any more once the lease is released: it would be set behind the release.
    func command(for node: Int) -> NodeCommand? { lease.isKept ? command : nil }

    func received(_ reply: RESPValue, from node: Int) {
        if case .integer(1) = reply { engine.repaired(lease.resource, on: node) }
        // Anything else: the node has the key of somebody else, or cannot write; the next extension will tell.
    }

    /// What the node may have set is released with the lease.
    func failed(_ failure: NodeFailure, at node: Int) {}
}

extension LockEngine {
    /// Sets the key of a lease again on a node that said, in a round that succeeded, that it does not have it.
    func repair(_ lease: HeldLease, on node: Int, timing: LeaseTiming) {
        guard profile.isStandard, lease.isKept else { return }
        renewAgreement(of: lease.claim, on: [node])
        let command = repairCommand(lease, ownerToken: lease.attempt.willRepair(node), timing: timing)
        // From here on its life is that of this TTL, which may be shorter than that of the key which is gone.
        lease.attempt.noteExtension()
        lease.noteExtension(at: node, start: surroundings.now, timing: timing)
        send(command, to: [node], receiver: RepairExchange(command: command, lease: lease, engine: self))
    }

    /// Has nodes remember how many slots there are, as long as one is held.
    func renewAgreement(of claim: Claim, on nodes: NodeSet) {
        guard case .slot(_, let name, let count) = claim else { return }
        let key = profile.slots(of: name, count: count).agreement
        let command = NodeCommand.plain(["SET", key, "\(count)", "PX", "\(NodeCommand.counterLifeMilliseconds)"])
        send(command, to: nodes, receiver: UnheardReceiver())
    }

    private func repairCommand(_ lease: HeldLease, ownerToken: OwnerToken, timing: LeaseTiming) -> NodeCommand {
        let keys = lease.claim.locks.map(profile.keys(of:))
        guard let blockEnd = lease.block.lastToken else {
            return .repairShared(keys[0], ownerToken: ownerToken, ttlMilliseconds: timing.ttlMilliseconds)
        }
        return .repair(
            NodeCommand.Repair(
                locks: keys,
                ownerToken: ownerToken,
                ttlMilliseconds: timing.ttlMilliseconds,
                blockEnd: blockEnd,
                counterLifeMilliseconds: counterLifeMilliseconds(token: blockEnd)
            )
        )
    }
}

/// Hears answers that change nothing.
private final class UnheardReceiver: ReplyReceiver {
    func received(_ reply: RESPValue, from node: Int) {}
    func failed(_ failure: NodeFailure, at node: Int) {}
}

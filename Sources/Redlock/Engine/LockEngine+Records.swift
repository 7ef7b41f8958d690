// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Logging
import RedisTransport

/// Writing down who had a lock, for people to read later; no decision is made by it.
///
/// What is written is added at the end of a list on every node that can be asked, once when a lease begins and once when it
/// ends, and nobody waits for that.
extension LockEngine {
    /// Writes down that a lease began, and its end when it has one, if its holder wants that.
    func record(_ lease: HeldLease) {
        guard lease.terms.recordCount > 0,
            let record = GrantRecord(of: lease, wallMicroseconds: surroundings.wallMicroseconds)
        else { return }
        append(record, of: lease)
        lease.endHandlers.append { [unowned self, unowned lease] in
            let rest = lease.keptUntil.map { surroundings.now.nanoseconds(until: $0) / 1_000 }
            append(record.ended(lease.ending, at: surroundings.wallMicroseconds, keptMicroseconds: rest), of: lease)
        }
    }

    private func append(_ record: GrantRecord, of lease: HeldLease) {
        let key = profile.recordsKey(of: lease.claim.names[0])
        // Each lease has two lines.
        let first = -2 * lease.terms.recordCount
        let receiver = RecordReceiver(engine: self)
        for command in [
            ["RPUSH", key, record.text],
            ["LTRIM", key, "\(first)", "-1"],
            ["PEXPIRE", key, "\(Script.counterLifeMilliseconds)"],
        ] {
            send(.plain(command), to: connectedNodes, receiver: receiver)
        }
    }
}

/// Hears whether what was written down was; nobody waits for that.
private final class RecordReceiver: ReplyReceiver {
    private let engine: LockEngine

    init(engine: LockEngine) {
        self.engine = engine
    }

    func received(_ reply: RESPValue, from node: Int) {
        if case .error = reply { failed(reply.problem(rights: "+rpush +ltrim +pexpire"), at: node) }
    }

    func failed(_ failure: NodeFailure, at node: Int) {
        failed(failure.message, at: node)
    }

    private func failed(_ problem: String, at node: Int) {
        engine.logger.debug(
            "a grant could not be written down",
            metadata: ["redis_node": "\(engine.nodeNames[node])", "reason": "\(problem.printable(limit: 300))"]
        )
    }
}

/// What is known of one grant: who got it, when it began, and when and why it ended.
struct GrantRecord {
    /// One line of the list: what an owner token shows, without what makes it a secret, and what is known besides.
    let text: String

    private init(text: String) {
        self.text = text
    }

    /// Of a lease that begins now; nil for one without a fencing token, by which grants are told apart.
    init?(of lease: HeldLease, wallMicroseconds: Int64) {
        guard let fencingToken = lease.fencingToken else { return nil }
        let holder = OwnerToken(
            highBits: 0,
            lowBits: 0,
            label: lease.terms.label,
            note: lease.terms.note,
            identity: lease.engine.surroundings.identity,
            wallMilliseconds: wallMicroseconds / 1_000
        )
        text = holder.secretText + OwnerField.token.opening + "\(fencingToken.rawValue)"
    }

    /// The same grant once it has ended.
    ///
    /// - Parameter keptMicroseconds: for how much longer the lock stays; nil if it does not.
    func ended(_ reason: String, at wallMicroseconds: Int64, keptMicroseconds: Int64?) -> GrantRecord {
        let kept = keptMicroseconds.map { OwnerField.kept.opening + "\((wallMicroseconds + $0) / 1_000)" } ?? ""
        return GrantRecord(
            text: text + OwnerField.until.opening + "\(wallMicroseconds / 1_000)" + kept + OwnerField.ending.opening
                + reason.printable()
        )
    }
}

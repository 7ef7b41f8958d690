// SPDX-License-Identifier: Apache-2.0

import LockCore
import Logging
import RedisTransport

/// What operators see: everything that is told is told in logs, metrics and events alike, from here.
extension LockEngine {
    // MARK: Locks

    func lockGranted(_ lease: HeldLease, waitedNanoseconds: Int64) {
        metrics.granted(waitedNanoseconds: waitedNanoseconds)
        events.tell(
            .granted(
                resource: lease.resource,
                fencingToken: lease.fencingToken,
                waited: .nanoseconds(waitedNanoseconds)
            )
        )
        logger.trace(
            "lock granted",
            metadata: [
                "resource": "\(lease.resource)", "fencing_token": "\(lease.fencingToken?.description ?? "none")",
            ]
        )
    }

    func lockNotObtained(_ resource: String, _ error: any Error) {
        metrics.refused(error)
        logger.debug("lock not obtained", metadata: ["resource": "\(resource)", "reason": "\(error)"])
    }

    func lockContended(_ resource: String) {
        metrics.contended()
        events.tell(.contended(resource: resource))
        logger.trace("lock is held by others", metadata: ["resource": "\(resource)"])
    }

    func leaseLost(_ lease: HeldLease, _ reason: LossReason) {
        metrics.lost(reason)
        events.tell(.lost(resource: lease.resource, reason: reason.text))
        logger.warning("lease lost", metadata: ["resource": "\(lease.resource)", "reason": "\(reason.text)"])
    }

    func releaseUnconfirmed(_ release: UnconfirmedRelease) {
        metrics.releaseUnconfirmed()
        events.tell(.releaseUnconfirmed(release))
        logger.warning(
            "release not confirmed by a quorum",
            metadata: [
                "resource": "\(release.resource)",
                "longest_remaining_milliseconds": "\(release.longestRemaining.nanoseconds / 1_000_000)",
                "nodes": "\(release.nodes.map(\.description).joined(separator: "; "))",
            ]
        )
    }

    func repaired(_ resource: String, on node: Int) {
        metrics.repaired()
        events.tell(.repaired(resource: resource, node: nodeNames[node]))
        logger.info("lock set again on a node that had lost it", metadata: of(node, ["resource": "\(resource)"]))
    }

    func unknownReply(_ resource: String, from node: Int, _ problem: String) {
        let reason = problem.printable()
        metrics.unknownReply()
        events.tell(.unknownReply(resource: resource, node: nodeNames[node], reason: reason))
        logger.debug(
            "nobody knows what a node did",
            metadata: of(node, ["resource": "\(resource)", "reason": "\(reason)"])
        )
    }

    // MARK: Nodes

    func standingChanged(of node: Int, to standing: NodeStanding) {
        switch standing {
        case .unknown: break
        case .admitted:
            metrics.admitted()
            events.tell(.nodeAdmitted(node: nodeNames[node]))
            logger.debug("node has a vote", metadata: of(node))
        case .quarantined, .notEnrolled, .enrolling, .enrolmentFailed, .refused, .membersDisagree:
            let reason = (admission.problem(of: node) ?? standing.code).printable(limit: 300)
            metrics.refused(standing)
            events.tell(.nodeRefused(node: nodeNames[node], reason: reason))
            logger.warning("node has no vote", metadata: of(node, ["reason": "\(reason)"]))
        }
    }

    /// A node does not take this client into a queue, which asks it now and then instead.
    func queueRefused(by node: Int, _ problem: String) {
        logger.log(
            level: wakeUps.noteRefusal(by: node) ? .warning : .debug,
            "a node does not let this client wait in its queues",
            metadata: of(node, ["reason": "\(problem.printable(limit: 300))"])
        )
    }

    func clockDeviated(of node: Int, milliseconds: Int64) {
        metrics.clockJumped()
        events.tell(.clockJumped(node: nodeNames[node], by: .milliseconds(milliseconds)))
        logger.warning("the clock of a node jumped", metadata: of(node, ["milliseconds": "\(milliseconds)"]))
    }

    /// The clock of this client cannot be trusted, and with it no lease.
    func ownClockDeviated(milliseconds: Int64) {
        metrics.ownClockJumped()
        events.tell(.ownClockJumped(by: .milliseconds(-milliseconds)))
        logger.error(
            "the clock of this machine stood still or jumped; its leases are dropped",
            metadata: ["milliseconds": "\(-milliseconds)"]
        )
        dropEverythingHeld()
    }

    func dropEverythingHeld() {
        keeper.loseAll(.ownClock)
        restartAttempts()
    }

    private func of(_ node: Int, _ more: Logger.Metadata = [:]) -> Logger.Metadata {
        more.merging(["redis_node": "\(nodeNames[node])"]) { value, _ in value }
    }
}

extension LossReason {
    /// The reason as it is told.
    var text: String {
        switch self {
        case .takenAway: "a quorum of nodes no longer has it"
        case .maximumHold: "it was held for as long as it may be at most"
        case .shutDown: "the client was shut down"
        case .ownClock: "the clock of this machine stood still or jumped"
        case .expired: "it could not be renewed in time"
        }
    }
}

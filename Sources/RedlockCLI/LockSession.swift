// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// What `Supervisor` hears about.
enum RunEvent: Sendable {
    case signal(Int32)
    case waiting(Obstacle)
    case acquired(Grant)
    /// The lock will not be valid for much longer, or is lost.
    case endangered
    /// What goes wrong, and does not end the waiting.
    case warning(String)
    /// Nothing is held any more; with the error of the library, if there was one.
    case finished((any Error)?)
}

/// What the supervisor needs to know of a lease.
struct Grant: Sendable {
    let ownerLabel: String
    /// Nil where there is none.
    let fencingToken: FencingToken?
    /// Nil where it is no slot.
    let slot: Int?
    let waited: Duration
    let validUntil: @Sendable () -> ContinuousClock.Instant
    /// Whether it is neither lost nor released, so that it is renewed.
    let isHeld: @Sendable () -> Bool
    /// What came of the release; nil as long as that is not known.
    let releaseOutcome: @Sendable () -> ReleaseOutcome?
    /// Has the lock released at once when the command has ended, as none was started.
    var waiveMinimumHold: @Sendable () -> Void = {}
    /// Opened when the command has ended.
    let commandEnded = Gate()

    /// Hands the grant to the supervisor, and returns when the command has ended.
    func hold(_ mailbox: Mailbox<RunEvent>) async {
        mailbox.post(.acquired(self))
        await withTaskCancellationHandler {
            await commandEnded.wait()
        } onCancel: {
            mailbox.post(.endangered)
        }
    }
}

/// Holds one lock while a command runs, and tells a mailbox what becomes of it.
struct LockSession: Sendable {
    let client: any LockClient
    let wish: LockWish
    let options: LockOptions
    /// Nil to wait in silence.
    let notice: WaitingNotice?
    let mailbox: Mailbox<RunEvent>

    /// Waits for the lock and holds it until the command has ended.
    ///
    /// Cancelling it ends the waiting.
    func run() async {
        let error = await hold(client)
        // Once the lock is gone from slower nodes as well: the process ends with this.
        await client.shutdown()
        mailbox.post(.finished(error))
    }

    /// - Returns: why it could not be had or kept.
    private func hold(_ client: some LockClient) async -> (any Error)? {
        let start = ContinuousClock.now
        let noticeTask = notice.map { notice in
            // Unstructured: it ends with the waiting, which is not the end of this function.
            Task {
                await notice.tell(wish, client) { mailbox.post(.waiting($0)) }
            }
        }
        do {
            try await OuterLocks().guarding(wish, client) { acquired in
                try await wish.hold(client, options) { lease in
                    acquired()
                    noticeTask?.cancel()
                    let grant = Grant(
                        ownerLabel: lease.ownerLabel,
                        fencingToken: lease.token,
                        slot: lease.slot,
                        waited: ContinuousClock.now - start,
                        validUntil: { lease.validUntil },
                        isHeld: { lease.isValid },
                        releaseOutcome: { lease.releaseOutcome },
                        waiveMinimumHold: { lease.waiveMinimumHold() }
                    )
                    await grant.hold(mailbox)
                }
            }
            return nil
        } catch {
            noticeTask?.cancel()
            return error
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Redlock

/// What `Supervisor` hears about.
enum RunEvent: Sendable {
    case signal(Int32)
    case waiting(holder: String?, remaining: Duration?)
    case acquired(Grant)
    /// The lock will not be valid for much longer, or is lost.
    case endangered
    /// Nothing is held any more; with the error of the library, if there was one.
    case finished((any Error)?)
}

/// What the supervisor needs to know of a lease.
struct Grant: Sendable {
    let ownerLabel: String
    let waited: Duration
    let validUntil: @Sendable () -> ContinuousClock.Instant
}

/// Holds one lock while a command runs, and tells a mailbox what becomes of it.
struct LockSession: Sendable {
    let client: RedlockClient
    let resource: String
    let options: LockOptions
    let tellsHolder: Bool
    let mailbox: Mailbox<RunEvent>
    /// Opened when the command has ended.
    let commandEnded: Gate

    /// Waits for the lock and holds it until the command has ended.
    ///
    /// Cancelling it ends the waiting.
    func run() async {
        let start = ContinuousClock.now
        let holderTask = tellsHolder ? Task { await tellHolder() } : nil
        do {
            try await client.withLock(resource, options: options) { lease in
                holderTask?.cancel()
                let waited = ContinuousClock.now - start
                mailbox.post(
                    .acquired(Grant(ownerLabel: lease.ownerLabel, waited: waited, validUntil: { lease.validUntil }))
                )
                await withTaskCancellationHandler {
                    await commandEnded.wait()
                } onCancel: {
                    mailbox.post(.endangered)
                }
            }
            mailbox.post(.finished(nil))
        } catch {
            holderTask?.cancel()
            mailbox.post(.finished(error))
        }
    }

    /// Says whom we wait for, once it is clear that we wait at all.
    private func tellHolder() async {
        do {
            try await Task.sleep(for: .milliseconds(200))
            let holder = try await client.inspect(resource).holder
            try Task.checkCancellation()
            mailbox.post(.waiting(holder: holder?.name, remaining: holder?.remaining))
        } catch {
            // Only told for information: the acquire itself reports what is wrong.
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
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
    /// Nil to wait in silence.
    let notice: WaitingNotice?
    let mailbox: Mailbox<RunEvent>
    /// Opened when the command has ended.
    let commandEnded: Gate

    /// Waits for the lock and holds it until the command has ended.
    ///
    /// Cancelling it ends the waiting.
    func run() async {
        let start = ContinuousClock.now
        let noticeTask = notice.map { notice in
            // Unstructured: it ends with the waiting, which is not the end of this function.
            Task {
                await notice.tell(resource, client) { mailbox.post(.waiting(holder: $0, remaining: $1)) }
            }
        }
        do {
            try await client.withLock(resource, options: options) { lease in
                noticeTask?.cancel()
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
            noticeTask?.cancel()
            mailbox.post(.finished(error))
        }
    }
}

/// Says whom we wait for, once it is clear that we wait at all.
struct WaitingNotice: Sendable {
    /// A person sees it soon; in a log it should stand only where there is something to see.
    static let soon: Duration = .milliseconds(200)
    static let late: Duration = .seconds(5)

    let delay: Duration

    /// Nil where nothing would be told.
    init?(_ output: OutputOptions, isTerminal: Bool = isatty(STDERR_FILENO) == 1) {
        guard !output.quiet else { return nil }
        delay = isTerminal || output.verbose || output.json ? Self.soon : Self.late
    }

    func tell(
        _ resource: String,
        _ client: RedlockClient,
        _ report: @Sendable (_ holder: String?, _ remaining: Duration?) -> Void
    ) async {
        do {
            try await Task.sleep(for: delay)
            let holder = try await client.inspect(resource).holder
            try Task.checkCancellation()
            report(holder?.name, holder?.remaining)
        } catch {
            // Only told for information: the acquire itself reports what is wrong.
        }
    }

    /// What a command inside `redlock run` is told that asks for the lock it runs under.
    static func warning(
        _ resource: String,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> Report? {
        guard environment["REDLOCK_NAME"] == resource else { return nil }
        return .warning("this command runs under \"\(resource)\" already (REDLOCK_NAME), so it may wait for itself")
    }
}

// SPDX-License-Identifier: Apache-2.0

import LeaderElection
import Redlock
import Synchronization

/// Campaigns again and again while a command runs under each term, and tells a mailbox what becomes of it.
final class ElectionSession: Sendable {
    let client: RedlockClient
    let elector: LeaderElector
    /// Nil to wait in silence.
    let notice: WaitingNotice?
    let mailbox: Mailbox<RunEvent>
    private let over = Mutex(false)

    init(client: RedlockClient, elector: LeaderElector, notice: WaitingNotice?, mailbox: Mailbox<RunEvent>) {
        self.client = client
        self.elector = elector
        self.notice = notice
        self.mailbox = mailbox
    }

    /// Whether there will be no other campaign.
    var isOver: Bool { over.withLock { $0 } }

    /// Leads until the command has ended by itself, another campaign cannot help, or the task is cancelled.
    ///
    /// After each term that ended otherwise, `finished` is told with the reason, and another campaign follows. So it does after
    /// an outage, of which is told once.
    func run() async {
        var ending: (any Error)?
        var isOutageKnown = false
        repeat {
            let (hasLed, reason) = await leadOnce()
            ending = reason
            guard let reason, elector.mayCampaignAgain(after: reason) else { break }
            if hasLed {
                mailbox.post(.finished(reason))
            } else if !isOutageKnown {
                mailbox.post(.warning("\(CommandFailure(reason).description); campaigning on"))
            }
            isOutageKnown = !hasLed
            // Others have this time to win the next term.
            try? await Task.sleep(for: elector.configuration.retryPeriod * Double.random(in: 1...1.2))
        } while !Task.isCancelled
        await client.shutdown()
        over.withLock { $0 = true }
        mailbox.post(.finished(ending))
    }

    /// - Returns: whether a term was won, and why it ended before the command did by itself, or none was.
    private func leadOnce() async -> (hasLed: Bool, ending: (any Error)?) {
        let hasLed = Mutex(false)
        let start = ContinuousClock.now
        let noticeTask = notice.map { notice in
            // Unstructured: it ends with the waiting, which is not the end of this function.
            Task { [elector, client, mailbox] in
                await notice.tell(LockWish(names: [elector.name]), client) { mailbox.post(.waiting($0)) }
            }
        }
        defer { noticeTask?.cancel() }
        do {
            try await OuterLocks().guarding(LockWish(names: [elector.name]), client) { [elector, mailbox] acquired in
                try await elector.withLeadership { term in
                    acquired()
                    noticeTask?.cancel()
                    let grant = Grant(
                        ownerLabel: elector.candidate.identity,
                        fencingToken: term.number,
                        slot: nil,
                        waited: ContinuousClock.now - start,
                        validUntil: { term.validUntil },
                        isHeld: { term.isValid },
                        releaseOutcome: { term.releaseOutcome }
                    )
                    hasLed.withLock { $0 = true }
                    await grant.hold(mailbox)
                }
            }
            return (true, nil)
        } catch {
            return (hasLed.withLock { $0 }, error)
        }
    }
}

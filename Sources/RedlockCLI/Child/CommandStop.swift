// SPDX-License-Identifier: Apache-2.0

/// How a command is brought to its end when its hold ends: it is told, then killed, and looked after until no process of
/// its group runs any more.
///
/// A value without I/O: it is told what became of the signals, and says what is due.
struct CommandStop {
    /// How often KILL is sent again, should the group have grown in that moment.
    private static let killInterval: Duration = .milliseconds(100)
    /// The same once it is known to be of no use, unless the command changes its user.
    private static let hopelessKillInterval: Duration = .seconds(1)
    /// How long the system may take to end a process that got KILL.
    private static let patience: Duration = .seconds(1)

    /// Why the hold ends.
    let reason: LossReason
    /// When the group gets KILL, or gets it again.
    private(set) var killAt: ContinuousClock.Instant
    private var firstKill: ContinuousClock.Instant?
    /// Why the command cannot be stopped, if it cannot.
    private(set) var obstacle: String?
    /// Whether the lock ended while the command went on.
    var isOverrun = false

    init(_ reason: LossReason, killAt: ContinuousClock.Instant) {
        self.reason = reason
        self.killAt = killAt
    }

    /// Takes what became of a signal to the group.
    ///
    /// - Returns: whether it is known only now that the command cannot be stopped.
    mutating func sent(
        _ number: Int32,
        isKill: Bool,
        _ delivery: ChildProcess.Delivery,
        at now: ContinuousClock.Instant
    ) -> Bool {
        var found: String?
        if case .refused(let error) = delivery {
            found = "\(SignalName(number: number)) cannot be sent to it: \(error)"
        }
        if isKill {
            let first = firstKill ?? now
            firstKill = first
            if delivery == .delivered, now - first >= Self.patience {
                found = "it has not ended, though it was sent KILL"
            }
        }
        let isNews = obstacle == nil && found != nil
        obstacle = obstacle ?? found
        if isKill { killAt = now + (obstacle == nil ? Self.killInterval : Self.hopelessKillInterval) }
        return isNews
    }
}

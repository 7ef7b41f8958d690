// SPDX-License-Identifier: Apache-2.0

import Redlock

/// The times of one `redlock run`.
struct RunTiming {
    static let defaultTTL: Duration = .seconds(10)
    static let defaultKillAfter: Duration = .seconds(5)

    let ttl: Duration
    let deadlines: LossDeadlines

    /// - Throws: `UsageError` for times that do not go together.
    init(_ settings: PartialSettings) throws(UsageError) {
        if let maximumHold = settings.maximumHold, maximumHold <= .zero {
            throw UsageError("the maximum hold must be longer than 0")
        }
        if let minimumHold = settings.minimumHold, let maximumHold = settings.maximumHold, minimumHold > maximumHold {
            throw UsageError(
                "--min-hold (\(minimumHold.readable)) is longer than --max-hold (\(maximumHold.readable)), at the end of which "
                    + "the command is stopped"
            )
        }
        ttl = settings.ttl ?? min(Self.defaultTTL, settings.maximumTTL ?? Self.defaultTTL)
        deadlines = LossDeadlines(
            ttl: ttl,
            killAfter: settings.killAfter ?? Self.defaultKillAfter,
            maximumHold: settings.maximumHold
        )
    }

    func lockOptions(_ settings: PartialSettings, _ wish: LockWish, priority: Int) -> LockOptions {
        // The option is refused for what no record can be kept of; the configuration file is for all commands.
        let mayRecord = wish.isRecordable && settings.isCompatible != true
        let recordedGrants = mayRecord ? settings.recordedGrants ?? 0 : 0
        return LockOptions(
            ttl: ttl,
            wait: WaitPolicy(settings.wait),
            // The maximum hold is the supervisor's: it keeps the lock of a command that it cannot end.
            minimumHold: settings.minimumHold,
            cancellationMargin: deadlines.margin,
            label: settings.label ?? LockOptions.defaultLabel,
            note: settings.note,
            fair: wish.isFair,
            priority: priority,
            recordedGrants: recordedGrants
        )
    }
}

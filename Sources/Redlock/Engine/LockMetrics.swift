// SPDX-License-Identifier: Apache-2.0

import Metrics

/// The figures that a client reports through swift-metrics.
struct LockMetrics {
    private let grants = Counter(label: "redlock_acquisitions", dimensions: [("outcome", "granted")])
    private let timeouts = Counter(label: "redlock_acquisitions", dimensions: [("outcome", "timed_out")])
    private let outages = Counter(label: "redlock_acquisitions", dimensions: [("outcome", "quorum_unavailable")])
    private let endings = Counter(label: "redlock_acquisitions", dimensions: [("outcome", "shut_down")])
    private let cancellations = Counter(label: "redlock_acquisitions", dimensions: [("outcome", "cancelled")])
    private let waiting = Timer(label: "redlock_acquisition_seconds")
    private let holding = Timer(label: "redlock_hold_seconds")
    private let extensions = Counter(label: "redlock_extensions")
    private let expiries = Counter(label: "redlock_losses", dimensions: [("reason", "expired")])
    private let takings = Counter(label: "redlock_losses", dimensions: [("reason", "taken_away")])
    private let holdEnds = Counter(label: "redlock_losses", dimensions: [("reason", "maximum_hold")])
    private let shutDowns = Counter(label: "redlock_losses", dimensions: [("reason", "shut_down")])
    private let ownClockLosses = Counter(label: "redlock_losses", dimensions: [("reason", "own_clock")])
    private let unconfirmedReleases = Counter(label: "redlock_unconfirmed_releases")
    private let handOvers = Counter(label: "redlock_hand_overs")
    private let wakeUps = Counter(label: "redlock_wake_ups")
    private let contentions = Counter(label: "redlock_contended_attempts")
    private let raises = Counter(label: "redlock_fence_raises")
    private let repairs = Counter(label: "redlock_repairs")
    private let unknownReplies = Counter(label: "redlock_unknown_replies")
    private let admissions = Counter(label: "redlock_nodes_admitted")
    private let nodeClockJumps = Counter(label: "redlock_clock_anomalies", dimensions: [("clock", "node")])
    private let ownClockJumps = Counter(label: "redlock_clock_anomalies", dimensions: [("clock", "own")])

    func granted(waitedNanoseconds: Int64) {
        grants.increment()
        waiting.recordNanoseconds(waitedNanoseconds)
    }

    func refused(_ error: any Error) {
        switch (error as? RedlockError)?.code {
        case .timedOut: timeouts.increment()
        case .clientShutDown: endings.increment()
        case nil where error is CancellationError: cancellations.increment()
        default: outages.increment()
        }
    }

    func extended() {
        extensions.increment()
    }

    func released(heldNanoseconds: Int64) {
        holding.recordNanoseconds(heldNanoseconds)
    }

    func lost(_ reason: LossReason) {
        switch reason {
        case .expired: expiries.increment()
        case .takenAway: takings.increment()
        case .maximumHold: holdEnds.increment()
        case .shutDown: shutDowns.increment()
        case .ownClock: ownClockLosses.increment()
        }
    }

    func releaseUnconfirmed() { unconfirmedReleases.increment() }
    func handedOver() { handOvers.increment() }
    func wokenUp() { wakeUps.increment() }
    func contended() { contentions.increment() }
    func raised() { raises.increment() }
    func repaired() { repairs.increment() }
    func unknownReply() { unknownReplies.increment() }
    func admitted() { admissions.increment() }
    func clockJumped() { nodeClockJumps.increment() }
    func ownClockJumped() { ownClockJumps.increment() }

    func refused(_ standing: NodeStanding) {
        // Seldom, and with more reasons than are worth a counter each from the start.
        Counter(label: "redlock_nodes_refused", dimensions: [("reason", standing.code)]).increment()
    }
}

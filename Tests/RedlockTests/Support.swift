// SPDX-License-Identifier: Apache-2.0

import LockCore
import Logging
import RedisTransport
import Testing

@testable import Redlock

/// The same numbers for the same seed (SplitMix64), so that a failure can be repeated.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Surroundings in which nothing ever happens: no time passes, no node answers.
final class StandingStill: Surroundings {
    private struct Timer: LoopTimer {
        func cancel() {}
    }

    var now: Instant { Instant(nanoseconds: 0) }
    func clockInstant(of instant: Instant) -> ContinuousClock.Instant { .now }
    func randomBits() -> UInt64 { 4 }
    func runOnLoop(_ work: @escaping @Sendable () -> Void) {}
    func schedule(at instant: Instant, _ work: @escaping () -> Void) -> any LoopTimer { Timer() }
    func connect(delegate: any NodeLinkDelegate) {}
    func disconnect() {}
    func failure(of node: Int) -> NodeFailure? { nil }
    func send(_ command: NodeCommand, wholeScript: Bool, to nodes: NodeSet, receiver: any ReplyReceiver) {}
}

/// An engine in surroundings in which nothing happens.
func stillEngine(nodeNames: [String] = ["a:6379"]) -> LockEngine {
    LockEngine(
        quorum: Quorum(majorityOf: nodeNames.count),
        configuration: RedlockConfiguration(),
        nodeNames: nodeNames,
        surroundings: StandingStill(),
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    )
}

/// Everything that a value may end up as in a log, a test failure or a debugger.
func allTexts(of value: some Any) -> [String] {
    var dumped = ""
    dump(value, to: &dumped)
    var texts = ["\(value)", String(describing: value), String(reflecting: value), dumped]
    texts.append("\([value])")
    texts.append(String(reflecting: Optional(value)))
    texts.append(String(describing: Mirror(reflecting: value).children.map { "\($0)" }))
    return texts
}

// SPDX-License-Identifier: Apache-2.0

import LockCore
import Logging
import RedisTransport
import Testing

@testable import Redlock

/// Surroundings in which nothing ever happens: no time passes, no node answers.
final class StandingStill: Surroundings {
    private final class Timer: LoopTimer {
        func cancel() {}
    }

    var now: Instant { Instant(nanoseconds: 0) }
    func clockInstant(of instant: Instant) -> ContinuousClock.Instant { .now }
    var wallMicroseconds: Int64 { 0 }
    var identity: ClientIdentity? { ClientIdentity(host: "still", process: 7) }
    func randomBits() -> UInt64 { 4 }
    func runOnLoop(_ work: @escaping @Sendable () -> Void) {}
    func schedule(at instant: Instant, _ work: @escaping () -> Void) -> any LoopTimer { Timer() }
    func connect() {}
    func disconnect() {}
    func listen(on channel: String) {}
    func stopListening() {}
    func abandonConnection(to node: Int, _ failure: NodeFailure) {}
    func usable(of nodes: NodeSet) -> NodeSet { nodes }
    func failure(of node: Int) -> NodeFailure? { nil }
    func append(
        _ command: NodeCommand,
        form: ScriptForm,
        recordIDs: [RecordID],
        to nodes: NodeSet,
        receivers: [NodeReplies]
    ) {}
    func flush(_ nodes: NodeSet) {}
}

/// An engine in surroundings in which nothing happens.
func stillEngine(nodeNames: [String] = ["a:6379"]) -> LockEngine {
    LockEngine(
        profile: .compatible,
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

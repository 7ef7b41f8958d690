// SPDX-License-Identifier: Apache-2.0

import LeaderElection
import LocalRedis
import Logging
import Redlock
import Synchronization
import TestSupport

extension ElectionConfiguration {
    /// Short, so that a test does not wait for long.
    static var quick: ElectionConfiguration {
        var configuration = ElectionConfiguration()
        configuration.leaseDuration = .seconds(3)
        configuration.renewDeadline = .seconds(2)
        configuration.retryPeriod = .milliseconds(50)
        return configuration
    }
}

/// What differs from one candidate of a test to the other.
struct CandidatePlan {
    var priority = 0
    var isEligible: (@Sendable () async -> Bool)?
}

/// Candidates of one election, each with a client of its own, on five servers.
func withCandidates(
    _ count: Int,
    configuration: ElectionConfiguration = .quick,
    logger: Logger? = nil,
    plan: (Int) -> CandidatePlan = { _ in CandidatePlan() },
    _ body: ([LeaderElector], LocalRedisSet) async throws -> Void
) async throws {
    try await withLocalRedis(nodes: 5) { redis in
        try await RedlockClient.enrolNewSet(nodes: redis.urls)
        let clients = try (0..<count).map { _ in try RedlockClient(nodes: redis.urls) }
        let electors = try clients.enumerated().map { index, client in
            let plan = plan(index)
            return try LeaderElector(
                client,
                name: "scheduler",
                identity: "candidate \(index)",
                metadata: "port \(8_000 + index)",
                priority: plan.priority,
                configuration: configuration,
                logger: logger,
                isEligible: plan.isEligible
            )
        }
        try await body(electors, redis)
        for client in clients { await client.shutdown() }
    }
}

/// Has candidates campaign, and each leader do nothing for a while.
func campaign(
    _ electors: [LeaderElector],
    leadingFor duration: Duration = .seconds(60),
    noting book: TermBook,
    in group: inout ThrowingTaskGroup<Void, any Error>
) {
    for elector in electors {
        group.addTask {
            try await elector.run { term in
                book.begin(term)
                defer { book.end() }
                try await Task.sleep(for: duration)
            }
        }
    }
}

extension LeaderElector {
    var isLeading: Bool { if case .leading = status { true } else { false } }
    var isFollowing: Bool { if case .following = status { true } else { false } }
}

/// What one task sets and others read.
final class Flag: Sendable {
    private let state: Mutex<Bool>

    init(_ value: Bool) {
        state = Mutex(value)
    }

    var value: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// Who led, and how many at a time.
final class TermBook: Sendable {
    private struct State {
        var terms: [(number: FencingToken, identity: String)] = []
        var leadingCount = 0
        var mostAtATime = 0
    }

    private let state = Mutex(State())

    var terms: [(number: FencingToken, identity: String)] { state.withLock(\.terms) }
    var mostAtATime: Int { state.withLock(\.mostAtATime) }

    func begin(_ term: Term) {
        state.withLock { state in
            state.terms.append((term.number, term.leader.identity))
            state.leadingCount += 1
            state.mostAtATime = max(state.mostAtATime, state.leadingCount)
        }
    }

    func end() {
        state.withLock { $0.leadingCount -= 1 }
    }
}

/// What was logged: the level and the message of each line.
final class LogLines: Sendable {
    private let state = Mutex<[String]>([])

    var lines: [String] { state.withLock { $0 } }

    var logger: Logger {
        Logger(label: "election", factory: { _ in Handler(log: self) })
    }

    private struct Handler: LogHandler {
        let log: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.state.withLock { $0.append("\(event.level) \(event.message)") }
        }
    }
}

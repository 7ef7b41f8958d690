// SPDX-License-Identifier: Apache-2.0

import InMemoryTracing
import Instrumentation
import LocalRedis
import Logging
import Metrics
import MetricsTestKit
import Redlock
import Synchronization
import Testing
import Tracing

/// What operators see: figures, spans and logs, and nothing secret in them.
@Suite(.serialized)
struct ObservabilityTests {
    /// The backends are those of the whole process, so they are set once.
    private static let metrics: TestMetrics = {
        let metrics = TestMetrics()
        MetricsSystem.bootstrap(metrics)
        return metrics
    }()

    private static let tracer: InMemoryTracer = {
        let tracer = InMemoryTracer()
        InstrumentationSystem.bootstrap(tracer)
        return tracer
    }()

    @Test
    func countsWhatHappens() async throws {
        let metrics = Self.metrics
        try await Layout.three.withClient { client, _ in
            try await client.withLock("counted") { _ in
                _ = try await client.tryAcquire("counted")
            }
            func count(_ outcome: String) throws -> Int64 {
                let counter = try metrics.expectCounter("redlock_acquisitions", [("outcome", outcome)])
                return counter.totalValue
            }
            #expect(try count("granted") >= 1)
            #expect(try count("timed_out") >= 1)
            #expect(try metrics.expectTimer("redlock_acquisition_seconds").values.isEmpty == false)
            #expect(try metrics.expectTimer("redlock_hold_seconds").values.isEmpty == false)
        }
    }

    @Test
    func tracesALock() async throws {
        let tracer = Self.tracer
        try await Layout.one.withClient { client, _ in
            try await client.withLock("traced") { _ in }
            let span = try #require(tracer.finishedSpans.last { $0.operationName == "redlock.withLock" })
            #expect(span.attributes.get("redlock.resource") != nil)
        }
    }

    @Test
    func logsNothingSecret() async throws {
        let log = RecordingLog()
        var options = LocalRedisOptions()
        options.extraConfiguration = ["requirepass open-sesame"]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            var logger = Logger(label: "test", factory: { _ in log })
            logger.logLevel = .trace
            let nodes = redis.servers.map { "redis://:open-sesame@127.0.0.1:\($0.port)" }
            let client = try await RedlockClient.enrolled(nodes, logger: logger)
            try await client.waitUntilAllNodesAnswer()
            try await client.withLock("logged too") { _ in }
            let lease = try await client.acquire("logged", options: LockOptions(ttl: .seconds(1)), renewal: .automatic)
            for server in redis.servers { await server.kill() }
            #expect(await lease.ended())
            await client.shutdown()
            let text = log.text
            #expect(text.contains("lease lost"))
            #expect(!text.contains("forgotten"))
            #expect(text.contains("node cannot be used"))
            #expect(!text.contains("open-sesame"))
            #expect(!text.contains(lease.ownerToken.secretText))
            #expect(!text.contains(lease.ownerToken.secretText.prefix(32)))
        }
    }
}

/// Servers repeat the arguments of a command that they do not know: a password, an owner token.
extension ObservabilityTests {
    @Test
    func repeatsNothingSecretThatServersRepeat() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["rename-command AUTH \"\"", "rename-command SET \"\""]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            let address = "127.0.0.1:\(redis[0].port)"
            let client = try CompatibleRedlockClient(nodes: ["redis://:open-sesame@\(address)"], logger: .tracing)
            let refusal = await #expect(throws: RedlockError.self) { try await client.acquire("secret") }
            #expect(refusal?.description.contains("unknown command") == true)
            #expect(refusal?.description.contains("open-sesame") == false)
            await client.shutdown()

            let second = try CompatibleRedlockClient(nodes: ["redis://\(address)"], logger: .tracing)
            // The owner token, which is an argument of the command, ends with the label.
            let error = await #expect(throws: RedlockError.self) {
                try await second.acquire("secret", options: LockOptions(label: "treasure"))
            }
            #expect(error?.description.contains("unknown command") == true)
            #expect(error?.description.contains("treasure") == false)
            await second.shutdown()
        }
    }
}

/// Keeps what is logged, at every level.
private final class RecordingLog: LogHandler {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    var metadata: Logger.Metadata {
        get { [:] }
        set { lines.withLock { $0.append("\(newValue)") } }
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set { lines.withLock { $0.append("\(key)=\(newValue.map { "\($0)" } ?? "")") } }
    }

    func log(event: LogEvent) {
        lines.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
    }
}

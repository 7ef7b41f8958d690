// SPDX-License-Identifier: Apache-2.0

import RedisTransport
import Testing

@testable import Redlock

@Suite
struct RedlockConfigurationTests {
    private func validate(
        _ urls: [String] = ["redis://a"],
        _ change: (inout RedlockConfiguration) -> Void = { _ in }
    ) throws {
        var configuration = RedlockConfiguration()
        change(&configuration)
        try configuration.validate(try urls.map { try RedisEndpoint(url: $0) })
    }

    private func expectRefusal(
        _ says: String,
        _ urls: [String] = ["redis://a"],
        sourceLocation: SourceLocation = #_sourceLocation,
        _ change: (inout RedlockConfiguration) -> Void = { _ in }
    ) {
        let error = #expect(throws: RedlockError.self, sourceLocation: sourceLocation) { try validate(urls, change) }
        #expect(error?.code == .invalidConfiguration, sourceLocation: sourceLocation)
        #expect(
            error?.description.contains(says) == true,
            "\(String(describing: error))",
            sourceLocation: sourceLocation
        )
    }

    @Test
    func defaultsAreAllowed() throws {
        try validate()
        try validate(["redis://a", "redis://b", "redis://c"])
        try validate((0..<64).map { "redis://node\($0)" })
    }

    @Test
    func numberOfNodes() {
        expectRefusal("no Redis node", [])
        expectRefusal("65 nodes", (0..<65).map { "redis://node\($0)" })
    }

    /// One server would have two votes, and a majority would be none.
    @Test(arguments: [
        ["redis://a", "redis://a"],
        ["redis://a", "redis://a:6379"],
        ["redis://Redis.Example", "redis://redis.example"],
        ["redis://a/0", "redis://b", "redis://a/1"],
        ["redis://user:x@a", "redis://other:y@a"],
        ["redis://a", "rediss://a"],
        ["redis://[::1]:7000", "redis://[::1]:7000/2"],
        ["redis+unix:///tmp/a.sock", "redis+unix:///tmp/a.sock?database=1"],
    ])
    func sameServerTwice(_ urls: [String]) {
        expectRefusal("listed twice", urls)
    }

    @Test
    func otherPortsAndSocketsAreOtherServers() throws {
        try validate(["redis://a:7000", "redis://a:7001", "redis+unix:///tmp/A", "redis+unix:///tmp/a"])
    }

    @Test
    func times() throws {
        expectRefusal("node timeout") { $0.nodeTimeout = .zero }
        expectRefusal("node timeout") { $0.nodeTimeout = .seconds(-1) }
        expectRefusal("node timeout") { $0.nodeTimeout = .nanoseconds(999_999) }
        expectRefusal("node timeout") { $0.nodeTimeout = .seconds(60) + .nanoseconds(1) }
        expectRefusal("node timeout") { $0.nodeTimeout = .seconds(Int64.max) }
        expectRefusal("connect timeout") { $0.connectTimeout = .zero }
        expectRefusal("connect timeout") { $0.connectTimeout = .seconds(601) }
        expectRefusal("hand-over time") { $0.handOverTime = .nanoseconds(-1) }
        expectRefusal("outage tolerance") { $0.outageTolerance = .nanoseconds(-1) }
        expectRefusal("ten times the node timeout") { $0.maximumTTL = .milliseconds(999) }
        expectRefusal("ten times the node timeout") { $0.maximumTTL = .zero }
        expectRefusal("a year") { $0.maximumTTL = .seconds(86400 * 365 + 1) }
        try validate { $0.maximumTTL = .seconds(1) }
        try validate { $0.maximumTTL = .seconds(86400 * 365) }
        try validate { $0.outageTolerance = .zero }
        try validate { $0.nodeTimeout = .milliseconds(1) }
    }

    @Test
    func label() throws {
        expectRefusal("129 bytes") { $0.label = String(repeating: "x", count: 129) }
        expectRefusal("control characters") { $0.label = "two\nlines" }
        try validate { $0.label = "" }
        let label = RedlockConfiguration().label
        #expect(!label.isEmpty && label.utf8.count <= 128)
    }

    @Test(arguments: 1...9)
    func evenNumberOfNodesIsWarnedOf(count: Int) {
        let warnings = RedlockConfiguration.warnings(nodeCount: count)
        #expect(warnings.count == (count % 2 == 0 ? 1 : 0))
        #expect(warnings.allSatisfy { $0.contains("odd number") })
    }

    @Test
    func clientRefusesBeforeItConnects() {
        for (nodes, says) in [([], "no Redis node"), (["http://a"], "scheme"), (["redis://a", "redis://A"], "twice")] {
            let error = #expect(throws: RedlockError.self) { try RedlockClient(nodes: nodes) }
            #expect(error?.code == .invalidConfiguration)
            #expect(error?.description.contains(says) == true)
        }
    }

    @Test
    func clientNeverShowsAPassword() {
        let passwords = ["http://user:hunter2@a", "redis://user:hunter2@", "redis://user:hunter2@a:99999"]
        for url in passwords + ["redis://u:hunter2@a b"] {
            let error = #expect(throws: RedlockError.self) { try RedlockClient(nodes: [url]) }
            for text in error.map(allTexts(of:)) ?? [] { #expect(!text.contains("hunter2"), "\(text)") }
        }
    }
}

@Suite
struct DurationTests {
    static let edges: [(Duration, Int64)] = [
        (Duration.zero, 0), (.nanoseconds(1), 1), (.nanoseconds(-1), -1), (.seconds(1), 1_000_000_000),
        (.nanoseconds(Int64.max), .max), (.nanoseconds(Int64.min), .min),
        (.nanoseconds(Int64.max) + .nanoseconds(1), .max), (.nanoseconds(Int64.min) - .nanoseconds(1), .min),
        (.seconds(Int64.max), .max), (.seconds(Int64.min), .min),
        (Duration(secondsComponent: 0, attosecondsComponent: 999_999_999), 0),
        (Duration(secondsComponent: 1, attosecondsComponent: -1), 999_999_999),
    ]

    @Test(arguments: edges)
    func nanoseconds(_ duration: Duration, expected: Int64) {
        #expect(duration.nanoseconds == expected)
    }
}

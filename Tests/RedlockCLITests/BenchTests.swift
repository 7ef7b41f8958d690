// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import RedlockTesting
import TestSupport
import Testing

@testable import RedlockCLI

/// `redlock bench`: that it measures and cleans up, never how quick anything is.
@Suite(.timeLimit(.minutes(2)))
struct BenchTests {
    /// Patient: whether nodes answer in time while all tests run is not asked here.
    private static func bench(_ arguments: String...) -> [String] { ["bench", "--node-timeout", "1s"] + arguments }

    private static func nothingIsLocked(_ redis: LocalRedisSet) async throws {
        let list = try await Executable.run(["list"], redis: redis.urls)
        #expect(list.exitCode == 0 && list.output.isEmpty, "\(list.output)\(list.errors)")
        // `list` shows what a quorum has; nothing is to be left on any of them.
        for server in redis.servers { #expect(try await server.send("KEYS", "redlock:lock:*") == "") }
    }

    private static func counterCount(_ server: LocalRedisServer) async throws -> String? {
        try await server.send("EVAL", "return #redis.call('KEYS', 'redlock:fence:redlock-bench/*')", "0")
    }

    @Test
    func peopleSeeATableAndNothingStaysLocked() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let result = try await Executable.run(Self.bench("--duration", "200ms"), redis: redis.urls)
            #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.errors)")
            let lines = result.output.split(separator: "\n")
            #expect(lines.first == "3 nodes, quorum 2, 200ms for each measurement", "\(result.output)")
            #expect(lines.last?.hasPrefix("overlaps: 0 of the ") == true, "\(result.output)")
            let table = lines.dropFirst().dropLast()
            #expect(Set(table.map(\.count)).count == 1, "\(result.output)")
            let rows = [
                ("acquire, uncontended", "1"), ("release, uncontended", "1"), ("acquire, side by side", "64"),
                ("release, side by side", "64"), ("gap at a hand-over", "16"),
            ]
            #expect(table.count == 1 + rows.count, "\(result.output)")
            for ((title, tasks), line) in zip(rows, table.dropFirst()) {
                let words = line.dropFirst(title.count).split(separator: " ")
                #expect(line.hasPrefix(title) && words.first.map(String.init) == tasks, "\(line)")
                // Four numbers, each with its unit, behind the tasks and the rate.
                #expect(words.count == 10 && ["µs", "ms", "s"].contains(words[3]), "\(line)")
            }
            try await Self.nothingIsLocked(redis)
        }
    }

    @Test
    func programsGetOneObject() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let arguments = Self.bench("--json", "--duration", "0.2", "--concurrency", "4")
            let result = try await Executable.run(arguments, redis: redis.urls)
            #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.errors)")
            #expect(result.output.split(separator: "\n").count == 1)
            let object = try result.object()
            #expect(object["nodes"] as? [String] == redis.servers.map { "127.0.0.1:\($0.port)" })
            #expect(object["quorum"] as? Int == 2 && object["concurrency"] as? Int == 4)
            #expect(object["durationMilliseconds"] as? Int == 200)
            for (part, tasks) in [("uncontended", 1), ("throughput", 4)] {
                let cycles = try #require(object[part] as? [String: Any])
                #expect(cycles["tasks"] as? Int == tasks)
                try Self.expectPlausible(cycles, "cycles", "acquireMicroseconds", "releaseMicroseconds")
            }
            let handOver = try #require(object["handOver"] as? [String: Any])
            #expect(handOver["tasks"] as? Int == 16 && handOver["holdMilliseconds"] as? Int == 1)
            #expect(handOver["overlaps"] as? Int == 0)
            try Self.expectPlausible(handOver, "acquisitions", "gapMicroseconds")
            try await Self.nothingIsLocked(redis)
            // As the help says: one counter for each task.
            for server in redis.servers { #expect(try await Self.counterCount(server) == "4") }
        }
    }

    private static func expectPlausible(_ part: [String: Any], _ count: String, _ latencies: String...) throws {
        #expect(try #require(part["elapsedMilliseconds"] as? Int) >= 200)
        #expect(try #require(part[count] as? Int) > 0)
        #expect(try #require(part["\(count)PerSecond"] as? Int) > 0)
        for name in latencies {
            let numbers = try #require(part[name] as? [String: Int])
            let sorted = try ["p50", "p90", "p99", "max"].map { try #require(numbers[$0]) }
            #expect(numbers.count == 4 && sorted[0] > 0 && sorted == sorted.sorted(), "\(name): \(numbers)")
        }
    }

    @Test
    func withPlainKeysNothingStays() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let arguments = Self.bench("--compatible", "--duration", "100ms", "--concurrency", "2")
            let result = try await Executable.run(arguments, redis: redis.urls)
            #expect(result.exitCode == 0 && result.output.hasPrefix("1 node, quorum 1, "), "\(result.errors)")
            #expect(try await redis[0].send("DBSIZE") == "0")
        }
    }

    /// In the first measurement and in the last.
    @Test(arguments: [Duration.milliseconds(300), .milliseconds(4_300)])
    func anInterruptEndsItInGoodOrder(after delay: Duration) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let running = try Executable.Running(
                Self.bench("--duration", "2s"),
                environment: Executable.environment(redis.urls)
            )
            try await eventually("a lock of its own") { try await Self.counterCount(redis[0]) != "0" }
            try await Task.sleep(for: delay)
            let start = ContinuousClock.now
            running.send(SIGINT)
            let result = try await running.result()
            #expect(result.exitCode == 128 + SIGINT && result.output.isEmpty, "\(result.errors)")
            // Far longer than it may take, and shorter than the measurement would have gone on and locks would have lived.
            #expect(ContinuousClock.now - start < .seconds(8))
            try await Self.nothingIsLocked(redis)
        }
    }

    @Test
    func tooFewNodesAreAnOutage() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            await redis[0].kill()
            await redis[1].kill()
            let result = try await Executable.run(["bench", "--duration", "200ms"], redis: redis.urls)
            #expect(result.exitCode == 69 && result.output.isEmpty && result.errorLines.count == 1, "\(result.errors)")
            #expect(result.errors.contains("127.0.0.1:\(redis[0].port)"), "\(result.errors)")
        }
    }

    @Test
    func helpSaysWhatStaysOnTheServers() async throws {
        let help = try await Executable.run(["bench", "--help"]).output
        let words = help.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let promise = "a counter of fencing tokens for each of the --concurrency names, for 7 days"
        #expect(words.contains(promise), "\(help)")
    }

    // MARK: Numbers

    @Test
    func percentilesAreWithinTheStatedError() throws {
        var random = SeededRandom(seed: 7)
        var histogram = LatencyHistogram()
        var exact: [Int64] = []
        for _ in 0..<20_000 {
            // From nanoseconds to minutes, as many of each length.
            let bits = Int64.random(in: 0...36, using: &random)
            let nanoseconds = Int64.random(in: (1 << bits)...(2 << bits), using: &random)
            exact.append(nanoseconds)
            histogram.record(.nanoseconds(nanoseconds))
        }
        exact.sort()
        #expect(histogram.count == exact.count)
        #expect(histogram.longest == .nanoseconds(try #require(exact.last)))
        for part in stride(from: 0.001, through: 1, by: 0.001) {
            let rank = Int((part * Double(exact.count)).rounded(.up))
            let (told, exactly) = (Double(histogram.percentile(part).wholeNanoseconds), Double(exact[rank - 1]))
            #expect(abs(told - exactly) <= max(1, exactly / 256), "\(part): \(told) instead of \(exactly)")
        }
    }

    @Test
    func aHistogramTakesWhateverIsRecorded() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(0.5) == .zero && histogram.longest == .zero)
        histogram.record(.nanoseconds(-5))
        #expect(histogram.percentile(1) == .zero)
        histogram.record(.seconds(Int64.max / 4))
        #expect(histogram.count == 2 && histogram.longest == .nanoseconds(Int64.max))
        #expect(histogram.percentile(1) > .seconds(9_000_000_000) && histogram.percentile(1) <= histogram.longest)
        #expect(histogram.percentile(0.5) == .zero)
    }

    @Test(arguments: [
        (Duration.nanoseconds(41), "0.04 µs"), (.nanoseconds(8_126), "8.13 µs"), (.microseconds(87), "87.0 µs"),
        (.nanoseconds(999_400), "999 µs"), (.nanoseconds(999_600), "1.00 ms"), (.microseconds(12_340), "12.3 ms"),
        (.microseconds(99_960), "100 ms"), (.microseconds(999_600), "1.00 s"), (.seconds(75), "75.0 s"),
    ])
    func latenciesHaveTheUnitThatFits(_ duration: Duration, _ expected: String) {
        #expect(duration.inThreeDigits == expected)
    }

    @Test
    func twoWhoHaveTheLockAtOnceAreToldLoudly() throws {
        var cycles = CycleResult(taskCount: 1)
        cycles.acquire.record(.milliseconds(1))
        cycles.release.record(.milliseconds(1))
        cycles.elapsed = .seconds(1)
        let start = ContinuousClock.now
        var handOver = HandOverResult(taskCount: 2)
        handOver.elapsed = .seconds(1)
        handOver.begin(at: start)
        handOver.end(at: start + .milliseconds(1))
        handOver.begin(at: start + .milliseconds(3))
        #expect(handOver.overlapCount == 0 && handOver.gap.count == 1 && handOver.gap.longest == .milliseconds(2))
        handOver.begin(at: start + .milliseconds(4))
        handOver.end(at: start + .milliseconds(5))
        handOver.end(at: start + .milliseconds(6))
        #expect(handOver.overlapCount == 1 && handOver.gap.count == 1 && handOver.acquisitionCount == 3)
        let text = BenchmarkText(
            nodes: ["a"],
            quorum: 1,
            duration: .seconds(1),
            hold: .milliseconds(1),
            uncontended: cycles,
            throughput: cycles,
            handOver: handOver,
            style: TextStyle(isColoured: false)
        )
        #expect(text.lines.last?.hasPrefix("OVERLAPS: 1 of ") == true, "\(text.lines)")
        #expect(text.json.text.contains("\"overlaps\":1"))
    }
}

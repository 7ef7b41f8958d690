// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// `redlock bench`: what locks cost on the servers at hand.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure what locks cost on your servers.",
        discussion: """
            Three measurements, one after the other, each for --duration: how long one task takes to acquire and release \
            a lock that nobody else wants; how often --concurrency tasks side by side do so in a second, each with a lock \
            of its own; and how a lock that 16 tasks of this process want goes from one to the next, where each has it for \
            about 1ms: how long it takes from the end of one to the beginning of the next, and whether two ever had it at \
            once. Latencies are those that the caller sees; percentiles are within 0.4%. The machine that runs it is \
            measured as well, and whoever else uses the servers feels it. Where so many tasks make nodes answer later than \
            --node-timeout, that is an outage, as it would be for other programs.

            Its locks have names that nobody else has, redlock-bench/RANDOM/NUMBER. All are released at the end, also when \
            it is interrupted. What stays on the servers is a counter of fencing tokens for each of the --concurrency \
            names, for 7 days, as every lock leaves one; nothing stays with --compatible.

            With --json prints {"nodes": [names], "quorum", "concurrency", "durationMilliseconds", "uncontended": \
            {"tasks", "elapsedMilliseconds", "cycles", "cyclesPerSecond", "acquireMicroseconds": {"p50", "p90", "p99", \
            "max"}, "releaseMicroseconds": the same}, "throughput": as "uncontended", "handOver": {"tasks", \
            "holdMilliseconds", "elapsedMilliseconds", "acquisitions", "acquisitionsPerSecond", "gapMicroseconds": {"p50", \
            "p90", "p99", "max"}, "overlaps"}}.

            EXIT CODES
              0    measured
              64   wrong usage
              69   no quorum
              70   two tasks had one lock at once

            EXAMPLES
              redlock bench
              redlock bench --duration 10s --concurrency 16
              redlock bench --json | jq .throughput.cyclesPerSecond
            """
    )

    /// Each of them leaves a counter on every node.
    private static let mostTasks = 1_000

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var profile: ProfileOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("How long each measurement goes on; at least 100ms. (default: 3s)", valueName: "duration"),
        transform: DurationArgument.option
    )
    var duration: Duration?

    @Option(
        name: .long,
        parsing: .unconditional,
        help: ArgumentHelp("How many tasks work side by side; 1 to 1000. (default: 64)", valueName: "count"),
        transform: { text in
            guard let count = Int(text), (1...mostTasks).contains(count) else {
                throw ValidationError("\"\(text)\" is not a number of tasks from 1 to \(mostTasks)")
            }
            return count
        }
    )
    var concurrency: Int?

    func validate() throws {
        guard duration ?? .seconds(3) >= .milliseconds(100) else {
            throw ValidationError("--duration is too short; a measurement takes 100ms at least")
        }
    }

    func run() throws {
        let options = connection.partialSettings.or(profile.partialSettings)
        let (path, printsJSON, progress) = (connection.config, output.json, ProgressLine(output))
        let (duration, concurrency) = (duration ?? .seconds(3), concurrency ?? 64)
        let reporter = output.reporter(resource: nil)
        try InterruptibleOperation.run {
            let settings = try await Settings.resolve(options: options, configurationPath: path)
            let client = try settings.makeClient(reporter)
            let text = try await settings.finishing(client) {
                try await Self.measure(client, settings, duration, concurrency: concurrency, progress)
            }
            try StandardOutput.writeResult(printsJSON ? text.json.text : text.lines.joined(separator: "\n"))
            guard text.handOver.overlapCount == 0 else {
                throw CommandFailure(
                    exitCode: ExitStatus.internalError,
                    "TWO TASKS HAD ONE LOCK AT ONCE, \(text.handOver.overlapCount) times: it does not exclude"
                )
            }
            return ExitStatus.success
        }
    }

    private static func measure(
        _ client: some LockClient,
        _ settings: Settings,
        _ duration: Duration,
        concurrency: Int,
        _ progress: ProgressLine
    ) async throws -> BenchmarkText {
        let options = LockOptions(ttl: ttl(settings.values), label: LockOptions.defaultLabel)
        let benchmark = Benchmark(client: client, options: options, duration: duration, concurrency: concurrency)
        return try await measure(benchmark, settings, progress)
    }

    private static func measure(
        _ benchmark: Benchmark<some LockClient>,
        _ settings: Settings,
        _ progress: ProgressLine
    ) async throws -> BenchmarkText {
        try await benchmark.prepare()
        let nodes = try await benchmark.client.inspect(benchmark.names[0]).nodes.map(\.name)
        let duration = benchmark.duration
        return BenchmarkText(
            nodes: nodes,
            quorum: settings.values.votesNeeded(ofNodes: nodes.count),
            duration: duration,
            hold: type(of: benchmark).hold,
            uncontended: try await progress.during("1 of 3, one task by itself", for: duration) {
                try await benchmark.measureUncontended()
            },
            throughput: try await progress.during("2 of 3, tasks side by side", for: duration) {
                try await benchmark.measureThroughput()
            },
            handOver: try await progress.during("3 of 3, tasks that want one lock", for: duration) {
                try await benchmark.measureHandOver()
            },
            style: .standardOutput
        )
    }

    /// What most locks have, unless that is too long for the servers or too short for the node timeout.
    private static func ttl(_ settings: PartialSettings) -> Duration {
        let shortest = (settings.nodeTimeout ?? .zero) * 10
        return min(max(.seconds(10), shortest), settings.maximumTTL ?? .seconds(30))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Redlock
import RedlockTesting
import Testing

/// Many processes want one lock while servers are killed and restarted under them.
///
/// The short form runs with every other test; `make soak` sets REDLOCK_SOAK and runs the long one.
@Suite(.serialized)
struct SoakTests {
    @Test
    func neverTwoInside() async throws {
        let soak = Soak.fromEnvironment
        let result = try await soak.run(persistence: .appendOnlyAlways)
        print(result)
        #expect(result.overlaps == 0)
        #expect(result.entries == soak.processes * soak.acquisitions)
        #expect(result.exitCodes.isSubset(of: [0]), "some run failed: \(result.exitCodes)")
        #expect(result.keysLeftBehind == 0)
    }

    /// The control: where nobody looks whether a server restarted empty, it gives the lock away a second time, and the
    /// judge sees it.
    @Test
    func withoutPersistenceAndAdmissionTwoAreInside() async throws {
        let soak = Soak.fromEnvironment
        let result = try await soak.run(persistence: .none, options: ["--compatible"], untilOverlap: true)
        print(result)
        #expect(result.overlaps > 0)
    }
}

/// How much is done, and how it is judged.
struct Soak {
    let processes: Int
    let acquisitions: Int
    let longestHoldMilliseconds: Int
    /// What one hold in twenty takes.
    let longHoldMilliseconds: Int
    let killInterval: Duration

    static var fromEnvironment: Soak {
        guard ProcessInfo.processInfo.environment["REDLOCK_SOAK"] == nil else {
            return Soak(
                processes: 100,
                acquisitions: 20,
                longestHoldMilliseconds: 300,
                longHoldMilliseconds: 3000,
                killInterval: .seconds(2)
            )
        }
        return Soak(
            processes: 20,
            acquisitions: 8,
            longestHoldMilliseconds: 80,
            longHoldMilliseconds: 2000,
            killInterval: .milliseconds(250)
        )
    }

    struct Result: CustomStringConvertible {
        var entries = 0
        var overlaps = 0
        var kills = 0
        var exitCodes: Set<Int32> = []
        var keysLeftBehind = 0
        var time = Duration.zero

        var description: String {
            "soak: \(entries) entries, \(overlaps) overlaps, \(kills) servers killed and restarted, "
                + "exit codes \(exitCodes.sorted()), \(keysLeftBehind) keys left behind, \(time)"
        }
    }

    /// Runs until every process has had all its acquisitions, or until the first overlap.
    func run(
        persistence: LocalRedisPersistence,
        options: [String] = [],
        untilOverlap: Bool = false
    ) async throws -> Result {
        let began = ContinuousClock.now
        return try await withLocalRedis(nodes: 5, options: LocalRedisOptions(persistence: persistence)) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            let judge = try Judge()
            defer { judge.remove() }
            let workers = try start(redis: redis, judge: judge, options: options)
            defer { for worker in workers where worker.isRunning { worker.terminate() } }
            var result = Result()
            var random = SeededRandom(seed: 1)
            while workers.contains(where: \.isRunning), !(untilOverlap && judge.overlaps > 0) {
                try await Task.sleep(for: killInterval)
                let server = redis[Int.random(in: 0..<5, using: &random)]
                await server.kill()
                try await server.restart()
                result.kills += 1
            }
            result.overlaps = judge.overlaps
            result.entries = judge.entries
            guard !untilOverlap else { return result }
            result.exitCodes = Set(workers.map(\.terminationStatus))
            result.time = ContinuousClock.now - began
            // What a killed server could not be told dies with its TTL.
            try await Task.sleep(for: .seconds(Self.ttlSeconds + 1))
            for server in redis.servers {
                let keys = try await server.send("KEYS", "".lockKey + "*") ?? "?"
                result.keysLeftBehind += keys.split(separator: "\n").count
            }
            return result
        }
    }

    private static let ttlSeconds = 5

    private func start(redis: LocalRedisSet, judge: Judge, options: [String]) throws -> [Process] {
        var random = SeededRandom(seed: 2)
        let step = "echo E$1 >>$2; sleep $3; echo L$1 >>$2"
        // A worker ends with the first exit code that is neither success nor a lost lock.
        let loop = """
            redlock=$1 judge=$2 name=$3 step=$4; shift 4
            for hold; do
                "$redlock" run \(options.joined(separator: " ")) --ttl \(Self.ttlSeconds)s --node-timeout 200ms soak -- \
                    sh -c "$step" step $name $judge $hold
                status=$?
                if [ $status -eq 75 ]; then echo L$name >>$judge; elif [ $status -ne 0 ]; then exit $status; fi
            done
            """
        return try (0..<processes).map { number in
            let holds = (0..<acquisitions).map { _ in
                let isLong = Int.random(in: 0..<20, using: &random) == 0
                let milliseconds =
                    isLong ? longHoldMilliseconds : Int.random(in: 0...longestHoldMilliseconds, using: &random)
                return "\(Double(milliseconds) / 1000)"
            }
            let worker = Process()
            worker.executableURL = URL(filePath: "/bin/sh")
            worker.arguments = ["-c", loop, "worker", try redlockExecutable(), judge.path, "w\(number)", step] + holds
            worker.environment = ProcessInfo.processInfo.environment.merging(
                ["REDLOCK_REDIS": redis.urls.joined(separator: ",")]
            ) { $1 }
            worker.standardInput = FileHandle.nullDevice
            try worker.run()
            return worker
        }
    }
}

/// Reads who enters and who leaves, from a pipe with a name: what is written first is read first, whoever writes.
private final class Judge: @unchecked Sendable {
    let path: String
    private let directory: URL
    private let descriptor: Int32
    private let lock = NSLock()
    private var entriesSoFar = 0
    private var overlapsSoFar = 0

    var entries: Int { lock.withLock { entriesSoFar } }
    var overlaps: Int { lock.withLock { overlapsSoFar } }

    /// `@unchecked Sendable`: the counts are guarded by the lock, the rest never changes.
    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "redlock-judge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        path = directory.appending(path: "judge").path
        try #require(mkfifo(path, 0o600) == 0)
        // Open for both, so that it does not end when no writer is left.
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        try #require(descriptor >= 0)
        Thread.detachNewThread { [self] in read() }
    }

    private func read() {
        var inside: Set<Substring> = []
        var pending = ""
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Foundation.read(descriptor, &bytes, bytes.count)
            guard count > 0 else { return }
            pending += String(decoding: bytes.prefix(count), as: UTF8.self)
            while let end = pending.firstIndex(of: "\n") {
                let line = pending[..<end]
                switch line.first {
                case "E":
                    inside.insert(line.dropFirst())
                    lock.withLock {
                        entriesSoFar += 1
                        if inside.count > 1 { overlapsSoFar += 1 }
                    }
                case "L": inside.remove(line.dropFirst())
                default:
                    // The end was asked for.
                    close(descriptor)
                    return
                }
                pending.removeSubrange(...end)
            }
        }
    }

    func remove() {
        _ = "end\n".withCString { write(descriptor, $0, 4) }
        try? FileManager.default.removeItem(at: directory)
    }
}

/// The command, built beside the tests.
func redlockExecutable() throws -> String {
    let bundle = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    var directory = bundle.deletingLastPathComponent()
    for _ in 0..<4 {
        let candidate = directory.appending(path: "redlock").path
        if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
        directory.deleteLastPathComponent()
    }
    return try #require(nil as String?, "the redlock command is not built beside \(bundle.path)")
}

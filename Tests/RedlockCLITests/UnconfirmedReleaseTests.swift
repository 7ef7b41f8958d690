// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

/// What is told of a release that no quorum of servers confirmed.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct UnconfirmedReleaseTests {
    /// How servers come to keep a lock that is released.
    enum Obstacle: CaseIterable, Sendable {
        case replica, frozen, forbidden

        func befall(_ server: LocalRedisServer) async throws {
            switch self {
            case .replica: _ = try await server.send("REPLICAOF", "127.0.0.1", "1")
            case .frozen: try await server.pause()
            case .forbidden: _ = try await server.send("ACL", "SETUSER", "default", "-del")
            }
        }

        var outcome: String {
            switch self {
            case .replica: "READONLY"
            case .frozen: "no answer"
            // Of a script that may not run one of its commands, each version of Redis says so in other words.
            case .forbidden: "script"
            }
        }
    }

    /// A command that ends with 7 once the test has made its file.
    private static func command(waitingFor file: String) -> [String] {
        ["-c", "echo started; until [ -e '\(file)' ]; do sleep 0.02; done; exit 7"]
    }

    private static func run(
        _ arguments: [String],
        _ redis: LocalRedisSet,
        meanwhile: () async throws -> Void
    ) async throws -> Executable.Result {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("redlock-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let running = try Executable.Running(
            arguments + command(waitingFor: file),
            environment: Executable.environment(redis.urls)
        )
        try await running.waitFor("started")
        try await meanwhile()
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        return try await running.result()
    }

    @Test(
        "A release that no quorum confirms is told with each server's reason and the time that is left; the command's code stays",
        arguments: Obstacle.allCases
    )
    func unconfirmedReleaseIsTold(_ obstacle: Obstacle) async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let json = try await Self.run(["run", "--json", "part"], redis) {
                for server in redis.servers.suffix(2) { try await obstacle.befall(server) }
            }
            #expect(json.exitCode == 7, "\(json.errors)")
            #expect(json.event("released") == nil, "\(json.errors)")
            let event = try #require(json.event("releaseUnconfirmed"), "\(json.errors)")
            let left = try #require(event["longestRemainingMilliseconds"] as? Int)
            #expect((1...12_000).contains(left))
            #expect(event["staysMilliseconds"] is NSNull)
            let nodes = try #require(event["nodes"] as? [[String: String]]).compactMap { $0["outcome"] }
            #expect(nodes.count == 3 && nodes[0] == "released it", "\(nodes)")
            #expect(nodes.suffix(2).allSatisfy { $0.contains(obstacle.outcome) }, "\(nodes)")
        }
    }

    @Test("One server that does not confirm is no matter: the release is told as it is (control)")
    func confirmedReleaseIsTold() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let json = try await Self.run(["run", "--json", "part"], redis) {
                try await Obstacle.forbidden.befall(redis[2])
            }
            #expect(json.exitCode == 7)
            #expect(json.event("releaseUnconfirmed") == nil)
            let event = try #require(json.event("released"), "\(json.errors)")
            #expect(event["staysMilliseconds"] is NSNull)
        }
    }

    @Test("People see the warning without -v, a line for each server, and not with -q")
    func peopleSeeTheWarning() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            for server in redis.servers { try await Obstacle.forbidden.befall(server) }
            let told = try await Executable.run(["run", "part", "--", "true"], redis: redis.urls)
            #expect(told.exitCode == 0)
            #expect(told.errors.contains("no quorum confirmed the release of \"part\""), "\(told.errors)")
            #expect(told.errorLines.count == 4, "\(told.errors)")
            let quiet = try await Executable.run(["run", "-q", "other", "--", "true"], redis: redis.urls)
            #expect(quiet.exitCode == 0 && quiet.errors.isEmpty, "\(quiet.errors)")
        }
    }

    @Test("Every command that releases tells it: elect, acquire whose token cannot be written, and bench, which fails")
    func everyCommandTellsIt() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            for server in redis.servers { try await Obstacle.forbidden.befall(server) }
            let elect = try await Executable.run(["elect", "--json", "job", "-c", "exit 3"], redis: redis.urls)
            #expect(elect.exitCode == 3)
            #expect(elect.event("releaseUnconfirmed") != nil && elect.event("released") == nil, "\(elect.errors)")
            let acquire = try await Executable.shell(
                "\"$REDLOCK\" acquire --json batch > /dev/full",
                redis: redis.urls
            )
            #expect(acquire.exitCode == 71)
            #expect(acquire.event("releaseUnconfirmed") != nil, "\(acquire.errors)")
            let notStarted = try await Executable.run(
                ["run", "--json", "absent", "--", "/nonexistent/command"],
                redis: redis.urls
            )
            #expect(notStarted.exitCode == 127)
            #expect(notStarted.event("releaseUnconfirmed") != nil, "\(notStarted.errors)")
            let bench = try await Executable.run(["bench", "--duration", "100ms"], redis: redis.urls)
            #expect(bench.exitCode == 69, "\(bench.errors)")
            #expect(bench.errors.contains("no quorum confirmed the release"), "\(bench.errors)")
        }
    }

    @Test(
        "Where no scripts run, the compatible profile locks nothing, as it could not release it",
        arguments: [
            ["rename-command EVAL \"\"", "rename-command EVALSHA \"\""],
            ["user default on nopass ~* &* +@all -eval -evalsha"],
        ]
    )
    func compatibleProfileNeedsScripts(configuration: [String]) async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = configuration
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let result = try await Executable.run(
                ["run", "--json", "--compatible", "part", "--", "echo", "ran"],
                redis: redis.urls
            )
            #expect(result.exitCode == 69, "\(result)")
            #expect(result.output.isEmpty)
            let nodes = try #require(result.event("error")?["nodes"] as? [[String: String]])
            #expect(nodes.count == 3)
            // Two of three are too many for a quorum, so that the third need not be waited for.
            #expect(nodes.filter { $0["outcome"]?.contains("runs no scripts") == true }.count >= 2, "\(nodes)")
            for server in redis.servers { #expect(try await server.send("EXISTS", "part") == "0") }
        }
    }

    @Test(
        "The compatible profile works where scripts run by digest alone, or whole alone where none can be loaded (control)",
        arguments: ["-eval", "-script"]
    )
    func compatibleProfileDoesWithHalf(right: String) async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["user default on nopass ~* &* +@all \(right)"]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let result = try await Executable.run(
                ["run", "--json", "--compatible", "part", "--", "echo", "ran"],
                redis: redis.urls
            )
            #expect(result.exitCode == 0 && result.output == "ran\n", "\(result)")
            #expect(result.event("released") != nil, "\(result.errors)")
            for server in redis.servers { #expect(try await server.send("EXISTS", "part") == "0") }
        }
    }
}

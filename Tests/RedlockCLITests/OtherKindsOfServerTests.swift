// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// Servers of Redis that no lock can be on: every command says what they are, and what to give instead.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct OtherKindsOfServerTests {
    /// What every command says of a server; `never` are the guesses that hid it.
    private static func expectNamed(
        _ reason: String,
        _ remedy: String,
        by urls: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let never = ["grant +", "may not run", "memory", "disk", "could not be enrolled", "start it"]
        for arguments in [
            ["run", "-w", "5s", "a", "--", "true"], ["acquire", "a"], ["status", "a"], ["list"], ["history", "a"],
            ["fence", "a", "--at-least", "7"], ["release", "--force", "a"], ["elect", "--history", "a"],
            ["run", "-n", "--slots", "2", "a", "--", "true"], ["run", "-n", "-s", "a", "--", "true"],
            ["init"], ["init", "--update"], ["doctor"], ["doctor", "-v", "--json"],
        ] {
            let result = try await Executable.run(arguments, redis: urls)
            let told = result.output + result.errors
            #expect(
                result.exitCode == (arguments[0] == "init" ? 1 : 69),
                "\(arguments): \(told)",
                sourceLocation: sourceLocation
            )
            #expect(told.contains(reason), "\(arguments): \(told)", sourceLocation: sourceLocation)
            #expect(told.contains(remedy), "\(arguments): \(told)", sourceLocation: sourceLocation)
            // What is enrolled with it is a set of independent servers.
            #expect(arguments != ["init"] || !told.contains("--update"), "\(told)", sourceLocation: sourceLocation)
            for guess in never {
                #expect(!told.contains(guess), "\(arguments): \(told)", sourceLocation: sourceLocation)
            }
        }
    }

    /// What doctor knows of each assumption of the first node: its verdict and its reason.
    private static func findings(of urls: [String]) async throws -> [(verdict: String, reason: String)] {
        let doctor = try await Executable.run(["doctor", "--json"], redis: urls)
        let nodes = try #require(try doctor.object()["nodes"] as? [[String: Any]])
        let findings = try #require(nodes[0]["assumptions"] as? [[String: Any]])
        return findings.map { ($0["verdict"] as? String ?? "", $0["reason"] as? String ?? "") }
    }

    @Test
    func aSentinelIsNamedAndAskedNothingElse() async throws {
        // The program is a Sentinel if it is called so.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("redlock-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let program = folder.appendingPathComponent("redis-sentinel").path
        let path = try #require(Self.pathOfRedisServer, "redis-server is not on the path")
        try FileManager.default.createSymbolicLink(atPath: program, withDestinationPath: path)
        var options = LocalRedisOptions()
        options.executable = program
        try await withLocalRedis(nodes: 3, options: options) { redis in
            try await Self.expectNamed("it is a Sentinel", "give the Redis servers themselves", by: redis.urls)
            let findings = try await Self.findings(of: redis.urls)
            #expect(findings.filter { $0.verdict == "fail" }.map(\.reason) == ["it is a Sentinel, which keeps no keys"])
            #expect(findings.allSatisfy { $0.verdict == "fail" || $0.reason.hasPrefix("not asked: ") }, "\(findings)")
        }
    }

    @Test
    func nodesOfAClusterAreNamed() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["cluster-enabled yes", "cluster-node-timeout 2000"]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let remedy = "give independent Redis servers as nodes"
            // Of a cluster that is none yet, each key is refused: CLUSTERDOWN.
            try await Self.expectNamed("it is a node of a Redis cluster", remedy, by: redis.urls)
            try await Self.makeCluster(of: redis)
            // Two of them refuse each key now, and name the third: MOVED.
            try await Self.expectNamed("it is a node of a Redis cluster", remedy, by: redis.urls)
            let compatible = try await Executable.run(
                ["run", "-n", "--compatible", "a", "--", "true"],
                redis: redis.urls
            )
            #expect(compatible.exitCode == 69, "\(compatible.errors)")
            #expect(compatible.errors.contains(remedy) && compatible.errors.contains("MOVED"), "\(compatible.errors)")
        }
    }

    /// One that has all keys refuses none; it is named all the same, and no list is called empty that was not read.
    @Test
    func theOnlyNodeOfAClusterIsNamed() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["cluster-enabled yes"]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            _ = try await redis[0].send("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            try await eventually { try await redis[0].send("CLUSTER", "INFO")?.contains("cluster_state:ok") == true }
            let remedy = "give independent Redis servers as nodes"
            try await Self.expectNamed("it is a node of a Redis cluster", remedy, by: redis.urls)
        }
    }

    /// Without INFO, the errors of the server tell.
    @Test
    func nodesOfAClusterAreNamedToAUserWithoutRights() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = [
            "cluster-enabled yes", "user default on nopass ~* &* +@all", "user locker on >secret ~* &* +@all -info",
        ]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            let url = "redis://locker:secret@127.0.0.1:\(redis.servers[0].port)"
            let result = try await Executable.run(["run", "-n", "a", "--", "true"], redis: [url])
            #expect(result.errors.contains("it is a node of a Redis cluster"), "\(result.errors)")
        }
    }

    /// What is not known is explained by what the server said.
    @Test
    func aServerWithoutACommandIsToldByItsAnswer() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["rename-command CONFIG \"\""]
        try await withEnrolledRedis(nodes: 1, options: options) { redis in
            let doctor = try await Executable.run(["doctor"], redis: redis.urls)
            #expect(doctor.exitCode == 0, "\(doctor.errors)")
            #expect(doctor.output.contains("it refused CONFIG GET: ERR unknown command"), "\(doctor.output)")
            #expect(!doctor.output.contains("grant +"), "\(doctor.output)")
        }
    }

    /// A write that was refused has the remedy that fits its reason.
    @Test
    func aServerThatTakesNoWritesIsToldWhatItLacks() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            _ = try await redis[0].send("CONFIG", "SET", "maxmemory", "1")
            let full = try await Executable.run(["doctor"], redis: redis.urls)
            #expect(full.output.contains("OOM") && full.output.contains("-> give it more memory"), "\(full.output)")
            _ = try await redis[0].send("CONFIG", "SET", "maxmemory", "0")
            _ = try await redis[0].send("CONFIG", "SET", "min-replicas-to-write", "1")
            let lonely = try await Executable.run(["doctor"], redis: redis.urls)
            #expect(lonely.output.contains("-> set min-replicas-to-write 0"), "\(lonely.output)")
            #expect(!lonely.output.contains("memory"), "\(lonely.output)")
        }
    }

    private static var pathOfRedisServer: String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/redis-server" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func makeCluster(of redis: LocalRedisSet) async throws {
        let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")]
        for (server, range) in zip(redis.servers, ranges) {
            _ = try await server.send("CLUSTER", "ADDSLOTSRANGE", range.0, range.1)
            _ = try await server.send("CLUSTER", "MEET", "127.0.0.1", "\(redis.servers[0].port)")
        }
        try await eventually("the cluster is one") {
            for server in redis.servers {
                let state = try await server.send("CLUSTER", "INFO") ?? ""
                guard state.contains("cluster_state:ok"), state.contains("cluster_known_nodes:3") else { return false }
            }
            return true
        }
    }
}

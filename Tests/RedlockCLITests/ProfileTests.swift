// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

/// Fencing tokens, and the compatible profile, which has none.
@Suite(.timeLimit(.minutes(2)))
struct ProfileTests {
    private static let printToken = "echo \"token ${REDLOCK_FENCING_TOKEN-none}\""

    private static func token(_ result: Executable.Result) throws -> Int {
        let text = result.output.split(whereSeparator: \.isWhitespace).last
        return try #require(text.flatMap { Int($0) }, "\(result)")
    }

    @Test
    func tokensGrowFromRunToRun() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            var tokens: [Int] = []
            for _ in 0..<3 {
                let run = try await Executable.run(
                    ["run", "-v", "a", "-c", Self.printToken],
                    redis: redis.urls,
                    environment: ["REDLOCK_FENCING_TOKEN": "1"]
                )
                tokens.append(try Self.token(run))
                #expect(run.errors.contains("fencing token \(tokens.last ?? 0)\n"), "\(run.errors)")
            }
            #expect(tokens == Array(Set(tokens)).sorted())
            let json = try await Executable.run(["run", "--json", "a", "-c", Self.printToken], redis: redis.urls)
            #expect(try json.event("acquired")?["fencingToken"] as? Int == Self.token(json))
            let acquire = try await Executable.run(["acquire", "--json", "a"], redis: redis.urls)
            let last = try #require(try acquire.object()["fencingToken"] as? Int)
            #expect(try last > Self.token(json))
            let status = try await Executable.run(["status", "--json", "a"], redis: redis.urls)
            #expect(try status.object()["lastFencingToken"] as? Int == last + 15)
        }
    }

    @Test
    func aFenceIsRaisedAndNeverLowered() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let far = 5_000_000_000_000_000
            let raised = try await Executable.run(["fence", "a", "--at-least", "\(far)"], redis: redis.urls)
            #expect(raised.exitCode == 0 && raised.output == "\(far)\n" && raised.errors.isEmpty, "\(raised)")
            let next = try Self.token(try await Executable.run(["run", "a", "-c", Self.printToken], redis: redis.urls))
            #expect(next > far)
            let json = try await Executable.run(["fence", "--json", "a", "--at-least", "7"], redis: redis.urls)
            let object = try json.object()
            #expect(object["name"] as? String == "a" && (object["fencingToken"] as? Int ?? 0) >= next)
            #expect(Set(object.keys) == ["name", "fencingToken"])
        }
    }

    @Test
    func theCompatibleProfileUsesPlainKeysAndHasNoToken() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let environment = ["REDLOCK_FENCING_TOKEN": "1"]
            let run = try await Executable.run(
                ["run", "-v", "--compatible", "a", "-c", Self.printToken],
                redis: redis.urls,
                environment: environment
            )
            #expect(run.exitCode == 0 && run.output == "token none\n", "\(run)")
            #expect(run.errors.contains("acquired") && !run.errors.contains("token"), "\(run.errors)")
            let json = try await Executable.run(
                ["run", "--json", "--compatible", "a", "--", "true"],
                redis: redis.urls
            )
            #expect(json.event("acquired")?["fencingToken"] is NSNull, "\(json.errors)")
            let acquire = try await Executable.run(["acquire", "--compatible", "--json", "a"], redis: redis.urls)
            let object = try acquire.object()
            #expect(object["fencingToken"] is NSNull)
            #expect(try await redis[0].send("GET", "a") == object["token"] as? String)
            let status = try await Executable.run(["status", "--compatible", "--json", "a"], redis: redis.urls).object()
            let nodes = try #require(status["nodes"] as? [[String: Any]])
            #expect(status["held"] as? Bool == true && status["lastFencingToken"] is NSNull)
            #expect(nodes.allSatisfy { $0["voteCounts"] is NSNull && $0["voteReason"] is NSNull })
            let token = try #require(object["token"] as? String)
            for command in [["extend"], ["release"]] {
                let result = try await Executable.run(command + ["--compatible", "a"], redis: redis.urls, input: token)
                #expect(result.exitCode == 0, "\(result.errors)")
            }
            #expect(try await redis[0].send("DBSIZE") == "0", "nobody left a record or a counter")
        }
    }

    @Test
    func theConfigurationFileChoosesAndOptionsWin() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let path = NSTemporaryDirectory() + "redlock-\(UUID().uuidString).json"
            defer { try? FileManager.default.removeItem(atPath: path) }
            try Data(#"{"compatible": true}"#.utf8).write(to: URL(fileURLWithPath: path))
            let command = ["run", "--config", path, "a", "-c", Self.printToken]
            #expect(try await Executable.run(command, redis: redis.urls).output == "token none\n")
            let standard = try await Executable.run(
                ["run", "--no-compatible"] + command.dropFirst(),
                redis: redis.urls
            )
            #expect(try Self.token(standard) > 0)
            let doctor = try await Executable.run(["doctor", "--config", path], redis: redis.urls)
            #expect(doctor.exitCode == 64 && doctor.errors.contains("--compatible"), "\(doctor.errors)")
        }
    }

    @Test
    func prefixesAreSetsOfTheirOwn() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let other = ["--prefix", "other:"]
            #expect(try await Executable.run(["init"] + other, redis: redis.urls).exitCode == 0)
            for arguments in [[], other] {
                let acquire = try await Executable.run(["acquire"] + arguments + ["a"], redis: redis.urls)
                #expect(acquire.exitCode == 0, "\(acquire.errors)")
            }
            for key in ["redlock:lock:a", "other:lock:a"] { #expect(try await redis[0].send("EXISTS", key) == "1") }
        }
    }

    @Test
    func aHigherQuorumIsAsked() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            await redis[2].kill()
            let majority = try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls)
            #expect(majority.exitCode == 0)
            for command in [["run", "-n", "--quorum", "3", "a", "--", "true"], ["status", "--quorum", "3", "a"]] {
                #expect(try await Executable.run(command, redis: redis.urls).exitCode == 69)
            }
        }
    }

    @Test
    func aWiderDriftLeavesLessValidity() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            var validities: [Int] = []
            for (name, drift) in ["standard", "strict", "40%"].enumerated() {
                let result = try await Executable.run(
                    ["acquire", "--json", "--ttl", "10s", "--drift", drift, "\(name)"],
                    redis: redis.urls
                )
                validities.append(try #require(try result.object()["validityMilliseconds"] as? Int, "\(result.errors)"))
            }
            #expect((9_000...9_898).contains(validities[0]), "\(validities)")
            #expect((7_500...8_398).contains(validities[1]), "\(validities)")
            #expect((5_000...5_998).contains(validities[2]), "\(validities)")
        }
    }
}

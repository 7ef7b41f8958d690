// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

@testable import Redlock
@testable import RedlockCLI

/// `redlock doctor`.
@Suite(.timeLimit(.minutes(2)))
struct DoctorTests {
    @Test
    func aGoodSetPassesInFew() async throws {
        try await withEnrolledRedis(nodes: 3, options: LocalRedisOptions(persistence: .appendOnlyAlways)) { redis in
            let result = try await Executable.run(["doctor"], redis: redis.urls)
            #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.output)\(result.errors)")
            let lines = result.output.split(separator: "\n")
            let information = try #require(try await redis[0].send("INFO", "server"))
            let version = try #require(information.firstMatch(of: /redis_version:(\S+)/)).1
            for (index, server) in redis.servers.enumerated() {
                #expect(lines[index].hasPrefix("\(index + 1)  127.0.0.1:\(server.port)  "), "\(lines[index])")
                #expect(lines[index].contains(version) && lines[index].hasSuffix("  vote counts"), "\(lines[index])")
            }
            let summary = "3 of 3 votes count; Q = 2; 1 node may fail; 0 nodes may forget what they granted, unseen"
            #expect(lines.last.map(String.init) == summary)
            #expect(!result.output.contains("FAIL") && !result.output.contains("\u{1B}"), "\(result.output)")
            let strong = try await Executable.run(["doctor", "--quorum", "3"], redis: redis.urls)
            let strongSummary = "Q = 3; 0 nodes may fail; 2 nodes may forget what they granted, unseen\n"
            #expect(strong.exitCode == 0 && strong.output.hasSuffix(strongSummary), "\(strong.output)")
            let verbose = try await Executable.run(["doctor", "-v"], redis: redis.urls)
            #expect(verbose.output.contains("appendfsync is always"), "\(verbose.output)")
        }
    }

    @Test
    func whatIsWrongIsNamedWithItsRemedy() async throws {
        try await withEnrolledRedis(nodes: 5) { redis in
            await redis[1].kill()
            try await redis[2].restart(.emptied)
            _ = try await redis[3].send("CONFIG", "SET", "maxmemory", "100mb")
            _ = try await redis[3].send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            let result = try await Executable.run(["doctor"], redis: redis.urls)
            #expect(result.exitCode == 69)
            let lines = result.output.split(separator: "\n")
            #expect(lines[0].hasSuffix("vote counts") && lines[4].hasSuffix("vote counts"))
            #expect(lines[1].contains("VOTE DOES NOT COUNT: connection refused"), "\(lines[1])")
            #expect(lines[2].contains("VOTE DOES NOT COUNT: it has no record, as it is new"), "\(lines[2])")
            #expect(lines[3].contains("VOTE DOES NOT COUNT: it evicts keys"), "\(lines[3])")
            #expect(result.output.contains("FAIL     4: maxmemory-policy is allkeys-lru\n"), "\(result.output)")
            #expect(result.output.contains("-> set maxmemory-policy noeviction\n"))
            #expect(result.output.contains("pass     1, 3, 5\n"))
            #expect(result.output.contains("\n2 of 5 votes count; Q = 3;"))
            #expect(result.errorLines.count == 1)
            for part in [
                "NO LOCK IS GRANTED: 2 of 5",
                "127.0.0.1:\(redis[1].port) does not answer (connection refused): start it",
                "the first client that asks for a lock enrols it, and its vote counts 32 s later",
            ] {
                #expect(result.errors.contains(part), "\(result.errors)")
            }
        }
    }

    @Test
    func jsonIsOneObjectWithEveryFinding() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            await redis[0].kill()
            let result = try await Executable.run(["doctor", "--json"], redis: redis.urls)
            #expect(result.exitCode == 69)
            #expect(result.event("error")?["code"] as? String == "votesMissing", "\(result.errors)")
            let object = try result.object()
            let numbers = ["quorum", "nodesThatMayFail", "nodesThatMayForget"]
            #expect(numbers.map { object[$0] as? Int } == [2, 1, 0])
            #expect(object["allVotesCount"] as? Bool == false && object["hasQuorum"] as? Bool == true)
            let nodes = try #require(object["nodes"] as? [[String: Any]])
            #expect(nodes.map { $0["voteCounts"] as? Bool } == [false, true, true])
            #expect(nodes[0]["reason"] as? String == "connection refused")
            #expect((nodes[0]["assumptions"] as? [Any])?.isEmpty == true)
            for node in nodes {
                #expect(
                    Set(node.keys) == [
                        "node", "server", "voteCounts", "reason", "quarantineMilliseconds", "assumptions",
                    ]
                )
            }
            let findings = try #require(nodes[1]["assumptions"] as? [[String: Any]])
            let client = try #require(object["client"] as? [[String: Any]])
            let names = (findings + client).compactMap { $0["assumption"] as? String }
            #expect(names == Assumption.allCases.map(\.rawValue))
            for finding in findings + client {
                #expect(Set(finding.keys) == ["assumption", "verdict", "reason", "remedy"])
            }
            #expect(findings[1]["verdict"] as? String == "fail" && findings[1]["remedy"] is String)
        }
    }

    @Test
    func passwordsAreShownNowhere() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["requirepass hunter2"]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            for (password, code) in [("swordfish", 69), ("hunter2", 0)] {
                let urls = redis.servers.map { "redis://:\(password)@127.0.0.1:\($0.port)" }
                for command in [["init"], ["doctor"], ["doctor", "-v", "--json"], ["init", "--update", "--json"]] {
                    let result = try await Executable.run(command, redis: urls)
                    #expect(Int(result.exitCode) == code, "\(command): \(result.errors)")
                    for secret in ["swordfish", "hunter2"] {
                        #expect(!result.output.contains(secret) && !result.errors.contains(secret), "\(command)")
                    }
                }
            }
        }
    }

    @Test
    func withoutServersAHintSaysHowToGetSome() async throws {
        // Nobody listens on the default port in most places; where somebody does, there is nothing to see.
        let result = try await Executable.run(["doctor"])
        guard result.errors.contains("refused") || result.output.contains("refused") else { return }
        #expect(result.exitCode == 69 && result.errors.contains("redlock local up"), "\(result.errors)")
    }
}

@Suite
struct DiagnosisTextTests {
    private static func diagnosis(_ nodes: [Diagnosis.Node]) -> Diagnosis {
        Diagnosis(nodes: nodes, client: [], quorum: 2, nodesThatMayFail: 1, nodesThatMayForget: 0)
    }

    private static func node(
        _ name: String,
        server: String? = nil,
        reason: String?,
        quarantine: Duration? = nil
    ) -> Diagnosis.Node {
        let finding = Diagnosis.Finding(
            assumption: .noEviction,
            verdict: reason == nil ? .pass : .fail,
            reason: reason ?? "fine",
            remedy: nil
        )
        return Diagnosis.Node(
            name: name,
            server: server,
            hasVote: reason == nil,
            reason: reason,
            quarantineRemaining: quarantine,
            findings: [finding]
        )
    }

    private static func text(_ nodes: [Diagnosis.Node], isColoured: Bool = false) -> DiagnosisText {
        DiagnosisText(diagnosis: diagnosis(nodes), style: TextStyle(isColoured: isColoured), isVerbose: false)
    }

    @Test
    func coloursStandWhereTheyAreWanted() {
        let nodes = [Self.node("a", reason: nil), Self.node("b", reason: "it is gone")]
        #expect(!Self.text(nodes).lines.joined().contains("\u{1B}"))
        let lines = Self.text(nodes, isColoured: true).lines
        #expect(lines[0] == "1  a  \u{1B}[32mvote counts\u{1B}[0m")
        #expect(lines[1] == "2  b  \u{1B}[31mVOTE DOES NOT COUNT\u{1B}[0m: it is gone")
    }

    @Test
    func whatServersCallThemselvesStandsInAColumn() {
        let nodes = [
            Self.node("a", server: "valkey 8.0.1 (redis_version 7.2.4)", reason: nil),
            Self.node("b", server: "Redis 7.0.15", reason: nil), Self.node("c", reason: "it is gone"),
        ]
        let lines = Self.text(nodes).lines
        #expect(lines[0] == "1  a  valkey 8.0.1 (redis_version 7.2.4)  vote counts")
        #expect(lines[1] == "2  b  Redis 7.0.15                        vote counts")
        #expect(lines[2] == "3  c                                      VOTE DOES NOT COUNT: it is gone")
    }

    @Test
    func foreignTextCannotReachTheTerminal() {
        let nodes = [Self.node("a\u{1B}[2J", server: "\u{1B}[3m", reason: "\u{1B}[1mbold\nnext")]
        for line in Self.text(nodes).lines {
            #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(line)")
        }
    }

    @Test
    func theAdviceSaysWhatToDo() {
        #expect(Self.text([Self.node("a", reason: nil)]).advice == nil)
        let nodes = [
            Self.node("a", reason: nil), Self.node("b", reason: nil),
            Self.node("c", reason: "in quarantine", quarantine: .milliseconds(2_100)),
        ]
        #expect(
            Self.text(nodes).advice
                == "locks are granted, but 1 of 3 votes does not count; wait 3s for c: then its vote counts by itself"
        )
        let refused = [Self.node("a", reason: "has no vote: it is a replica; give it a master"), nodes[2], nodes[2]]
        #expect(
            Self.text(refused).advice
                == "NO LOCK IS GRANTED: 0 of 3 votes count, 2 are needed; a: it is a replica; give it a master;"
                + " wait 3s for c, c: then their votes count by themselves"
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

@testable import Redlock
@testable import RedlockCLI

/// `redlock watch`.
@Suite(.timeLimit(.minutes(2)))
struct WatchTests {
    private static func watch(_ arguments: [String], _ redis: LocalRedisSet) throws -> Executable.Running {
        try Executable.Running(
            ["watch", "--interval", "100ms"] + arguments,
            environment: Executable.environment(redis.urls)
        )
    }

    private static func events(_ output: String) throws -> [[String: Any]] {
        try output.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
    }

    @Test
    func tellsPeopleWhatHappensUntilItIsInterrupted() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            _ = try await Executable.run(["acquire", "--label", "early", "jobs/a"], redis: redis.urls)
            let watching = try Self.watch(["jobs/*"], redis)
            try await watching.waitFor("jobs/a: held by early")
            _ = try await Executable.run(["acquire", "other"], redis: redis.urls)
            let waiter = try Executable.Running(
                ["run", "jobs/a", "--", "true"],
                environment: Executable.environment(redis.urls)
            )
            try await watching.waitFor("jobs/a: 1 client began to wait; 1 client waits\n")
            waiter.send(SIGTERM)
            try await watching.waitFor("jobs/a: 1 client waits no more; nobody waits\n")
            // By hand, so that no look finds it free in between.
            for server in redis.servers {
                let owner = String(repeating: "0", count: 32) + ":late"
                _ = try await server.send("SET", "redlock:lock:jobs/a", owner, "PX", "30000")
            }
            try await watching.waitFor("jobs/a: changed hands from early, now held by late")
            for server in redis.servers { _ = try await server.send("DEL", "redlock:lock:jobs/a") }
            try await watching.waitFor("jobs/a: released by late")
            let short = ["acquire", "--ttl", "1s", "--note", "n\u{E9}w", "jobs/short"]
            _ = try await Executable.run(short, redis: redis.urls)
            try await watching.waitFor("jobs/short: expired, last held by")
            watching.send(SIGINT)
            let result = try await watching.result()
            #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.errors)")
            #expect(!result.output.contains("other") && !result.output.contains("\u{1B}"), "\(result.output)")
            #expect(result.output.contains("\"n\u{E9}w\"; fencing tokens reserved up to "), "\(result.output)")
            for line in result.output.split(separator: "\n") {
                #expect(line.prefixMatch(of: /\d\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d  jobs\//) != nil, "\(line)")
            }
        }
    }

    @Test
    func tellsProgramsOneObjectPerLine() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let watching = try Self.watch(["--json", "a"], redis)
            // Nothing is held, so that nothing says that it watches by now.
            try await Task.sleep(for: .seconds(1))
            let acquire = ["acquire", "--label", "me", "--note", "n", "a"]
            let token = try await Executable.run(acquire, redis: redis.urls).output
            try await watching.waitFor("acquired")
            _ = try await Executable.run(["release", "a"], redis: redis.urls, input: token)
            try await watching.waitFor("released")
            watching.send(SIGTERM)
            let result = try await watching.result()
            #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.errors)")
            let events = try Self.events(result.output)
            #expect(events.map { $0["event"] as? String } == ["acquired", "released"])
            let common = HolderDetailsTests.fields.union(["event", "timeMilliseconds", "resource"])
            #expect(Set(events[0].keys) == common.union(["lastFencingToken", "waitingClients"]))
            #expect(Set(events[1].keys) == common)
            for event in events {
                #expect(event["resource"] as? String == "a" && event["owner"] as? String == "me")
                #expect(event["note"] as? String == "n" && event["process"] is Int)
                let since = try #require(event["sinceMilliseconds"] as? Int)
                #expect(try #require(event["timeMilliseconds"] as? Int) >= since)
            }
            #expect(!result.output.contains(token.prefix(32)))
        }
    }

    @Test
    func goesOnThroughAnOutage() async throws {
        let options = LocalRedisOptions(persistence: .appendOnlyAlways)
        try await withEnrolledRedis(nodes: 3, options: options) { redis in
            let watching = try Self.watch(["--json"], redis)
            await redis[0].kill()
            try await watching.waitFor("nodeUnreachable")
            await redis[1].kill()
            try await watching.waitFor("quorumLost")
            try await Task.sleep(for: .milliseconds(500))
            try await redis[0].restart()
            try await watching.waitFor("quorumRegained")
            _ = try await Executable.run(["acquire", "a"], redis: redis.urls)
            try await watching.waitFor("\"acquired\"")
            watching.send(SIGTERM)
            let result = try await watching.result()
            #expect(result.exitCode == 0)
            let events = try Self.events(result.output)
            let outages = events.filter { $0["event"] as? String == "quorumLost" }
            #expect(outages.count == 1 && (outages.first?["nodes"] as? [Any])?.count == 3, "\(result.output)")
            let gone = try #require(events.first { $0["event"] as? String == "nodeUnreachable" })
            #expect(gone["node"] as? String == "127.0.0.1:\(redis[0].port)" && gone["reason"] is String)
        }
    }

    @Test
    func aNodeWithoutAVoteIsToldAtFirst() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            try await redis[2].restart(.emptied)
            let watching = try Self.watch([], redis)
            try await watching.waitFor("node 127.0.0.1:\(redis[2].port): has no vote: it has no record")
            watching.send(SIGTERM)
            #expect(try await watching.result().exitCode == 0)
        }
    }

    /// Also where nothing happens any more that would be written.
    @Test
    func endsQuietlyWhenNobodyReads() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            _ = try await Executable.run(["acquire", "a"], redis: redis.urls)
            let line = "{ \(Executable.path) watch; echo code $? >&2; } | head -n 1"
            let result = try await Executable.run(["run", "outer", "-c", line], redis: redis.urls)
            #expect(
                result.output.contains(" held by ") && result.errors == "code 0\n",
                "\(result.output)\(result.errors)"
            )
        }
    }

    @Test
    func whatCannotBeWrittenIsAnError() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            _ = try await Executable.run(["acquire", "a"], redis: redis.urls)
            let line = "\(Executable.path) watch a > /dev/full"
            let result = try await Executable.run(["run", "outer", "-c", line], redis: redis.urls)
            #expect(result.exitCode == 71 && result.errorLines.count == 1, "\(result.errors)")
        }
    }

    @Test
    func helpSaysWhatIsNotSeen() async throws {
        let help = try await Executable.run(["watch", "--help"]).output
        let words = help.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(words.contains("what begins and ends between two looks is not seen"), "\(help)")
    }

    @Test
    func everyChangeIsOneLineAndOneObject() throws {
        let evil = "a\u{1B}[2J\r\nb"
        let holder = LockStatus.Holder(label: evil, remaining: nil, host: evil, process: 7, note: evil)
        let status = LockStatus(
            resource: evil,
            slot: nil,
            nodes: [],
            holder: holder,
            sharers: [],
            lastFencingToken: FencingToken(rawValue: 3),
            holderFencingToken: FencingToken(rawValue: 3),
            waitingClients: 2,
            ownerTokens: [],
            sharerTokens: [],
            ownerMarks: [],
            isQuorumReachable: true
        )
        let changes: [(LockChange, String)] = [
            (.held(status), "held"), (.acquired(status), "acquired"),
            (.changedHands(status, from: holder), "changedHands"),
            (.released(resource: evil, by: holder), "released"), (.expired(resource: evil, by: holder), "expired"),
            (.lost(status, by: holder), "lost"), (.waitersJoined(status, count: 2), "waitersJoined"),
            (.waitersLeft(status, count: 1), "waitersLeft"),
            (.sharersJoined(status, count: 2), "sharersJoined"), (.sharersLeft(status, count: 1), "sharersLeft"),
            (.nodeUnreachable(node: evil, reason: evil), "nodeUnreachable"),
            (.nodeLostVote(node: evil, reason: evil), "nodeLostVote"),
            (.nodeRegainedVote(node: evil), "nodeRegainedVote"),
            (.quorumLost(nodes: [RedlockError.NodeReport(node: evil, outcome: evil)]), "quorumLost"),
            (.quorumRegained, "quorumRegained"),
        ]
        for (change, event) in changes {
            let text = ChangeText(change, time: Date(timeIntervalSince1970: 1.5), style: TextStyle(isColoured: false))
            #expect(!text.line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(text.line)")
            let json = text.json.text
            #expect(!json.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(json)")
            let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
            #expect(object["event"] as? String == event && object["timeMilliseconds"] as? Int == 1_500)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// `redlock init`, and what a person sees of nodes that were not enrolled.
@Suite(.timeLimit(.minutes(2)))
struct EnrolmentTests {
    @Test
    func aNewSetVotesAtOnceAndIsEnrolledOnce() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let first = try await Executable.run(["init"], redis: redis.urls)
            #expect(first.exitCode == 0 && first.errors.isEmpty, "\(first.errors)")
            #expect(first.output == "enrolled 3 servers; votes count from now on\n")
            #expect(try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls).exitCode == 0)
            let second = try await Executable.run(["init"], redis: redis.urls)
            #expect(second.exitCode == 1 && second.output.isEmpty)
            #expect(second.errorLines.count == 4, "\(second.errors)")
            for (line, server) in zip(second.errorLines.dropFirst(), redis.servers) {
                #expect(line.hasPrefix("  127.0.0.1:\(server.port): it has a record already"), "\(line)")
            }
            let json = try await Executable.run(["init", "--json"], redis: redis.urls)
            let error = try #require(json.event("error"))
            #expect(error["code"] as? String == "enrolmentRefused" && error["exitCode"] as? Int == 1)
            let nodes = try #require(error["nodes"] as? [[String: Any]])
            #expect(nodes.count == 3 && nodes.allSatisfy { Set($0.keys) == ["node", "outcome"] })
        }
    }

    /// A client that was faster than the operator got no lock, so that it is still true that none was granted.
    @Test
    func aClientThatWasFasterDoesNotStandInTheWay() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let early = try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls)
            #expect(early.exitCode == 69, "\(early.errors)")
            try await eventually("the servers are enrolled") {
                for server in redis.servers where try await server.send("GET", "redlock:node") == nil { return false }
                return true
            }
            // What a grant leaves behind stands in the way, on whichever server it is.
            _ = try await redis[2].send("SET", "redlock:fence:a", "7", "PX", "60000")
            let refused = try await Executable.run(["init"], redis: redis.urls)
            #expect(refused.exitCode == 1, "\(refused)")
            #expect(refused.errors.contains(":\(redis[2].port): it has granted locks, for example redlock:fence:a"))
            #expect(try await redis[0].send("GET", "redlock:node")?.contains("reason=no_record") == true)
            _ = try await redis[2].send("DEL", "redlock:fence:a")
            let enrolment = try await Executable.run(["init", "--max-ttl", "40s"], redis: redis.urls)
            #expect(enrolment.exitCode == 0, "\(enrolment.errors)")
            #expect(try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    /// A server that forgot may have granted a lock under its former record, as the others had a vote by then.
    @Test
    func aServerThatForgotAfterOthersHadAVoteStandsInTheWay() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let early = ["run", "-w", "20", "--max-ttl", "1s", "a", "--", "true"]
            #expect(try await Executable.run(early, redis: redis.urls).exitCode == 0)
            for server in redis.servers { _ = try await server.send("DEL", "redlock:fence:a") }
            _ = try await redis[1].send("DEL", "redlock:node")
            let refused = try await Executable.run(["init", "--max-ttl", "1s"], redis: redis.urls)
            #expect(refused.exitCode == 1, "\(refused)")
            #expect(refused.errors.contains(":\(redis[0].port): it has a record already"), "\(refused.errors)")
            #expect(refused.errors.contains("it had a vote before the others were enrolled"), "\(refused.errors)")
            #expect(try await redis[1].send("GET", "redlock:node") == nil)
        }
    }

    @Test
    func heldLocksAndDeadServersStandAgainstIt() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            _ = try await redis[1].send("SET", "redlock:lock:a", "somebody", "PX", "60000")
            let held = try await Executable.run(["init"], redis: redis.urls)
            #expect(held.exitCode == 1)
            #expect(held.errors.contains("127.0.0.1:\(redis[1].port): it holds locks"), "\(held.errors)")
            _ = try await redis[1].send("DEL", "redlock:lock:a")
            await redis[2].kill()
            for command in [["init"], ["init", "--update"]] {
                let dead = try await Executable.run(command, redis: redis.urls)
                #expect(dead.exitCode == 69 && dead.errorLines.count == 4, "\(dead.errors)")
                #expect(dead.errors.contains("  127.0.0.1:\(redis[2].port): connection refused"), "\(dead.errors)")
            }
            try await redis[2].start()
            #expect(try await Executable.run(["init"], redis: redis.urls).exitCode == 0, "nothing was changed before")
        }
    }

    @Test
    func anUpdateTellsTheQuarantine() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let enrolment = try await Executable.run(["init", "--max-ttl", "1s", "--json"], redis: redis.urls)
            let object = try enrolment.object()
            #expect(object["nodeCount"] as? Int == 1 && object["quarantineMilliseconds"] as? Int == 0)
            let long = ["run", "-n", "--max-ttl", "2s", "a", "--", "true"]
            let refused = try await Executable.run(long, redis: redis.urls)
            #expect(refused.exitCode == 69 && refused.errors.contains("redlock init --update"), "\(refused.errors)")
            let update = try await Executable.run(["init", "--update", "--max-ttl", "2s"], redis: redis.urls)
            #expect(update.output == "enrolled 1 server anew; votes count again in 16s\n", "\(update)")
            let again = try await Executable.run(["init", "--update", "--max-ttl", "2s", "--json"], redis: redis.urls)
            let quarantine = try #require(try again.object()["quarantineMilliseconds"] as? Int)
            #expect((12_000...15_022).contains(quarantine), "others may take 12 s to notice")
            #expect(try await Executable.run(long, redis: redis.urls).exitCode == 69)
            let waiting = ["run", "-w", "25", "--max-ttl", "2s", "a", "--", "true"]
            #expect(try await Executable.run(waiting, redis: redis.urls).exitCode == 0)
        }
    }

    @Test
    func whoWaitsForAQuarantineSeesIt() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let json = try Executable.Running(
                ["run", "--json", "--max-ttl", "1s", "a", "--", "true"],
                environment: environment
            )
            let person = try await Executable.run(
                ["run", "-v", "--max-ttl", "1s", "b", "--", "true"],
                redis: redis.urls
            )
            #expect(person.exitCode == 0)
            let notice = "waiting for \"b\": only 0 of 3 votes count, 2 are needed (127.0.0.1:\(redis[0].port), "
            #expect(person.errors.contains(notice), "\(person.errors)")
            #expect(person.errors.contains("in quarantine for another"))
            let events = try await json.result()
            let waiting = try #require(events.event("waiting"), "\(events.errors)")
            #expect(waiting["holder"] is NSNull)
            let nodes = try #require(waiting["nodesWithoutVote"] as? [[String: Any]])
            #expect(nodes.count == 3)
            for node in nodes {
                #expect(Set(node.keys) == ["node", "reason", "quarantineMilliseconds"])
                #expect((1...2_100).contains(node["quarantineMilliseconds"] as? Int ?? 0))
            }
        }
    }

    @Test
    func whoDoesNotWaitIsToldWhy() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let run = try await Executable.run(["run", "-n", "a", "--", "true"], redis: redis.urls)
            #expect(run.exitCode == 69 && run.errorLines.count == 1, "\(run.errors)")
            #expect(run.errors.contains("quarantine") || run.errors.contains("about to be enrolled"))
            let status = try await Executable.run(["status", "a"], redis: redis.urls)
            #expect(status.exitCode == 69)
            #expect(status.output.hasPrefix("a: unknown, too few votes count\n"), "\(status.output)")
            #expect(status.output.contains("free; in quarantine for another"), "\(status.output)")
            #expect(status.errors.contains("0 of 3 votes count, 2 are needed"), "\(status.errors)")
            let fence = try await Executable.run(["fence", "a", "--at-least", "1"], redis: redis.urls)
            #expect(fence.exitCode == 69 && fence.output.isEmpty)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

/// `redlock` with locks that are shared, several at once, had in turn, or slots.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct KindsOfLockTests {
    @Test
    func readersRunTogetherAndWritersAlone() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let readers = try (0..<2).map { _ in
                try Executable.Running(
                    ["run", "-s", "data", "-c", "echo in; exec sleep 300"],
                    environment: environment
                )
            }
            for reader in readers { try await reader.waitFor("in") }
            let writer = ["run", "-n", "-E", "9", "data", "--", "true"]
            let refused = try await Executable.run(writer, redis: redis.urls)
            #expect(refused.exitCode == 9)
            #expect(refused.errorLines.count == 1, "\(refused.errors)")
            let status = try await Executable.run(["status", "data"], redis: redis.urls)
            #expect(status.exitCode == 0)
            #expect(status.output.hasPrefix("data: shared by "), "\(status.output)")
            let object = try await Executable.run(["status", "--json", "data"], redis: redis.urls).object()
            #expect((object["sharers"] as? [[String: Any]])?.count == 2)
            #expect(object["held"] as? Bool == true && object["owner"] is NSNull)
            let list = try await Executable.run(["list"], redis: redis.urls)
            #expect(list.output.contains("data") && list.output.contains("and 1 more"), "\(list.output)")
            let variables = try await Executable.run(["run", "-s", "data", "--", "env"], redis: redis.urls)
            #expect(variables.output.contains("REDLOCK_NAME=data\n"))
            #expect(!variables.output.contains("REDLOCK_FENCING_TOKEN"))
            for reader in readers { reader.send(SIGTERM) }
            for reader in readers { _ = try await reader.result() }
            #expect(
                try await Executable.run(["run", "-n", "-x", "data", "--", "true"], redis: redis.urls).exitCode == 0
            )
        }
    }

    @Test
    func sharesAreTakenExtendedAndReleased() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let taken = try await Executable.run(["acquire", "-s", "--json", "data"], redis: redis.urls).object()
            #expect(taken["fencingToken"] is NSNull)
            let token = try #require(taken["token"] as? String)
            #expect(try await Executable.run(["acquire", "-n", "data"], redis: redis.urls).exitCode == 1)
            let own = ["REDLOCK_TOKEN": token]
            for (arguments, code) in [
                (["extend", "data"], 1), (["extend", "-s", "data"], 0), (["release", "data"], 1),
                (["release", "-s", "data"], 0), (["release", "-s", "data"], 1),
            ] as [([String], Int32)] {
                let result = try await Executable.run(arguments, redis: redis.urls, environment: own)
                #expect(result.exitCode == code, "\(arguments): \(result.errors)")
            }
            _ = try await Executable.run(["acquire", "-s", "data"], redis: redis.urls)
            #expect(try await Executable.run(["release", "--force", "data"], redis: redis.urls).exitCode == 0)
            #expect(try await Executable.run(["status", "data"], redis: redis.urls).exitCode == 1)
        }
    }

    @Test
    func severalNamesAreLockedTogether() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let holder = try Executable.Running(
                ["run", "b", "a", "--", "sh", "-c", "env; echo started; exec sleep 300"],
                environment: Executable.environment(redis.urls)
            )
            try await holder.waitFor("started")
            #expect(holder.output.contains("REDLOCK_NAME=b\na\n"))
            #expect(holder.output.contains("REDLOCK_FENCING_TOKEN="))
            for name in ["a", "b"] {
                #expect(try await Executable.run(["run", "-n", name, "--", "true"], redis: redis.urls).exitCode == 1)
            }
            for wait in ["0", "0.5"] {
                let arguments = ["run", "-w", wait, "a0", "b", "--", "true"]
                let other = try await Executable.run(arguments, redis: redis.urls)
                #expect(other.exitCode == 1)
                #expect(other.errors.contains("\"b\" is held by"), "the one that is held is named: \(other.errors)")
            }
            #expect(try await Executable.run(["run", "-n", "c", "--", "true"], redis: redis.urls).exitCode == 0)
            holder.send(SIGTERM)
            _ = try await holder.result()
            #expect(try await Executable.run(["run", "-n", "a", "b", "--", "true"], redis: redis.urls).exitCode == 0)
        }
    }

    @Test
    func everyCommandHasASlotOfItsOwn() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let holders = try (0..<2).map { _ in
                try Executable.Running(
                    ["run", "--slots", "2", "gpu", "-c", "echo slot=$REDLOCK_SLOT; exec sleep 300"],
                    environment: environment
                )
            }
            for holder in holders { try await holder.waitFor("slot=") }
            #expect(Set(holders.map(\.output)) == ["slot=0\n", "slot=1\n"])
            let full = try await Executable.run(["run", "-n", "--slots", "2", "gpu", "--", "true"], redis: redis.urls)
            #expect(full.exitCode == 1)
            #expect(full.errors.contains("all 2 slots of \"gpu\" are held by "), "\(full.errors)")
            for holder in holders { #expect(full.errors.contains(":\(holder.processID)"), "\(full.errors)") }
            let more = try await Executable.run(["run", "-n", "--slots", "3", "gpu", "--", "true"], redis: redis.urls)
            #expect(more.exitCode == 64)
            #expect(more.errors.contains("has 2 slots"), "\(more.errors)")
            let list = try await Executable.run(["list", "gp*"], redis: redis.urls)
            #expect(list.output.contains("gpu slot 0") && list.output.contains("gpu slot 1"), "\(list.output)")
            let status = try await Executable.run(["status", "--slot", "1", "gpu"], redis: redis.urls)
            #expect(status.exitCode == 0 && status.output.hasPrefix("gpu slot 1: held by "), "\(status.output)")
            // A lock of the same name is another matter.
            #expect(try await Executable.run(["run", "-n", "gpu", "--", "true"], redis: redis.urls).exitCode == 0)
            holders[0].send(SIGTERM)
            _ = try await holders[0].result()
            let next = try await Executable.run(["run", "--slots", "2", "gpu", "--", "env"], redis: redis.urls)
            #expect(next.output.contains("REDLOCK_SLOT=\(holders[0].output.dropFirst(5).prefix(1))\n"))
            let force = ["release", "--force", "--slot", holders[1].output.dropFirst(5).prefix(1) + "", "gpu"]
            #expect(try await Executable.run(force, redis: redis.urls).exitCode == 0)
            #expect(try await holders[1].result().exitCode == 75)
            #expect(
                try await Executable.run(["run", "-n", "--slots", "3", "gpu", "--", "true"], redis: redis.urls).exitCode
                    == 0
            )
        }
    }

    /// A command that waits for a slot is told who has them all, as one that waits for a lock is.
    @Test
    func aCommandThatWaitsForASlotIsToldWhoHasThem() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let holders = try ["one", "two"].map { label in
                try Executable.Running(
                    ["run", "--slots", "2", "--label", label, "gpu", "-c", "echo started; exec sleep 300"],
                    environment: environment
                )
            }
            for holder in holders { try await holder.waitFor("started") }
            let waiting = ["run", "--wait", "1", "--slots", "2", "gpu", "--", "true"]
            let told = try await Executable.run(["run", "-v"] + waiting.dropFirst(), redis: redis.urls)
            let notice = try #require(told.errorLines.first { $0.contains("waiting for \"gpu\", held by ") })
            #expect(notice.contains("one") && notice.contains("; by ") && notice.contains("two"), "\(notice)")
            let json = try await Executable.run(["run", "--json"] + waiting.dropFirst(), redis: redis.urls)
            for event in ["waiting", "error"] {
                let fields = try #require(json.event(event), "\(json.errors)")
                let others = try #require(fields["otherHolders"] as? [[String: Any]])
                let labels = [fields["holder"] as? String] + others.map { $0["owner"] as? String }
                #expect(Set(labels) == ["one", "two"], "\(json.errors)")
            }
        }
    }

    @Test(arguments: [
        ["run", "-s", "a", "b", "--", "true"], ["run", "-s", "-x", "a", "--", "true"],
        ["run", "--slots", "0", "a", "--", "true"], ["run", "--slots", "257", "a", "--", "true"],
        ["run", "--slots", "2", "a", "b", "--", "true"], ["run", "--slots", "2", "-s", "a", "--", "true"],
        ["run", "--fair", "-s", "a", "--", "true"], ["run", "--fair", "a", "b", "--", "true"], ["run", "--", "true"],
        ["run", "--compatible", "-s", "a", "--", "true"], ["run", "--compatible", "a", "b", "--", "true"],
        ["run", "--compatible", "--slots", "2", "a", "--", "true"],
        ["run", "--compatible", "--fair", "a", "--", "true"],
        ["acquire", "--compatible", "-s", "a"], ["status", "--compatible", "--slot", "0", "a"],
        ["status", "--slot", "256", "a"], ["release", "--slot", "0", "a"],
    ])
    func whatDoesNotGoTogetherIsRefused(_ arguments: [String]) async throws {
        let result = try await Executable.run(arguments, redis: ["redis://127.0.0.1:1"])
        #expect(result.exitCode == 64, "\(result.errors)")
        #expect(result.errors.hasPrefix("redlock: "), "\(result.errors)")
    }

    /// 32 processes want one of three slots, while one server is killed and another loses all it knew.
    @Test
    func neverMoreInsideThanThereAreSlots() async throws {
        try await withEnrolledRedis(nodes: 5) { redis in
            let folder = FileManager.default.temporaryDirectory.appending(path: "redlock-slots-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder.appending(path: "in"), withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            // Each counts who is inside, itself among them.
            let line = """
                cd '\(folder.path)' && : > in/$$ && ls in | wc -l >> counts && sleep 0.0$(($$ % 8 + 1)) && ls in | wc -l >> counts \
                && rm in/$$
                """
            let environment = Executable.environment(redis.urls)
            let codes = try await withThrowingTaskGroup(of: Int32.self) { group in
                for _ in 0..<32 {
                    group.addTask {
                        for _ in 0..<4 {
                            let running = try Executable.Running(
                                ["run", "--slots", "3", "gpu", "-c", line],
                                environment: environment
                            )
                            let code = try await running.result().exitCode
                            if code != 0 { return code }
                        }
                        return 0
                    }
                }
                try await Task.sleep(for: .seconds(1))
                await redis[1].kill()
                try await Task.sleep(for: .seconds(1))
                // It keeps nothing on disk.
                await redis[3].kill()
                try await redis[3].start()
                var codes: Set<Int32> = []
                for try await code in group { codes.insert(code) }
                return codes
            }
            #expect(codes == [0])
            let counts = try String(contentsOf: folder.appending(path: "counts"), encoding: .utf8)
                .split(separator: "\n").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
            #expect(counts.count == 2 * 32 * 4)
            #expect(counts.max() == 3)
        }
    }

    /// The control: where each server counts how many it let in, and a majority decides, five get in where three may.
    @Test
    func countingByMajorityLetsTooManyIn() async throws {
        try await withEnrolledRedis(nodes: 5) { redis in
            let script = """
                if redis.call('ZCARD', KEYS[1]) >= 3 then return 0 end
                return redis.call('ZADD', KEYS[1], 1, ARGV[1])
                """
            var inside = 0
            for client in 0..<5 {
                // Whoever has a majority asks no further; each begins elsewhere.
                var votes = 0
                for place in 0..<5 where votes < 3 {
                    let reply = try await redis[(client + place) % 5].send("EVAL", script, "1", "naive", "\(client)")
                    if reply == "1" { votes += 1 }
                }
                if votes >= 3 { inside += 1 }
            }
            #expect(inside == 5)
        }
    }
}

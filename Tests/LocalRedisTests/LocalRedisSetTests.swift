// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import LocalRedis

@Suite struct LocalRedisSetTests {
    @Test func serversAreIndependentAndGoWithTheirFiles() async throws {
        let (pids, directory) = try await withLocalRedis(nodes: 3) { redis in
            #expect(redis.servers.map(\.number) == [1, 2, 3])
            #expect(Set(redis.servers.map(\.port)).count == 3)
            #expect(redis.urls == redis.servers.map { "redis://127.0.0.1:\($0.port)" })
            try await redis[0].send("SET", "name", "value")
            let here = Program.shell("redis-cli -p \(redis[0].port) GET name").run()
            let elsewhere = Program.shell("redis-cli -p \(redis[1].port) GET name").run()
            #expect(here.output == "value\n" && elsewhere.output == "\n")
            return (redis.servers.compactMap(\.pid), redis.directory)
        }
        #expect(pids.count == 3)
        for pid in pids { #expect(ProcessSnapshot(of: pid) == nil, "no process and no zombie") }
        #expect(!FileManager.default.fileExists(atPath: directory))
    }

    @Test func setIsRemovedWhenTheBodyThrows() async throws {
        struct Mistake: Error {}
        var pid: Int32?
        var directory = ""
        await #expect(throws: Mistake.self) {
            try await withLocalRedis(nodes: 1) { redis in
                pid = redis[0].pid
                directory = redis.directory
                throw Mistake()
            }
        }
        #expect(ProcessSnapshot(of: try #require(pid)) == nil)
        #expect(!FileManager.default.fileExists(atPath: directory))
    }

    @Test func setIsRemovedWhenTheTaskIsCancelled() async throws {
        let (started, continuation) = AsyncStream.makeStream(of: Int32.self)
        let task = Task {
            try await withLocalRedis(nodes: 1) { redis in
                continuation.yield(redis[0].pid ?? 0)
                try await Task.sleep(for: .seconds(600))
            }
        }
        let pid = try #require(await started.first { _ in true })
        #expect(ProcessSnapshot(of: pid) != nil)
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(ProcessSnapshot(of: pid) == nil)
    }

    @MainActor @Test func bodyRunsWhereTheCallerRuns() async throws {
        try await withLocalRedis(nodes: 1) { _ in MainActor.assertIsolated() }
    }

    @Test func manySetsAtOnceDoNotDisturbEachOther() async throws {
        try await withThrowingTaskGroup { group in
            for index in 0..<6 {
                group.addTask {
                    try await withLocalRedis(nodes: 2) { redis in
                        try await redis[0].send("SET", "name", "\(index)")
                        await redis[1].kill()
                        try await redis[1].start()
                        let value = try await redis[0].send("GET", "name")
                        #expect(value == "\(index)")
                        return (redis.urls, redis.directory)
                    }
                }
            }
            let all = try await group.reduce(into: []) { $0.append($1) }
            #expect(Set(all.map(\.1)).count == 6)
            #expect(Set(all.flatMap(\.0)).count == 12, "a port was used twice")
        }
    }

    @Test func countMustMakeSense() async {
        for count in [-1, 0, 100] {
            let error = await #expect(throws: LocalRedisError.self) { try await LocalRedisSet.start(nodes: count) }
            #expect(error?.code == .invalidArgument)
        }
    }

    // MARK: Ports

    @Test func takenPortIsRefusedOrReplacedAsAskedFor() async throws {
        try await withLocalRedis(nodes: 1) { first in
            let taken = first[0].port
            var options = LocalRedisOptions()
            options.ports = .exactly([taken])
            let error = await #expect(throws: LocalRedisError.self) {
                try await LocalRedisSet.start(nodes: 1, options: options)
            }
            #expect(error?.code == .portTaken)
            options.ports = .preferred(startingAt: taken)
            try await withLocalRedis(nodes: 1, options: options) { second in
                #expect(second[0].port != taken)
                let answer = try await second[0].send("PING")
                #expect(answer == "PONG")
            }
            options.ports = .exactly([taken, 70_000])
            await #expect(throws: LocalRedisError.self) { try await LocalRedisSet.start(nodes: 1, options: options) }
        }
    }

    /// The port was free when it was chosen and is taken when the server binds: the server of the other must not be
    /// mistaken for ours.
    @Test func lostRaceForAPortIsNoticed() async throws {
        try await withLocalRedis(nodes: 1) { first in
            try await withTemporaryDirectory { directory in
                let server = LocalRedisServer(
                    number: 1,
                    port: first[0].port,
                    files: ServerFiles(directory: directory + "/node-1"),
                    options: LocalRedisOptions()
                )
                try server.writeFirstRecord()
                let error = await #expect(throws: LocalRedisError.self) { try await server.start() }
                #expect(error?.code == .portTaken)
                #expect(server.state == .dead)
            }
        }
    }

    @Test func chosenPortsLieBelowThoseOfOutgoingConnections() throws {
        let ports = try (0..<50).map { _ in try PortChooser.reserveAny() }
        ports.forEach(PortChooser.giveBack)
        #expect(ports.allSatisfy { (1_024..<32_768).contains($0) })
        #expect(Set(ports).count == ports.count)
    }

    // MARK: Directories

    @Test func directoryWithOtherFilesIsRefusedAndUntouched() async throws {
        try await withTemporaryDirectory { directory in
            try writeFile(directory + "/precious", "text")
            var options = LocalRedisOptions()
            options.directory = directory
            let error = await #expect(throws: LocalRedisError.self) {
                try await LocalRedisSet.start(nodes: 1, options: options)
            }
            #expect(error?.code == .directory)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["precious"])
        }
    }

    @Test func removalLeavesFilesThatAreNotOurs() async throws {
        try await withTemporaryDirectory { directory in
            var options = LocalRedisOptions()
            options.directory = directory + "/a set \"quoted\" ü"
            let path = try await withLocalRedis(nodes: 1, options: options) { redis in
                try writeFile(redis.directory + "/precious", "text")
                return redis.directory
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["precious"])
        }
    }

    @Test func pathTooLongForASocketIsAClearError() async throws {
        try await withTemporaryDirectory { directory in
            var options = LocalRedisOptions()
            options.directory = directory + "/" + String(repeating: "x", count: 120)
            let error = await #expect(throws: LocalRedisError.self) {
                try await LocalRedisSet.start(nodes: 1, options: options)
            }
            #expect(error?.description.contains("shorter directory") == true)
            let names = try FileManager.default.contentsOfDirectory(atPath: directory)
            #expect(names.isEmpty)
        }
    }
}

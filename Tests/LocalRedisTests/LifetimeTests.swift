// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import LocalRedis

@Suite struct LifetimeTests {
    // MARK: Sets that stay

    @Test func detachedSetIsFoundAgain() async throws {
        try await withTemporaryDirectory { parent in
            var options = LocalRedisOptions(persistence: .appendOnlyAlways)
            options.lifetime = .detached
            options.directory = parent + "/set"
            let started = try await LocalRedisSet.start(nodes: 2, options: options)
            let loaded = try LocalRedisSet.load(directory: parent + "/set")
            #expect(loaded.urls == started.urls)
            #expect(loaded.persistence == .appendOnlyAlways)
            #expect(loaded.servers.map(\.pid) == started.servers.map(\.pid))
            for server in loaded.servers {
                let pid = try #require(server.pid)
                #expect(getsid(pid) == pid, "it must not get the signals of our terminal")
            }

            // What one does is seen by the next that loads.
            try await loaded[0].send("SET", "name", "value")
            await loaded[0].kill()
            #expect(try LocalRedisSet.load(directory: parent + "/set")[0].state == .dead)
            try await loaded[0].restart()
            let again = try LocalRedisSet.load(directory: parent + "/set")
            #expect(again[0].pid == loaded[0].pid && again.urls == started.urls)
            let value = try await again[0].send("GET", "name")
            #expect(value == "value")

            await again.stop()
            #expect(again.servers.allSatisfy { $0.state == .dead })
            try await again.startAll()
            #expect(again.servers.allSatisfy { $0.state == .running })
            let pids = again.servers.compactMap(\.pid)
            try await again.remove()
            for pid in pids { #expect(ProcessSnapshot(of: pid) == nil) }
            #expect(!LocalRedisSet.exists(in: parent + "/set"))
        }
    }

    @Test func absentOrDamagedSetIsAClearError() async throws {
        try await withTemporaryDirectory { directory in
            #expect(throws: LocalRedisError.self) { try LocalRedisSet.load(directory: directory) }
            for text in ["", "{", #"{"version": 2}"#, #"{"version": 1, "serverCount": -5}"#] {
                try writeFile(directory + "/redlock-local.json", text, mode: 0o600)
                #expect(throws: LocalRedisError.self) { try LocalRedisSet.load(directory: directory) }
            }
        }
    }

    // MARK: Process numbers

    @Test func processWithTheSameNumberIsNeverSignalled() throws {
        // This very process stands for the stranger: were it signalled, the test would end here.
        let own = try #require(ProcessSnapshot(of: getpid()))
        let stranger = ServerProcess(recorded: ProcessIdentity(pid: getpid(), birth: "another birth"))
        #expect(stranger.signal(SIGKILL) == false)
        #expect(stranger.condition == .dead)
        // The control: the right birth is recognised.
        let same = ServerProcess(recorded: ProcessIdentity(pid: getpid(), birth: own.birth))
        #expect(same.signal(0))
        #expect(same.condition == .running)
    }

    @Test func loadedSetDoesNotTouchAStranger() async throws {
        try await withTemporaryDirectory { directory in
            let stranger = Program(program: "/bin/sleep", arguments: ["600"]).spawn()
            try #require(stranger.error == 0)
            defer {
                kill(stranger.process, SIGKILL)
                _ = waitForEnd(of: stranger.process)
            }
            let files = ServerFiles(directory: directory + "/node-1")
            try files.create()
            try files.write(.init(port: 7_999, process: .init(pid: stranger.process, birth: "0"), startedAt: Date()))
            let server = try LocalRedisServer(number: 1, files: files, options: LocalRedisOptions())
            #expect(server.state == .dead && server.pid == nil)
            await server.kill()
            await server.stop()
            await #expect(throws: LocalRedisError.self) { try await server.pause() }
            #expect(ProcessSnapshot(of: stranger.process)?.isZombie == false)
        }
    }

    // MARK: Sets that end with their process

    #if os(Linux)
        @Test func boundServersDieWhenTheirStarterIsKilled() async throws {
            let result = await #expect(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
                let redis = try await LocalRedisSet.start(nodes: 2)
                let line = "servers \(redis.servers.compactMap(\.pid).map(String.init).joined(separator: " "))"
                FileHandle.standardOutput.write(Data("\n\(line) \(redis.directory)\n".utf8))
                kill(getpid(), SIGKILL)
            }
            let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
            let line = try #require(output.split(separator: "\n").first { $0.hasPrefix("servers ") })
            let words = line.split(separator: " ").dropFirst()
            let pids = words.compactMap { Int32($0) }
            #expect(pids.count == 2)
            for pid in pids {
                #expect(
                    try await eventuallyTrue { ProcessSnapshot(of: pid).map(\.isZombie) ?? true },
                    "\(pid) lives on"
                )
            }
            if let directory = words.last { try FileManager.default.removeItem(atPath: String(directory)) }
        }
    #endif
}

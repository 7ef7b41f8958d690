// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import LocalRedis

@Suite struct LocalRedisServerTests {
    @Test func killedServerKeepsDataOnlyWithPersistence() async throws {
        for persistence in LocalRedisPersistence.allCases {
            try await withLocalRedis(nodes: 1, options: .init(persistence: persistence)) { redis in
                let server = redis[0]
                let (port, pid) = (server.port, server.pid)
                try await server.send("SET", "name", "value")
                await server.kill()
                #expect(server.state == .dead && server.pid == nil && server.uptime == nil)
                await #expect(throws: LocalRedisError.self) { try await server.send("PING") }
                try await server.restart()
                #expect(server.port == port && server.pid != pid)
                let value = try await server.send("GET", "name")
                #expect(value == (persistence == .none ? nil : "value"))
            }
        }
    }

    @Test func restartStopsARunningServerAndMayEmptyIt() async throws {
        try await withLocalRedis(nodes: 1, options: .init(persistence: .appendOnlyAlways)) { redis in
            try await redis[0].send("SET", "name", "value")
            try await redis[0].restart(.kept)
            var value = try await redis[0].send("GET", "name")
            #expect(value == "value")
            try await redis[0].restart(.emptied)
            value = try await redis[0].send("GET", "name")
            #expect(value == nil)
        }
    }

    @Test func persistenceIsSynchronousAsAskedFor() async throws {
        try await withLocalRedis(nodes: 1, options: .init(persistence: .appendOnlyAlways)) { redis in
            for (name, value) in [("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no"), ("save", "")] {
                let answer = try await redis[0].send("CONFIG", "GET", name)
                #expect(answer == "\(name)\n\(value)")
            }
        }
    }

    @Test func pausedServerHangsUntilItIsResumed() async throws {
        try await withLocalRedis(nodes: 2) { redis in
            let (paused, other) = (redis[0], redis[1])
            try await paused.pause()
            #expect(paused.state == .paused && paused.isRunning && other.state == .running)
            await #expect(throws: LocalRedisError.self) { try await paused.send("PING", timeout: .milliseconds(200)) }
            let otherAnswer = try await other.send("PING")
            #expect(otherAnswer == "PONG")
            try await paused.resume()
            let answer = try await paused.send("PING")
            #expect(answer == "PONG" && paused.state == .running)
            // A paused server can be stopped, too, and not only by KILL after the time.
            try await paused.pause()
            let start = ContinuousClock.now
            await paused.stop(within: .seconds(30))
            #expect(paused.state == .dead && ContinuousClock.now - start < .seconds(15))
            await #expect(throws: LocalRedisError.self) { try await paused.pause() }
            await #expect(throws: LocalRedisError.self) { try await paused.resume() }
        }
    }

    @Test func serverThatDiesByItselfIsNoticedAndLeavesNoZombie() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let pid = try #require(redis[0].pid)
            kill(pid, SIGKILL)
            // Reaped before anybody asks the server how it is.
            #expect(try await eventuallyTrue { ProcessSnapshot(of: pid) == nil })
            #expect(redis[0].state == .dead)
        }
    }

    @Test func missingProgramSaysHowToInstallIt() async throws {
        var options = LocalRedisOptions()
        options.executable = "redis-server-that-is-not-there"
        let error = await #expect(throws: LocalRedisError.self) {
            try await LocalRedisSet.start(nodes: 1, options: options)
        }
        #expect(error?.code == .notInstalled)
        #expect(error?.description.contains("apt install redis-server") == true)
    }

    @Test func refusedConfigurationShowsTheLogWithoutSecrets() async throws {
        for (line, isShown) in [("no-such-option 1", true), ("requirepass \"hunter2", false)] {
            var options = LocalRedisOptions()
            options.extraConfiguration = [line]
            let error = await #expect(throws: LocalRedisError.self) {
                try await LocalRedisSet.start(nodes: 1, options: options)
            }
            #expect(error?.code == .notStarted)
            #expect(error?.description.contains("FATAL CONFIG FILE ERROR") == true)
            #expect(error?.description.contains(line) == isShown)
            #expect(error?.description.contains("hunter2") == false)
        }
    }

    @Test func serverWithAPasswordCountsAsStarted() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["requirepass secret"]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            let error = await #expect(throws: LocalRedisError.self) { try await redis[0].send("GET", "name") }
            #expect(error?.description.contains("NOAUTH") == true)
            let modes = try ["", "/redis.conf", "/redis.log", "/server.json"].map {
                try mode(of: redis[0].directory + $0)
            }
            #expect(modes == [0o700, 0o600, 0o600, 0o600])
        }
    }

    @Test func serverThatNeverAnswersIsGivenUpAndEnded() async throws {
        try await withTemporaryDirectory { directory in
            var options = LocalRedisOptions()
            options.executable = try silentServer(in: directory)
            // Time enough for it to say which process it is.
            options.startTimeout = .seconds(4)
            let error = await #expect(throws: LocalRedisError.self) {
                try await LocalRedisSet.start(nodes: 1, options: options)
            }
            #expect(error?.code == .notStarted)
            #expect(ProcessSnapshot(of: try silentServerProcess(in: directory)) == nil)
        }
    }

    @Test func cancelledStartLeavesNothing() async throws {
        try await withTemporaryDirectory { directory in
            var options = LocalRedisOptions()
            options.executable = try silentServer(in: directory)
            options.directory = directory + "/set"
            let start = Task { [options] in try await LocalRedisSet.start(nodes: 2, options: options) }
            #expect(try await eventuallyTrue { FileManager.default.fileExists(atPath: directory + "/process") })
            start.cancel()
            await #expect(throws: CancellationError.self) { try await start.value }
            #expect(ProcessSnapshot(of: try silentServerProcess(in: directory)) == nil)
            #expect(!FileManager.default.fileExists(atPath: directory + "/set"))
        }
    }

    @Test func environmentReachesTheServersItIsFor() async throws {
        try await withTemporaryDirectory { directory in
            var options = LocalRedisOptions()
            options.executable = directory + "/telling-server"
            options.directory = directory + "/set"
            options.additionalEnvironment = [2: ["LANG": "of-server-2", "REDLOCK_NAME": "a value = with \"signs\""]]
            // Written by a shell: a child that another test forks would inherit it open for writing from this process, and
            // so long nobody could execute it.
            let script = #"#!/bin/sh\nenv >> environment\nexec redis-server "$@"\n"#
            let path = options.executable
            let written = Program.shell("printf '\(script)' >'\(path)' && chmod +x '\(path)'").run()
            try #require(written.status == 0)
            try await withLocalRedis(nodes: 2, options: options) { redis in
                func environments(of server: LocalRedisServer) throws -> [Substring] {
                    try String(contentsOfFile: server.directory + "/environment", encoding: .utf8)
                        .split(separator: "\n").filter { $0.contains("of-server-2") || $0.hasPrefix("REDLOCK_NAME=") }
                }
                let expected: Set<Substring> = ["LANG=of-server-2", "REDLOCK_NAME=a value = with \"signs\""]
                #expect(Set(try environments(of: redis[1])) == expected)
                try await redis[1].restart()
                let loaded = try LocalRedisSet.load(directory: redis.directory)[1]
                try await loaded.restart()
                await loaded.kill()
                #expect(try environments(of: redis[1]).count == 3 * expected.count, "once for every start")
                #expect(try environments(of: redis[0]).isEmpty)
            }
        }
    }

    @Test func environmentOfAServerThatIsNotThereIsRefused() async throws {
        for number in [0, 3] {
            var options = LocalRedisOptions()
            options.additionalEnvironment = [number: [:]]
            let error = await #expect(throws: LocalRedisError.self) {
                try await LocalRedisSet.start(nodes: 2, options: options)
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    private func silentServer(in directory: String) throws -> String {
        let path = directory + "/silent-server"
        try writeFile(
            path,
            "#!/bin/sh\necho $$ > '\(directory)/process.new'\n"
                + "mv '\(directory)/process.new' '\(directory)/process'\nexec sleep 600\n"
        )
        return path
    }

    private func silentServerProcess(in directory: String) throws -> Int32 {
        let text = try String(contentsOfFile: directory + "/process", encoding: .utf8)
        return try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    // MARK: TLS

    @Test func tlsServerTalksTLSOnly() async throws {
        try await withTemporaryDirectory { directory in
            let certificates = Program.shell(
                "cd '\(directory)' && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 "
                    + "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null"
            ).run()
            try #require(certificates.status == 0, "openssl is needed")
            var options = LocalRedisOptions()
            options.tls = LocalRedisTLS(
                certificateFile: directory + "/cert.pem",
                keyFile: directory + "/key.pem",
                certificateAuthorityFile: directory + "/cert.pem"
            )
            try await withLocalRedis(nodes: 1, options: options) { redis in
                let port = redis[0].port
                #expect(redis[0].url == "rediss://127.0.0.1:\(port)")
                let tls = Program.shell("redis-cli --tls --cacert '\(directory)/cert.pem' -p \(port) PING").run()
                #expect(tls.output == "PONG\n")
                let plain = Program.shell("redis-cli -p \(port) PING 2>&1").run()
                #expect(!plain.output.contains("PONG"))
                let answer = try await redis[0].send("PING")
                #expect(answer == "PONG")
            }
        }
    }
}

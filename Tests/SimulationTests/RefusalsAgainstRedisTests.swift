// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import Hiredis
    import LocalRedis
    import Redlock
    import RedlockSimulation
    import TestSupport
    import Testing

    /// What a server refuses when it is full, cannot write, copies another one, and so on.
    @Suite(.serialized)
    struct RefusalsAgainstRedisTests {
        /// A way to make a real server refuse, and to make it stop.
        struct Cause: Sendable, CustomTestStringConvertible {
            let refusal: SimulatedServer.Refusal
            let begin: [[String]]
            let end: [[String]]

            var testDescription: String { "\(refusal)" }

            static let all = [
                Cause(
                    refusal: .outOfMemory,
                    begin: [["CONFIG", "SET", "maxmemory", "1"]],
                    end: [["CONFIG", "SET", "maxmemory", "0"]]
                ),
                Cause(
                    refusal: .tooFewReplicas,
                    begin: [["CONFIG", "SET", "min-replicas-to-write", "1"]],
                    end: [["CONFIG", "SET", "min-replicas-to-write", "0"]]
                ),
                Cause(
                    refusal: .readOnly,
                    begin: [["REPLICAOF", "127.0.0.1", "1"]],
                    end: [["REPLICAOF", "NO", "ONE"]]
                ),
                Cause(
                    refusal: .masterDown,
                    begin: [["CONFIG", "SET", "replica-serve-stale-data", "no"], ["REPLICAOF", "127.0.0.1", "1"]],
                    end: [["REPLICAOF", "NO", "ONE"]]
                ),
                Cause(
                    refusal: .misconfigured,
                    begin: [
                        ["CONFIG", "SET", "save", "1 1000000"],
                        ["CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"],
                    ],
                    end: [["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]]
                ),
            ]
        }

        @Test(arguments: Cause.all)
        func refusesWhatARealServerRefuses(cause: Cause) async throws {
            try await RedisComparison.with { comparison, server in
                if cause.refusal == .misconfigured { try await Self.failToSave(comparison, server) }
                for seed in 1...UInt64(10) {
                    let difference = try Self.difference(seed: seed, in: comparison) {
                        for command in cause.begin { try comparison.sendToReal(command) }
                        comparison.simulated.refuse(cause.refusal)
                    } end: {
                        for command in cause.end { try comparison.sendToReal(command) }
                        comparison.simulated.acceptAgain()
                    }
                    if let difference {
                        Issue.record("seed \(seed), the last steps:\n\(difference)")
                        return
                    }
                }
            }
        }

        @Test
        func refusesEverythingWhileAScriptRuns() async throws {
            try await RedisComparison.with { comparison, server in
                let other = try RawConnection(path: server.unixSocketPath)
                for seed in 1...UInt64(5) {
                    let difference = try Self.difference(seed: seed, in: comparison) {
                        try other.send(RawConnection.encoded(["EVAL", "while true do end", "0"]))
                        // It begins to refuse when the script has run for a while.
                        for _ in 0..<10_000 {
                            if try comparison.sendToReal(["PING"]).error != nil { break }
                        }
                        comparison.simulated.refuse(.busy)
                    } end: {
                        try comparison.sendToReal(["SCRIPT", "KILL"])
                        _ = try other.exchange([], replyCount: 1)
                        comparison.simulated.acceptAgain()
                    }
                    if let difference {
                        Issue.record("seed \(seed), the last steps:\n\(difference)")
                        return
                    }
                }
            }
        }

        @Test(arguments: Command.allCases.map { [$0] } + [Command.allCases])
        func refusesWhatTheUserMayNotDo(denied: [Command]) async throws {
            try await RedisComparison.with { comparison, _ in
                let rules = denied.map { "-" + $0.rawValue.lowercased() }
                for command in [
                    ["ACL", "SETUSER", "weak", "on", ">secret", "~*", "&*", "+@all"] + rules,
                    ["ACL", "SETUSER", "strong", "on", ">secret", "~*", "&*", "+@all"],
                ] { try comparison.sendToReal(command) }
                for seed in 1...UInt64(5) {
                    let difference = try Self.difference(seed: seed, in: comparison) {
                        try comparison.sendToReal(["AUTH", "weak", "secret"])
                        comparison.simulated.deniedCommands = Set(denied)
                    } end: {
                        try comparison.sendToReal(["AUTH", "strong", "secret"])
                        comparison.simulated.deniedCommands = []
                    }
                    if let difference {
                        Issue.record("seed \(seed), the last steps:\n\(difference)")
                        return
                    }
                }
            }
        }

        /// Lets clients and operators do this and that, and clients alone while the server refuses.
        private static func difference(
            seed: UInt64,
            in comparison: RedisComparison,
            begin: () throws -> Void,
            end: () throws -> Void
        ) throws -> RedisComparison.Difference? {
            try comparison.clear()
            var steps = RandomSteps(seed: seed)
            for _ in 0..<3 {
                for isRefusing in [false, true] {
                    if isRefusing { try begin() }
                    defer { if isRefusing { try? end() } }
                    for _ in 0..<50 {
                        // Not back: a replica keeps what has ended.
                        comparison.moveClock(by: max(0, steps.clockMove()))
                        let step =
                            isRefusing
                            ? try steps.clientStep(at: comparison.microseconds)
                            : try steps.step(at: comparison.microseconds)
                        if let difference = try comparison.run([step]) { return difference }
                    }
                }
            }
            return nil
        }

        /// Lets the server fail to save its keys.
        private static func failToSave(_ comparison: RedisComparison, _ server: LocalRedisServer) async throws {
            try FileManager.default.createDirectory(
                atPath: server.directory + "/a-directory",
                withIntermediateDirectories: false
            )
            for command in [["CONFIG", "SET", "dbfilename", "a-directory"], ["BGSAVE"]] {
                try comparison.sendToReal(command)
            }
            for _ in 0..<1000 {
                let status = try comparison.sendToReal(["INFO", "persistence"]).string
                if status?.contains("rdb_last_bgsave_status:err") == true { return }
                try await Task.sleep(for: .milliseconds(5))
            }
            Issue.record("the server does not fail to save")
        }
    }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import Hiredis
    import Redlock
    import RedlockTesting
    import Testing

    /// The simulated server answers as a real one does, whatever clients and operators do in whatever order.
    ///
    /// `REDLOCK_MODEL_COMMANDS` sets how many commands are compared, `REDLOCK_MODEL_SEED` where to begin.
    @Suite(.serialized)
    struct ModelAgainstRedisTests {
        private static let commandsPerSeed = 500
        private static let commandCount = number("REDLOCK_MODEL_COMMANDS") ?? 10_000
        private static let firstSeed = UInt64(number("REDLOCK_MODEL_SEED") ?? 1)

        @Test
        func answersAreThoseOfARealServer() async throws {
            try await RedisComparison.with { comparison, _ in
                let seedCount = max(1, Self.commandCount / Self.commandsPerSeed)
                for seed in Self.firstSeed..<Self.firstSeed + UInt64(seedCount) {
                    let difference = try Self.difference(seed: seed, in: comparison)
                    if let difference {
                        Issue.record("seed \(seed), the last steps:\n\(difference)")
                        return
                    }
                }
            }
        }

        /// What the simulated server tells of itself, a real one tells as well, in the same words.
        @Test
        func factsAreThoseOfARealServer() async throws {
            try await RedisComparison.with { comparison, _ in
                let real = try comparison.sendToReal(["INFO"]).string?.split(separator: "\r\n") ?? []
                let simulated = comparison.simulated.execute(.plain(["INFO"])).string?.split(separator: "\r\n") ?? []
                #expect(simulated.count == 9)
                for line in simulated {
                    let name = line.prefix { $0 != ":" } + ":"
                    let counterpart = try #require(real.first { $0.hasPrefix(name) })
                    switch name {
                    // Everybody has their own.
                    case "run_id:", "redis_version:": #expect(counterpart.utf8.count > name.utf8.count)
                    default: #expect(line == counterpart)
                    }
                }
            }
        }

        /// A comparison that finds no mistake proves nothing.
        @Test(arguments: ScriptDefects.each)
        func everyDefectShows(defect: ScriptDefects) async throws {
            try await RedisComparison.with { comparison, _ in
                let seeds = 1...UInt64(100)
                comparison.simulated.defects = defect
                let seed = try seeds.first { try Self.difference(seed: $0, in: comparison) != nil }
                // Without the defect, there is none for the same seed.
                comparison.simulated.defects = []
                #expect(try Self.difference(seed: #require(seed, "nobody would notice"), in: comparison) == nil)
            }
        }

        private static func difference(
            seed: UInt64,
            in comparison: RedisComparison
        ) throws -> RedisComparison.Difference? {
            try comparison.clear()
            var steps = RandomSteps(seed: seed)
            var count = 0
            while count < commandsPerSeed {
                comparison.moveClock(by: steps.clockMove())
                let batch = try (0..<Int.random(in: 1...12, using: &steps.random)).map { _ in
                    try steps.step(at: comparison.microseconds)
                }
                count += batch.count
                if let difference = try comparison.run(batch) { return difference }
            }
            return nil
        }

        private static func number(_ variable: String) -> Int? {
            ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
        }
    }
#endif

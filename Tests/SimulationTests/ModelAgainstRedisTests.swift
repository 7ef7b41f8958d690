// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import Hiredis
    import Redlock
    import RedlockSimulation
    import Testing

    /// The simulated server answers as a real one does, whatever clients and operators do in whatever order.
    ///
    /// `REDLOCK_MODEL_COMMANDS` sets how many commands are compared, `REDLOCK_MODEL_SEED` where to begin.
    @Suite(.serialized)
    struct ModelAgainstRedisTests {
        private static let commandsPerSeed = 500
        private static let commandCount = number("REDLOCK_MODEL_COMMANDS") ?? 40_000
        /// What the random steps must come across, or they compare less than they should.
        private static let commonOutcomes: Set = [
            "acquire: 0", "acquire: many", "acquire: few", "acquire: for ever",
            "acquire: ERR value is not an integer or out of range",
            "acquire: ERR increment or decrement would overflow",
            "acquire: ERR the counter of fencing tokens is used up",
            "acquire: ERR invalid expire time in 'set' command",
            "acquire: ERR user_script: attempt to perform arithmetic on a string value",
            "acquire: WRONGTYPE Operation against a key holding the wrong kind of value",
            "acquire: NOSCRIPT No matching script. Please use EVAL.",
            "raise: 0", "raise: 1", "raise: ERR user_script: attempt to compare nil with number",
            "acquireInTurn: 0", "acquireInTurn: many", "acquireInTurn: few", "acquireInTurn: for ever",
            "acquireAll: 0", "acquireAll: [many 0]", "acquireAll: [few 1]", "acquireAll: [few many]",
            "acquireAll: ERR the counter of fencing tokens is used up",
            "acquireAll: ERR user_script: bad argument #2 to 'max' (number expected, got nil)",
            "acquireShared: 0", "acquireShared: 1", "acquireShared: few", "acquireShared: for ever",
            "acquireShared: WRONGTYPE Operation against a key holding the wrong kind of value",
            "acquireSlot: 0", "acquireSlot: [many 0]", "acquireSlot: [many 1]", "acquireSlot: [few 0]",
            "acquireSlot: many", "acquireSlot: [for ever 0]",
            "releaseSlot: 0", "releaseSlot: 1", "releaseSlot: many",
            "extend: -3", "extend: -2", "extend: -1", "extend: many",
            "extendShared: -2", "extendShared: many",
            "setLife: 0", "setLife: 1", "setLifeShared: 0", "setLifeShared: 1",
            "repairShared: 0", "repairShared: 1", "releaseShared: 0", "releaseShared: 1", "releaseShared: many",
            "releasePlain: 0", "releasePlain: 1",
            "repair: 0", "repair: 1", "repair: ERR user_script: attempt to compare nil with number",
            "release: 0", "release: 1", "release: many",
            "release: WRONGTYPE Operation against a key holding the wrong kind of value",
            "enqueue: 0", "enqueue: [many 0]", "enqueue: [many 1]", "enqueue: [-2 0]", "enqueue: [-1 0]",
            "enqueue: [-2 null]",
            "enqueue: ERR invalid expire time in 'pexpire' command",
            "enqueue: WRONGTYPE Operation against a key holding the wrong kind of value",
            "leaveQueue: 0", "leaveQueue: 1",
            "leaveQueue: WRONGTYPE Operation against a key holding the wrong kind of value",
            "read: [text many text 0 []]", "read: [text many text 1 []]", "read: [null -2 null 0 []]",
            "read: [null -2 null null []]", "read: [null -2 null 0 [text many]]",
            "removeForeign: 0", "removeForeign: 1",
            "enrol: text", "replaceRecord: 0", "replaceRecord: 1", "raiseByHand: many",
            "raiseByHand: ERR user_script: attempt to compare number with nil",
            "setIfAbsent: OK", "setIfAbsent: null",
        ]
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
                guard Self.commandCount >= 40_000 else { return }
                let missing = Self.commonOutcomes.subtracting(comparison.outcomes).sorted()
                #expect(missing == [], "only \(comparison.outcomes.sorted())")
                let others = Script.all.filter { !comparison.scripts.contains($0.digest) }
                #expect(others.map(\.text) == [Script.probe.text])
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
        @Test(arguments: ScriptDefect.all.map(\.name))
        func everyDefectShows(name: String) async throws {
            try await RedisComparison.with { comparison, _ in
                let seeds = 1...UInt64(100)
                comparison.simulated.defect = ScriptDefect.all.first { $0.name == name }
                let seed = try seeds.first { try Self.difference(seed: $0, in: comparison) != nil }
                // Without the defect, there is none for the same seed.
                comparison.simulated.defect = nil
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
            var lookedAt = 0
            while count < commandsPerSeed {
                comparison.moveClock(by: steps.clockMove())
                let batch = try (0..<Int.random(in: 1...12, using: &steps.random)).map { _ in
                    try steps.step(at: comparison.microseconds)
                }
                count += batch.count
                if let difference = try comparison.run(batch) { return difference }
                guard count - lookedAt >= 50 else { continue }
                lookedAt = count
                let keys = comparison.simulated.keyNames
                if let difference = try comparison.run(Step.lookAtAll(keys)) { return difference }
            }
            return nil
        }

        private static func number(_ variable: String) -> Int? {
            ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
        }
    }
#endif

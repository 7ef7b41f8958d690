// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Foundation
    import LocalRedis
    import TestSupport
    import Testing

    /// The clocks that other tests rely on being moved.
    @Suite(.serialized)
    struct ClockShimTests {
        // MARK: Servers

        @Test
        func serverFollowsAJumpForwards() async throws {
            let shim = try ClockShim()
            try await withLocalRedis(nodes: 2, options: .moving([1: shim])) { redis in
                let began = try await redis[0].wallClock()
                for server in redis.servers { try await server.send("SET", "name", "value", "PX", "20000") }
                shim.jumpWallClock(by: .seconds(30))
                let passed = try await redis[0].wallClock() - began
                #expect((30..<45).contains(passed))
                #expect(try await redis[0].send("GET", "name") == nil)
                // The other server, whose clock nobody moved, still has it.
                #expect(try await redis[1].send("GET", "name") == "value")
            }
        }

        @Test
        func serverFollowsAJumpBackwards() async throws {
            let shim = try ClockShim()
            try await withLocalRedis(nodes: 1, options: .moving([1: shim])) { redis in
                try await redis[0].send("SET", "name", "value", "PX", "20000")
                shim.jumpWallClock(by: .seconds(-3600))
                let left = try #require(Int(try await redis[0].send("PTTL", "name") ?? ""))
                #expect((3_600_000...3_620_000).contains(left))
            }
        }

        @Test
        func serverGoesByTheRateOfItsClock() async throws {
            let shim = try ClockShim()
            try await withLocalRedis(nodes: 1, options: .moving([1: shim])) { redis in
                try await redis[0].send("SET", "name", "value", "PX", "30000")
                shim.setWallClockRate(100)
                try await eventually(within: .seconds(15)) { try await redis[0].send("GET", "name") == nil }
            }
        }

        @Test
        func restartedServerHasTheSameClock() async throws {
            let shim = try ClockShim()
            try await withLocalRedis(nodes: 1, options: .moving([1: shim])) { redis in
                shim.jumpWallClock(by: .seconds(3600))
                try await redis[0].restart()
                #expect(try await redis[0].wallClock() - Int(Date().timeIntervalSince1970) > 3500)
            }
        }

        /// Its own timers stand still; what it is asked it still answers, and keys end by the wall clock.
        @Test
        func serverWithFrozenClocksStillAnswers() async throws {
            let shim = try ClockShim()
            try await withLocalRedis(nodes: 1, options: .moving([1: shim])) { redis in
                shim.freezeContinuousClocks()
                try await redis[0].send("SET", "name", "value", "PX", "300")
                try await eventually { try await redis[0].send("GET", "name") == nil }
                shim.unfreezeContinuousClocks()
                #expect(try await redis[0].send("PING") == "PONG")
            }
        }

        // MARK: Every clock of a process

        @Test
        func untouchedClocksAreTheRealOnes() throws {
            let shim = try ClockShim()
            let moved = try ClockReader(shim: shim)
            let real = try ClockReader(shim: nil)
            let (before, between, after) = (try real.read(), try moved.read(), try real.read())
            for clock in ClockReader.Clock.allCases {
                // A raw clock, moved or not, shows what the clock shows that it is a variant of.
                let (low, high) = (before[clock.base], after[clock.base] + .milliseconds(1))
                #expect(between[clock] > low - clock.resolution && between[clock] < high, "\(clock)")
            }
        }

        @Test
        func frozenClocksStandStillWhileTheWallClockGoesOn() async throws {
            let shim = try ClockShim()
            let reader = try ClockReader(shim: shim)
            let real = try ClockReader(shim: nil)
            shim.freezeContinuousClocks()
            let frozen = try reader.read()
            try await Task.sleep(for: .milliseconds(300))
            let later = try reader.read()
            for clock in ClockReader.Clock.allCases {
                let passed = later[clock] - frozen[clock]
                if clock.isOfTheWall {
                    #expect(passed >= .milliseconds(300) - clock.resolution, "\(clock)")
                } else {
                    #expect(passed == .zero, "\(clock)")
                }
            }
            // What passed meanwhile is never made up for.
            shim.unfreezeContinuousClocks()
            try await Task.sleep(for: .milliseconds(100))
            let (end, realEnd) = (try reader.read(), try real.read())
            for clock in [ClockReader.Clock.continuous, .suspending] {
                #expect(end[clock] - later[clock] >= .milliseconds(100))
                #expect(realEnd[clock] - end[clock] >= .milliseconds(300))
            }
        }

        @Test
        func everyClockMovesAlone() throws {
            let shim = try ClockShim()
            let reader = try ClockReader(shim: shim)
            let began = try reader.read()
            shim.jumpWallClock(by: .seconds(-1000))
            shim.moveContinuousClock(by: .seconds(2000))
            shim.moveSuspendingClock(by: .seconds(3000))
            let end = try reader.read()
            for clock in ClockReader.Clock.allCases {
                let distance: Duration =
                    switch clock.base {
                    case .wall: .seconds(-1000)
                    case .continuous: .seconds(2000)
                    default: .seconds(3000)
                    }
                let passed = end[clock] - began[clock] - distance
                #expect(passed >= .zero - clock.resolution && passed < .seconds(100), "\(clock)")
            }
        }

        /// However short it is frozen, no clock is ever seen to step back.
        @Test
        func freezingNeverTurnsAClockBack() async throws {
            let shim = try ClockShim()
            let reader = try ClockReader(shim: shim)
            let changes = Task.detached {
                while !Task.isCancelled {
                    shim.freezeContinuousClocks()
                    shim.unfreezeContinuousClocks()
                    try? await Task.sleep(for: .microseconds(10))
                }
            }
            try reader.ask("watch 1000")
            #expect(try reader.answer() == "0")
            changes.cancel()
            await changes.value
        }

        @Test(arguments: ["semaphore", "timer"])
        func waitFollowsItsClock(_ kind: String) throws {
            let shim = try ClockShim()
            let reader = try ClockReader(shim: shim)
            let jump = kind == "semaphore" ? shim.jumpWallClock : shim.moveContinuousClock
            for distance in [Duration.seconds(-3600), .seconds(7200)] {
                jump(distance)
                // It lasts as long as it is to, wherever the clock stands...
                #expect(try (0.2..<10).contains(reader.secondsOf(wait: "\(kind) 200")))
                // ...and is over when the clock jumps beyond its end.
                #expect(try reader.secondsOf(wait: "\(kind) 30000") { jump(.seconds(30)) } < 10)
            }
        }

        @Test
        func filesGoWithTheirUser() throws {
            var file: String?
            do {
                let shim = try ClockShim()
                file = shim.environment["CLOCK_SHIM_FILE"]
                #expect(FileManager.default.fileExists(atPath: try #require(file)))
            }
            #expect(!FileManager.default.fileExists(atPath: try #require(file)))
        }
    }

    extension LocalRedisOptions {
        /// Servers with clocks of their own, by their numbers.
        fileprivate static func moving(_ clocks: [Int: ClockShim]) -> LocalRedisOptions {
            var options = LocalRedisOptions()
            options.additionalEnvironment = clocks.mapValues(\.environment)
            return options
        }
    }

    extension LocalRedisServer {
        /// What it takes for the time, in seconds.
        fileprivate func wallClock() async throws -> Int {
            let lines = try await send("TIME")?.split(separator: "\n") ?? []
            return try #require(lines.first.flatMap { Int($0) })
        }
    }

    /// A process that says what its clocks show (clock_reader.c).
    private final class ClockReader {
        /// In the order of its answer.
        enum Clock: Int, CaseIterable {
            case wall, coarseWall, timeOfDay, secondOfWall, continuous, suspending, coarseSuspending, rawSuspending

            var isOfTheWall: Bool { base == .wall }
            /// The clock that it is a variant of.
            var base: Clock {
                switch self {
                case .wall, .coarseWall, .timeOfDay, .secondOfWall: .wall
                case .continuous: .continuous
                case .suspending, .coarseSuspending, .rawSuspending: .suspending
                }
            }
            var resolution: Duration { self == .secondOfWall ? .seconds(1) : .milliseconds(1) }
        }

        struct Times {
            let all: [Duration]
            subscript(clock: Clock) -> Duration { all[clock.rawValue] }
        }

        private let process = Process()
        private let input = Pipe()
        private let output = Pipe()
        private var received = ""

        init(shim: ClockShim?) throws {
            process.executableURL = URL(filePath: try ClockPrograms.shared.get().reader)
            process.environment = shim?.environment ?? [:]
            process.standardInput = input
            process.standardOutput = output
            try process.run()
        }

        deinit {
            try? input.fileHandleForWriting.close()
            process.waitUntilExit()
        }

        func read() throws -> Times {
            try ask("read")
            let times = try answer().split(separator: " ").compactMap { Int64($0) }
            try #require(times.count == Clock.allCases.count)
            return Times(all: times.map { .nanoseconds($0) })
        }

        /// How long the wait lasts by the real clock; the body runs when it has begun.
        func secondsOf(wait: String, _ body: () -> Void = {}) throws -> Double {
            let began = ContinuousClock.now
            try ask(wait)
            try #require(try answer() == "begun")
            body()
            try #require(try answer() == "over")
            return (ContinuousClock.now - began) / .seconds(1)
        }

        func ask(_ question: String) throws {
            try input.fileHandleForWriting.write(contentsOf: Data("\(question)\n".utf8))
        }

        func answer() throws -> String {
            while !received.contains("\n") {
                let data = output.fileHandleForReading.availableData
                try #require(!data.isEmpty, "the reader has ended")
                received += String(decoding: data, as: UTF8.self)
            }
            let lines = received.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
            received = String(lines[1])
            return String(lines[0])
        }
    }
#endif

// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Hiredis
    import LocalRedis
    import LockCore
    import Redlock
    import RedlockSimulation
    import TestSupport
    import Testing

    /// A simulated server and a real one, whose clocks stand still until they are moved together.
    final class RedisComparison {
        /// An answer of the real server that the simulated one does not give.
        struct Difference: Equatable, CustomStringConvertible {
            let history: [String]

            var description: String { history.joined(separator: "\n") }
        }

        let simulated: SimulatedServer
        private let clock: Driven.Clock
        private let shim: ClockShim
        private let connection: RawConnection
        /// Somebody who hears what is published on one channel; nobody reads it.
        private let subscriber: RawConnection
        private static let channel = "wake:2222222222222222"
        private var history: [String] = []
        /// What kinds of answers there were to what kinds of steps.
        private(set) var outcomes: Set<String> = []
        /// The digests of the scripts that have run without an error.
        private(set) var scripts: Set<String> = []

        /// Runs the body with a real server of its own.
        static func with<Result>(_ body: (RedisComparison, LocalRedisServer) async throws -> Result) async throws
            -> Result
        {
            let shim = try ClockShim()
            var options = LocalRedisOptions()
            options.additionalEnvironment = [1: shim.environment]
            options.extraConfiguration = [
                "enable-debug-command local", "enable-protected-configs local", "busy-reply-threshold 1",
            ]
            return try await withLocalRedis(nodes: 1, options: options) { redis in
                let comparison = try RedisComparison(redis[0], shim: shim)
                return try await body(comparison, redis[0])
            }
        }

        private init(_ server: LocalRedisServer, shim: ClockShim) throws {
            self.shim = shim
            connection = try RawConnection(path: server.unixSocketPath)
            let clock = Driven.Clock()
            self.clock = clock
            simulated = SimulatedServer(seed: 1, interpreter: ScriptInterpreter()) { clock.microseconds }
            simulated.publisher = { channel, _ in channel == Self.channel ? 1 : 0 }
            subscriber = try RawConnection(path: server.unixSocketPath)
            _ = try subscriber.send("SUBSCRIBE", Self.channel)
            shim.setWallClockRate(0)
            // Or keys would be deleted between two commands, and be missing when the clock goes back.
            try connection.send("DEBUG", "SET-ACTIVE-EXPIRE", "0")
            let parts = try connection.send("TIME").array?.compactMap { $0.string.flatMap { Int64($0) } } ?? []
            try #require(parts.count == 2)
            clock.microseconds = parts[0] * 1_000_000 + parts[1]
        }

        var microseconds: Int64 { clock.microseconds }

        func moveClock(by microseconds: Int64) {
            guard microseconds != 0 else { return }
            history.append("clock: \(microseconds) us")
            shim.jumpWallClock(by: .microseconds(microseconds))
            clock.microseconds += microseconds
        }

        /// Sends one command to the real server alone.
        @discardableResult
        func sendToReal(_ arguments: [String]) throws -> RESPValue {
            try connection.exchange(RawConnection.encoded(arguments), replyCount: 1)[0]
        }

        /// Begins anew with two empty servers.
        func clear() throws {
            history = []
            for command in [["FLUSHALL"], ["SCRIPT", "FLUSH"], ["CONFIG", "RESETSTAT"]] { try sendToReal(command) }
            simulated.restart(keeping: .nothing)
        }

        /// Does the steps to both servers; what differs first, if anything does.
        func run(_ steps: [Step]) throws -> Difference? {
            let answers = steps.map { $0.simulate(simulated) }
            let replies = try connection.exchange(
                steps.flatMap(\.commands),
                replyCount: steps.reduce(0) { $0 + $1.commandCount }
            )
            var next = 0
            for (step, answer) in zip(steps, answers) {
                next += step.commandCount
                let reply = replies[next - 1]
                history.append("\(step.name)\n    -> \(Self.printed(reply))")
                outcomes.insert("\(step.kind): \(Self.outcome(reply))")
                if let script = step.script, reply.error == nil { scripts.insert(script) }
                guard let answer, Self.comparable(answer) != Self.comparable(reply) else { continue }
                let recent = history.suffix(20)
                return Difference(history: recent + ["    but the simulated server: \(Self.printed(answer))"])
            }
            if history.count > 100 { history.removeFirst(history.count - 30) }
            return nil
        }

        /// The reply without what differs from server to server: numbers of statistics, the order of keys and of settings.
        private static func comparable(_ reply: RESPValue) -> RESPValue {
            switch reply {
            case .bulkString where reply.string?.hasPrefix("# Commandstats") == true:
                let lines = reply.string?.split(separator: "\r\n") ?? []
                let flushes = lines.first { $0.hasPrefix("cmdstat_flushall:calls=") }
                return .bulkString(Array((flushes?.prefix { $0 != "," } ?? "").utf8))
            case .array(let parts) where parts.count == 2 && parts[1].array != nil:
                let names = parts[1].array ?? []
                return .array([parts[0], .array(names.sorted { ($0.string ?? "") < ($1.string ?? "") })])
            case .array(let parts) where parts.contains { $0.string == "appendfsync" }:
                let pairs = stride(from: 0, to: parts.count - 1, by: 2).map { Array(parts[$0...$0 + 1]) }
                return .array(pairs.sorted { ($0[0].string ?? "") < ($1[0].string ?? "") }.flatMap { $0 })
            default: return reply
            }
        }

        /// What kind of answer it is; of errors, the text without the place in its script.
        private static func outcome(_ reply: RESPValue) -> String {
            switch comparable(reply) {
            case .integer(-9_007_199_254_740_991): "for ever"
            case .integer(let number): number > 1 ? "many" : number < -4 ? "few" : "\(number)"
            case .error(let text):
                text.replacing(#/ script: [0-9a-f]{40}, on .*/#, with: "").replacing(
                    /user_script:[0-9]+:/,
                    with: "user_script:"
                )
            case .array(let parts): "[\(parts.map(outcome).joined(separator: " "))]"
            case .bulkString: "text"
            case .null: "null"
            case .simpleString(let text): text
            }
        }

        private static func printed(_ reply: RESPValue) -> String {
            switch reply {
            case .bulkString: "\"\(reply.string ?? "\(reply)")\""
            case .array(let parts): "[\(parts.map(printed).joined(separator: ", "))]"
            default: "\(reply)"
            }
        }
    }
#endif

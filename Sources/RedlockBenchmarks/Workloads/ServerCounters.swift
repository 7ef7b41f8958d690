// SPDX-License-Identifier: Apache-2.0

import LocalRedis

/// What one server has counted since it started.
struct ServerCounters {
    /// How often each command was called, by clients and by scripts.
    let calls: [String: Int]
    /// How often it read from a connection.
    let reads: Int

    /// Reading the counters is counted as well: one read of the question, and one of the end of the connection.
    private static let ownReads = 2
    private static let ownCalls = ["info": 1]

    /// What a client of ours sends by itself, and not by a script.
    ///
    /// A script that asks for the time is counted twice by that.
    private static func isSent(_ command: String, isCompatible: Bool) -> Bool {
        switch command {
        case "eval", "evalsha", "time", "info", "ping", "subscribe", "unsubscribe", "script|load": true
        case "set": isCompatible
        default: command.hasPrefix("config|")
        }
    }

    /// The counters of a server as they are now.
    static func read(from server: LocalRedisServer) async throws -> ServerCounters {
        let text = try await server.send("INFO", "all") ?? ""
        var calls: [String: Int] = [:]
        var reads: Int?
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("cmdstat_") {
                let parts = line.dropFirst("cmdstat_".count).split(separator: ":calls=")
                guard parts.count == 2 else { continue }
                calls[String(parts[0])] = Int(parts[1].prefix(while: \.isNumber))
            } else if line.hasPrefix("total_reads_processed:") {
                reads = Int(line.drop { $0 != ":" }.dropFirst())
            }
        }
        guard let reads else { throw BenchmarkError("server \(server.number) does not say how often it has read") }
        return ServerCounters(calls: calls, reads: reads)
    }

    /// The counters of several servers.
    static func read(from servers: [LocalRedisServer]) async throws -> [ServerCounters] {
        var counters: [ServerCounters] = []
        for server in servers { counters.append(try await read(from: server)) }
        return counters
    }

    /// What was asked of the mean server between two readings.
    static func traffic(from before: [ServerCounters], to after: [ServerCounters], isCompatible: Bool) -> Traffic {
        var traffic = Traffic(commands: 0, calls: 0, reads: 0)
        for (before, after) in zip(before, after) {
            for (command, count) in after.calls {
                let calls = Double(count - (before.calls[command] ?? 0) - (ownCalls[command] ?? 0))
                traffic.calls += calls
                if isSent(command, isCompatible: isCompatible) { traffic.commands += calls }
            }
            traffic.reads += Double(after.reads - before.reads - ownReads)
        }
        let count = Double(max(1, before.count))
        return Traffic(commands: traffic.commands / count, calls: traffic.calls / count, reads: traffic.reads / count)
    }
}

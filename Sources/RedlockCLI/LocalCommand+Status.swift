// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import LocalRedis

extension LocalCommand {
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the servers and what they are doing.",
            discussion: "Exits with 0 if all of them run, with 1 if one is paused or dead, or there are none."
        )

        @OptionGroup var set: SetOptions

        func run() async throws {
            try await LocalCommand.reportingErrors {
                let existing = try set.load()
                try LocalCommand.writeResult(Self.table(Self.rows(of: existing)))
                if existing.servers.contains(where: { $0.state != .running }) { throw ExitCode.failure }
            }
        }

        private static func rows(of set: LocalRedisSet) -> [[String]] {
            let persistence =
                switch set.persistence {
                case .none: "none"
                case .appendOnlyAlways: "every write"
                }
            let header = ["NODE", "URL", "PID", "STATE", "UPTIME", "PERSISTENCE"]
            return [header]
                + set.servers.map { server in
                    [
                        String(server.number), server.url, server.pid.map { String($0) } ?? "-",
                        server.state.rawValue, server.uptime.map(uptimeText) ?? "-", persistence,
                    ]
                }
        }

        /// Hours, minutes and seconds, as `1:02:03`.
        static func uptimeText(_ uptime: Duration) -> String {
            let seconds = max(uptime.components.seconds, 0)
            let parts = [seconds / 60 % 60, seconds % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
            return ([String(seconds / 3600)] + parts).joined(separator: ":")
        }

        /// Columns as wide as their widest cell.
        static func table(_ rows: [[String]]) -> String {
            let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
            return rows.map { row in
                let cells = zip(row, widths).map { cell, width in
                    cell + String(repeating: " ", count: width - cell.count)
                }
                return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
            }.joined(separator: "\n")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import FencedStorage
import Foundation
import Redlock

#if SQLite
    import GRDB
#endif

/// Writes through a guard until somebody ends it: FencedWriter sqlite PATH, or postgresql
/// CONNECTION, or file PATH.
///
/// With sqlite-in-steps, every statement is a transaction of its own, as it must not be.
///
/// Every transaction has a token higher by one, and two entries of the same number, with a moment before, between and
/// behind them: whoever ends this process is likely to do so in the middle of one.
@main
struct FencedWriter {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else { exit(64) }
        switch arguments[1] {
        #if SQLite
            case "sqlite":
                let database = try DatabaseQueue(path: arguments[2])
                let store = try await SQLiteGuard(database)
                try await database.write { try $0.execute(sql: "CREATE TABLE IF NOT EXISTS log (number INTEGER)") }
                try await write { grant, number in
                    try await store.write(grant) { database in
                        for _ in 0..<2 {
                            usleep(.random(in: 0..<2_000))
                            try database.execute(sql: "INSERT INTO log VALUES (?)", arguments: [number])
                        }
                        usleep(.random(in: 0..<2_000))
                    }
                } next: {
                    try await store.highestToken(of: "log")
                }
            case "sqlite-in-steps":
                let database = try DatabaseQueue(path: arguments[2])
                let store = try await SQLiteGuard(database)
                try await database.write { try $0.execute(sql: "CREATE TABLE IF NOT EXISTS log (number INTEGER)") }
                try await write { grant, number in
                    try await store.write(grant) { _ in }
                    for _ in 0..<2 {
                        usleep(.random(in: 0..<2_000))
                        try await database.write {
                            try $0.execute(sql: "INSERT INTO log VALUES (?)", arguments: [number])
                        }
                    }
                } next: {
                    try await store.highestToken(of: "log")
                }
        #endif
        #if PostgreSQL
            case "postgresql":
                let store = try await PostgreSQLGuard(arguments[2])
                try await store.write(ReceivedGrant("preparation", FencingToken(rawValue: 1))) { transaction in
                    try await transaction.query("CREATE TABLE IF NOT EXISTS log (id bigserial, number bigint)")
                }
                try await write { grant, number in
                    try await store.write(grant) { transaction in
                        for _ in 0..<2 {
                            usleep(.random(in: 0..<2_000))
                            try await transaction.query("INSERT INTO log (number) VALUES ($1)", ["\(number)"])
                        }
                        usleep(.random(in: 0..<2_000))
                    }
                } next: {
                    try await store.highestToken(of: "log")
                }
        #endif
        case "file":
            let store = FileGuard(path: arguments[2])
            try await write { grant, number in
                try await store.write(grant, Array("\(number)\n".utf8) + [UInt8](repeating: 0x2E, count: 100_000))
            } next: {
                try await store.highestToken(of: "log")
            }
        default: exit(64)
        }
    }

    private static func write(
        _ write: @Sendable (ReceivedGrant, Int64) async throws -> Void,
        next: @Sendable () async throws -> FencingToken?
    ) async throws {
        var number = (try await next()?.rawValue ?? 0) + 1
        while true {
            try await write(ReceivedGrant("log", FencingToken(rawValue: number)), number)
            // Told after the commit: whatever was told must be there.
            try FileHandle.standardOutput.write(contentsOf: Data("\(number)\n".utf8))
            number += 1
        }
    }
}

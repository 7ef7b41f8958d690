// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Redlock
import TestSupport
import Testing

/// The last resort against a leader that does not stop.
@Suite(.serialized)
struct OverrunTests {
    @Test("A process whose leader does not stop is ended before its term is, though every thread is busy")
    func theProcessIsEnded() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: BuiltProgram.path("ElectionCandidate"))
            process.arguments = ["stuck", redis.urls.joined(separator: ",")]
            // What it aborts with is nobody's concern.
            process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
            let output = FileManager.default.temporaryDirectory.appending(path: "stuck-\(UUID().uuidString)")
            try Data().write(to: output)
            defer { try? FileManager.default.removeItem(at: output) }
            process.standardOutput = try FileHandle(forWritingTo: output)
            process.standardError = FileHandle.nullDevice
            try process.run()
            defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
            func left() throws -> [Int64] {
                try String(contentsOf: output, encoding: .utf8).split(separator: "\n").compactMap {
                    Int64($0.split(separator: " ").last ?? "")
                }
            }
            try await eventually("it leads") { try !left().isEmpty }
            for server in redis.servers.prefix(2) { try await server.pause() }
            try await eventually("it is ended") { !process.isRunning }
            #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGABRT)
            // It went on until shortly before the end, and not beyond.
            let least = try #require(try left().min())
            #expect(least > 0 && least < 1_000_000_000, "\(least)")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// `redlock run --record` and `redlock history`.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct HistoryTests {
    @Test(
        "The last holders are listed with their ends, as many as were asked for; nothing is, without a record (control)"
    )
    func lastHoldersAreListed() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let none = try await Executable.run(["history", "deploy"], redis: redis.urls)
            #expect(none.exitCode == 0)
            #expect(none.output.contains("no grant is on record") && none.output.contains("--record"), "\(none.output)")
            for label in ["one", "two", "three"] {
                _ = try await Executable.run(
                    ["run", "--label", label, "--note", "of \(label)", "--record", "2", "deploy", "--", "true"],
                    redis: redis.urls
                )
            }
            _ = try await Executable.run(["run", "--label", "quiet", "quiet", "--", "true"], redis: redis.urls)
            let history = try await Executable.run(["history", "--json", "deploy"], redis: redis.urls).object()
            let grants = try #require(history["grants"] as? [[String: Any]])
            #expect(grants.map { $0["owner"] as? String } == ["two", "three"])
            #expect(grants.map { $0["ending"] as? String } == ["released", "released"])
            #expect(grants.last?["note"] as? String == "of three")
            #expect(grants.last?["heldUntilMilliseconds"] is NSNull && history["holder"] is NSNull)
            let quiet = try await Executable.run(["history", "--json", "quiet"], redis: redis.urls).object()
            #expect((quiet["grants"] as? [Any])?.isEmpty == true)
        }
    }

    @Test(
        "A holder shows as such, a holder that was killed did not say its end, and a minimum hold shows until when it stays"
    )
    func endsShow() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let killed = try Executable.Running(
                ["run", "--record", "8", "--ttl", "1s", "job", "-c", "echo started; exec sleep 300"],
                environment: environment
            )
            try await killed.waitFor("started")
            let held = try await Executable.run(["history", "job"], redis: redis.urls)
            #expect(held.output.contains("holds it"), "\(held.output)")
            killed.send(SIGKILL)
            let kept = try await Executable.run(
                ["run", "--record", "8", "--min-hold", "20s", "job", "--", "true"],
                redis: redis.urls
            )
            #expect(kept.exitCode == 0, "\(kept.errors)")
            let text = try await Executable.run(["history", "job"], redis: redis.urls).output
            #expect(text.contains("did not say"), "\(text)")
            #expect(text.contains("released, held until "), "\(text)")
            let json = try await Executable.run(["history", "--json", "job"], redis: redis.urls).object()
            let last = try #require((json["grants"] as? [[String: Any]])?.last)
            let ended = try #require(last["endedMilliseconds"] as? Int)
            let until = try #require(last["heldUntilMilliseconds"] as? Int)
            #expect((10_000...20_100).contains(until - ended), "\(last)")
        }
    }

    @Test("What no record can be kept of, and a priority without an order, are refused")
    func whatDoesNothingIsRefused() async throws {
        let refused: [([String], String)] = [
            (["--record", "2", "-s", "a"], "--record"), (["--record", "2", "--slots", "2", "a"], "--record"),
            (["--record", "2", "a", "b"], "--record"), (["--record", "2", "--compatible", "a"], "--record"),
            (["--record", "0", "a"], "1 to 32"), (["--record", "33", "a"], "1 to 32"),
            (["--priority", "1", "a"], "--fair"), (["--fair", "--priority", "101", "a"], "-100"),
        ]
        for (arguments, says) in refused {
            let run = try await Executable.run(["run"] + arguments + ["--", "true"], redis: ["redis://127.0.0.1:1"])
            #expect(run.exitCode == 64, "\(arguments): \(run)")
            #expect(run.errors.contains(says), "\(arguments): \(run.errors)")
        }
        let compatible = try await Executable.run(
            ["history", "--config", "/dev/stdin", "a"],
            input: #"{"compatible": true, "redis": ["redis://127.0.0.1:1"]}"#
        )
        #expect(compatible.exitCode == 64, "\(compatible)")
    }

    @Test("Of those who wait in order, the one of the higher priority has the lock first, though it came later")
    func higherPriorityIsFirst() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let environment = Executable.environment(redis.urls)
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("redlock-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let (end, order) = (folder.appendingPathComponent("end"), folder.appendingPathComponent("order"))
            let holder = try Executable.Running(
                ["run", "--fair", "a", "-c", "echo started; until [ -e '\(end.path)' ]; do sleep 0.02; done"],
                environment: environment
            )
            try await holder.waitFor("started")
            var waiting: [Executable.Running] = []
            for (place, priority) in ["-5", "5"].enumerated() {
                waiting.append(
                    try Executable.Running(
                        ["run", "--fair", "--priority", priority, "a", "-c", "echo \(priority) >> '\(order.path)'"],
                        environment: environment
                    )
                )
                try await eventually("waiting client \(place + 1)") {
                    let status = try await Executable.run(["status", "--json", "a"], redis: redis.urls).object()
                    return status["waitingClients"] as? Int == place + 1
                }
            }
            _ = FileManager.default.createFile(atPath: end.path, contents: nil)
            for running in waiting + [holder] { #expect(try await running.result().exitCode == 0) }
            #expect(try String(contentsOf: order, encoding: .utf8) == "5\n-5\n")
        }
    }
}

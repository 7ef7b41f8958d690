// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import Testing

@testable import Redlock
@testable import RedlockCLI

/// What is told of a holder besides its label.
@Suite(.timeLimit(.minutes(2)))
struct HolderDetailsTests {
    /// The fields of a holder wherever there is JSON.
    static let fields: Set = ["owner", "host", "process", "sinceMilliseconds", "note", "remainingMilliseconds"]

    private static let time = Date(timeIntervalSince1970: 1_764_190_985)

    private func text(
        label: String? = "me",
        host: String? = nil,
        process: Int32? = nil,
        since: Duration? = nil,
        note: String? = nil
    ) -> HolderText {
        let holder = LockStatus.Holder(
            label: label,
            remaining: .seconds(3),
            host: host,
            process: process,
            since: since,
            note: note
        )
        return HolderText(holder, at: Self.time)
    }

    @Test
    func statusAndListTellWhoAndSinceWhen() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let before = Int(Date().timeIntervalSince1970 * 1_000)
            let acquire = ["acquire", "--label", "me", "--note", "invoice 42", "a"]
            let running = try Executable.Running(acquire, environment: Executable.environment(redis.urls))
            let process = Int(running.processID)
            #expect(try await running.result().exitCode == 0)
            let after = Int(Date().timeIntervalSince1970 * 1_000)

            let status = try await Executable.run(["status", "--json", "a"], redis: redis.urls).object()
            let list = try await Executable.run(["list", "--json"], redis: redis.urls).object()
            let locks = try #require(list["locks"] as? [[String: Any]])
            let nodes = try #require(status["nodes"] as? [[String: Any]])
            let holding = nodes.filter { $0["state"] as? String == "held" }
            #expect(locks.count == 1 && holding.count >= 2)
            for object in [status] + locks + holding {
                #expect(object["owner"] as? String == "me" && object["note"] as? String == "invoice 42")
                #expect(object["process"] as? Int == process)
                #expect(try #require(object["host"] as? String).isEmpty == false)
                #expect((before...after).contains(try #require(object["sinceMilliseconds"] as? Int)))
            }
            let host = try #require(status["host"] as? String)
            let human = try await Executable.run(["status", "a"], redis: redis.urls).output
            let start = "a: held by me on \(host), process \(process), for "
            #expect(human.hasPrefix(start), "\(human)")
            let rest = try Regex(
                #"(\d+ms|[\d.]+s), since [-0-9 ]*\d\d:\d\d:\d\d, [\d.]+s left unless renewed, "invoice 42"; "#
            )
            #expect(human.dropFirst(start.count).prefixMatch(of: rest) != nil, "\(human)")
            // The lines of the nodes do not repeat it.
            #expect(human.split(separator: "\n").dropFirst().allSatisfy { !$0.contains("invoice") }, "\(human)")
            let lines = try await Executable.run(["list"], redis: redis.urls).output
            #expect(lines.contains("a  me  on \(host), process \(process)  for "), "\(lines)")
            #expect(lines.contains("  \"invoice 42\"  tokens up to "), "\(lines)")
        }
    }

    @Test
    func aLabelThatTellsTheHostIsEnough() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            _ = try await Executable.run(["acquire", "a"], redis: redis.urls)
            let human = try await Executable.run(["status", "a"], redis: redis.urls).output
            #expect(human.contains(", for ") && human.contains("since ") && !human.contains("process"), "\(human)")
        }
    }

    @Test
    func theNoteMayComeFromTheConfigurationFile() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let text = #"{"redis": ["\#(redis.urls[0])"], "note": "from the file"}"#
            let look = "\(Executable.path) status --json --redis \(redis.urls[0]) a"
            let result = try await Executable.run(
                ["run", "--config", "/dev/stdin", "a", "-c", look],
                input: text
            )
            #expect(try result.object()["note"] as? String == "from the file", "\(result.errors)")
        }
    }

    @Test
    func whoWaitsIsToldSinceWhen() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            _ = try await Executable.run(["acquire", "--label", "me", "--note", "n", "a"], redis: redis.urls)
            let waiting = try await Executable.run(["run", "--json", "-w", "1", "a", "--", "true"], redis: redis.urls)
            for kind in ["waiting", "error"] {
                let event = try #require(waiting.event(kind), "\(waiting.errors)")
                #expect(event["holder"] as? String == "me" && event["holderNote"] as? String == "n")
                #expect(event["holderSinceMilliseconds"] is Int && event["holderProcess"] is Int)
            }
        }
    }

    /// Keys of older clients, of others, and of somebody who means harm.
    @Test
    func whatOthersWroteIsShownHarmlessly() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let random = String(repeating: "0", count: 32)
            let evil = "\u{1B}[2J\nx\u{1F}pid=-1\u{1F}since=9999999999999999999\u{1F}later=1\u{1F}note=a\u{7}b"
            for (name, value) in [
                ("old", random + ":old one"), ("foreign", "x\u{1F}host=h"), ("evil", random + ":\(evil)"),
            ] {
                _ = try await redis[0].send("SET", "redlock:lock:\(name)", value, "PX", "60000")
            }
            let old = try await Executable.run(["status", "old"], redis: redis.urls)
            #expect(old.output.hasPrefix("old: held by old one, "), "\(old.output)")
            #expect(!old.output.contains("since") && !old.output.contains(" on "), "\(old.output)")
            let foreign = try await Executable.run(["status", "foreign"], redis: redis.urls)
            #expect(foreign.output.hasPrefix("foreign: held by another kind of client, "), "\(foreign.output)")
            for command in [["status", "evil"], ["list"]] {
                let result = try await Executable.run(command, redis: redis.urls)
                #expect(result.exitCode == 0 && result.output.contains("?[2J?x"), "\(result.output)")
                #expect(result.output.contains("\"a?b\"") && !result.output.contains("since"), "\(result.output)")
                #expect(!result.output.contains(random))
                let hasControl = result.output.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" }
                #expect(!hasControl, "\(result.output)")
            }
        }
    }

    /// A terminal shows nothing of the separator, so that what is copied from there must do without.
    @Test
    func aTokenThatIsCopiedFromATerminalReleases() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            let acquire = "import pty; pty.spawn([\"\(Executable.path)\", \"acquire\", \"--label\", \"me\", \"a\"])"
            // The random part stays where it is.
            let line = """
                token=$(python3 -c '\(acquire)' < /dev/null)
                printf '%s' "${token#*:}"
                printf '%s' "$token" | \(Executable.path) release a
                """
            let result = try await Executable.run(["run", "outer", "-c", line], redis: redis.urls)
            #expect(result.output.hasPrefix("me\u{241F}host=") && !result.output.contains("\u{1F}"), "\(result.output)")
            #expect(result.exitCode == 0, "\(result.errors)")
        }
    }

    @Test
    func placesAreNamedOnlyWhereTheLabelDoesNot() {
        #expect(text(host: "web1", process: 7).place == "on web1, process 7")
        #expect(text(label: "root@web1:7", host: "web1", process: 7).place == nil)
        #expect(text(label: "root@web1:77", host: "web1", process: 7).place == "process 7")
        #expect(text(label: "root@web12:7", host: "web1", process: 7).place == "on web1")
        #expect(text(label: "web12 web1", host: "web1").place == nil)
        #expect(text(label: nil, host: "web1").described == "another kind of client on web1")
        #expect(text().whole == "me, 3s left unless renewed")
    }

    @Test
    func agesAreToldWithTheirBeginning() {
        let now = Duration.seconds(Self.time.timeIntervalSince1970)
        let clock = /since \d\d:\d\d:\d\d/
        let dated = /since \d\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d/
        #expect(text(since: now - .seconds(12)).age?.hasPrefix("for 12s, since ") == true)
        #expect(text(since: now - .milliseconds(12)).age?.hasPrefix("for 12ms, since ") == true)
        #expect(text(since: now - .seconds(12)).age?.firstMatch(of: clock) != nil)
        #expect(text(since: now - .seconds(86_400)).age?.firstMatch(of: dated) != nil)
        // The clock of the holder is ahead.
        #expect(text(since: now + .seconds(5)).age?.wholeMatch(of: clock) != nil)
        #expect(text(since: .seconds(2 * 86_400)).age?.contains("1970-01-0") == true)
        #expect(text(since: .milliseconds(253_402_300_799_999)).age?.wholeMatch(of: /since [-0-9: ]{19,20}/) != nil)
        #expect(text().age == nil)
    }
}

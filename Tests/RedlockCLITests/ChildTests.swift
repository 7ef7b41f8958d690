// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Redlock
@testable import RedlockCLI

@Suite
struct ChildEnvironmentTests {
    private static func entries(
        _ inherited: [String],
        names: [String] = ["report"],
        fencingToken: FencingToken? = nil,
        slot: Int? = nil,
        deadlineMilliseconds: Int64? = nil
    ) -> [String] {
        ChildEnvironment.entries(
            inherited: inherited.map { Array($0.utf8) },
            names: names,
            Self.grant(ownerLabel: "me@here:1", fencingToken: fencingToken, slot: slot),
            deadlineMilliseconds: deadlineMilliseconds
        ).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func grant(ownerLabel: String, fencingToken: FencingToken?, slot: Int?) -> Grant {
        Grant(
            ownerLabel: ownerLabel,
            fencingToken: fencingToken,
            slot: slot,
            waited: .zero,
            validUntil: { .now },
            isHeld: { true },
            releaseOutcome: { nil }
        )
    }

    /// Names end where the command begins, behind the first terminator that is no value of an option.
    @Test(arguments: [
        ("redlock run a -- true", "a true", 1), ("redlock run a b -- sh -c x", "a b sh -c x", 3),
        ("redlock run a -c x", "a", 0), ("redlock run a -- printf -- x", "a printf -- x", 3),
        ("redlock run -c -- a", "a", 1), ("redlock run -- true", "true", 1),
    ])
    func namesAndCommandAreToldApart(_ line: String, _ words: String, _ count: Int) {
        let all = line.split(separator: " ").map { Array($0.utf8) }
        let words = words.split(separator: " ").map(String.init)
        #expect(CommandArguments.countBehindTerminator(of: words, all: all) == count)
    }

    @Test
    func severalNamesAndSlotsAreTold() {
        #expect(
            Self.entries(["REDLOCK_SLOT=7"], names: ["a, b", "c"]) == [
                "REDLOCK_NAME=a, b\nc", "REDLOCK_OWNER=me@here:1", "REDLOCK_HELD=a, b\nc",
            ]
        )
        #expect(Self.entries([], slot: 0).last == "REDLOCK_SLOT=0")
    }

    @Test
    func passwordsAreRemovedAndTheLockIsNamed() {
        let entries = Self.entries([
            "PATH=/bin", "REDLOCK_REDIS_PASSWORD=hunter2", "REDISCLI_AUTH=hunter2", "REDLOCK_TOKEN=hunter2",
            "REDLOCK_REDIS=redis://:hunter2@a:1,redis://user:hun/hunter2@b,redis://user@c", "REDLOCK_REDISX=kept",
            "EMPTY=",
        ])
        #expect(
            entries == [
                "PATH=/bin", "REDLOCK_REDIS=redis://a:1,redis://b,redis://c", "REDLOCK_REDISX=kept", "EMPTY=",
                "REDLOCK_NAME=report", "REDLOCK_OWNER=me@here:1", "REDLOCK_HELD=report",
            ]
        )
    }

    @Test
    func theInnerLockReplacesTheOuterOneAndAllNamesAreHandedDown() {
        let outer = [
            "REDLOCK_NAME=outer", "REDLOCK_OWNER=outer", "REDLOCK_FENCING_TOKEN=1", "REDLOCK_DEADLINE_MS=1",
            "REDLOCK_HELD=first\nouter",
        ]
        let own = ["REDLOCK_NAME=report", "REDLOCK_OWNER=me@here:1", "REDLOCK_HELD=first\nouter\nreport"]
        #expect(Self.entries(outer) == own)
        let inner = Self.entries(outer, fencingToken: FencingToken(rawValue: 42), deadlineMilliseconds: 17)
        #expect(inner.suffix(2) == ["REDLOCK_FENCING_TOKEN=42", "REDLOCK_DEADLINE_MS=17"])
    }

    @Test
    func bytesThatAreNoTextAreKept() {
        let entry: [UInt8] = Array("ODD=".utf8) + [0xFF, 0xFE]
        let entries = ChildEnvironment.entries(
            inherited: [entry],
            names: ["a"],
            Self.grant(ownerLabel: "b", fencingToken: nil, slot: nil),
            deadlineMilliseconds: nil
        )
        #expect(entries.first == entry)
    }
}

@Suite
struct CommandArgumentsTests {
    @Test
    func aShellLineGoesToTheShell() {
        let arguments = CommandArguments.bytes(command: [], shellLine: "a && b", all: [])
        #expect(arguments.map { String(decoding: $0, as: UTF8.self) } == ["/bin/sh", "-c", "a && b"])
    }

    @Test
    func onlyTheCommandMayHaveBytesThatAreNoText() throws {
        let odd: [UInt8] = [0x61, 0xFF]
        func words(_ text: String) -> [[UInt8]] { text.split(separator: " ").map { Array($0.utf8) } }
        try CommandArguments.checkText(all: words("redlock run é -- echo") + [odd])
        for all in [words("redlock run") + [odd] + words("-- true"), words("redlock status --") + [odd]] {
            let error = #expect(throws: UsageError.self) { try CommandArguments.checkText(all: all) }
            #expect(error?.description.contains("UTF-8") == true)
        }
    }

    @Test
    func theCommandGetsTheBytesThatWereWritten() {
        let odd: [UInt8] = [0x61, 0xFF]
        let all = ["redlock", "run", "x", "--", "echo"].map { Array($0.utf8) } + [odd]
        let seen = ["echo", String(decoding: odd, as: UTF8.self)]
        #expect(CommandArguments.bytes(command: seen, shellLine: nil, all: all) == [Array("echo".utf8), odd])
    }
}

/// What a command that does not end is told, and what is told of it.
@Suite
struct CommandStopTests {
    private let start = ContinuousClock.now

    @Test
    func aCommandThatEndsWhenKilledHasNoObstacle() {
        var stop = CommandStop(.lost, killAt: start + .seconds(1))
        var isNews = stop.sent(SIGTERM, isKill: false, .delivered, at: start)
        #expect(!isNews)
        isNews = stop.sent(SIGKILL, isKill: true, .delivered, at: start + .seconds(1))
        #expect(!isNews)
        isNews = stop.sent(SIGKILL, isKill: true, .groupIsGone, at: start + .seconds(5))
        #expect(!isNews)
        #expect(stop.obstacle == nil)
    }

    @Test
    func aRefusedSignalIsNewsOnce() {
        var stop = CommandStop(.lost, killAt: start + .seconds(1))
        var isNews = stop.sent(SIGTERM, isKill: false, .refused("not permitted"), at: start)
        #expect(isNews)
        isNews = stop.sent(SIGKILL, isKill: true, .refused("not permitted"), at: start + .seconds(1))
        #expect(!isNews)
        #expect(stop.obstacle == "TERM cannot be sent to it: not permitted")
        #expect(stop.killAt > start + .seconds(1), "it may change its user yet")
    }

    @Test
    func whatOutlivesItsKillForLongCannotBeStopped() {
        var stop = CommandStop(.maximumHold, killAt: start)
        var isNews = stop.sent(SIGKILL, isKill: true, .delivered, at: start)
        #expect(!isNews)
        isNews = stop.sent(SIGKILL, isKill: true, .delivered, at: start + .milliseconds(900))
        #expect(!isNews)
        isNews = stop.sent(SIGKILL, isKill: true, .delivered, at: start + .seconds(1))
        #expect(isNews)
    }
}

@Suite
struct LossDeadlinesTests {
    @Test
    func theNoticeLeavesRoomButNeverMoreThanAThird() {
        let short = LossDeadlines(ttl: .seconds(10), killAfter: .seconds(1))
        #expect(short.margin == .milliseconds(1_100))
        let long = LossDeadlines(ttl: .seconds(9), killAfter: .seconds(60))
        #expect(long.margin == .seconds(3))
        let bounded = LossDeadlines(ttl: .seconds(9), killAfter: .seconds(60), maximumHold: .seconds(3))
        #expect(bounded.margin == .seconds(1))
    }

    @Test(arguments: [Duration.zero, .milliseconds(200), .seconds(5), .seconds(3_600)])
    func theKillComesBeforeTheEndOfValidity(killAfter: Duration) {
        let now = ContinuousClock.now
        for milliseconds in [10, 1_000, 10_000] {
            let deadlines = LossDeadlines(ttl: .milliseconds(milliseconds), killAfter: killAfter)
            let validUntil = now + deadlines.margin
            let kill = deadlines.killTime(toldAt: now, validUntil: validUntil)
            #expect(kill < validUntil)
            #expect(kill <= now + killAfter)
        }
    }
}

@Suite
struct ReporterTests {
    private static let unconfirmed = UnconfirmedRelease(
        resource: "a",
        nodes: [RedlockError.NodeReport(node: "n", outcome: "o\n")],
        longestRemaining: .seconds(9),
        restOfMinimumHold: nil
    )

    private static let time = Date(timeIntervalSince1970: 1.5)

    @Test
    func verbositySelects() {
        let reports: [(Report, Reporter.Verbosity)] = [
            (.error(CommandFailure(exitCode: 69, "e")), .quiet), (.warning("w"), .normal), (.overrun, .quiet),
            (.unstoppable(reason: "r", keepsLock: false, lockEndsAfter: .zero), .quiet),
            (.waiting(Obstacle()), .normal), (.releaseUnconfirmed(Self.unconfirmed), .normal),
            (.released(held: .seconds(1), stays: nil), .verbose),
        ]
        for (report, needed) in reports {
            for verbosity in [Reporter.Verbosity.quiet, .normal, .verbose] {
                let line = Reporter(verbosity: verbosity).line(for: report, time: Self.time)
                #expect((line != nil) == (verbosity >= needed))
            }
        }
        let json = Reporter(verbosity: .normal, usesJSON: true)
        #expect(json.line(for: .released(held: .seconds(1), stays: nil), time: Self.time) != nil)
    }

    @Test
    func everyEventIsOneJSONObjectInOneLine() throws {
        let holderFields: Set = [
            "holder", "holderSinceMilliseconds", "holderHost", "holderProcess", "holderNote",
        ]
        let reports: [(Report, String, Set<String>)] = [
            (
                .waiting(Obstacle(holder: LockStatus.Holder(label: "h\n\"", remaining: nil))), "waiting",
                holderFields.union(["holderRemainingMilliseconds", "otherHolders", "nodesWithoutVote"])
            ),
            (
                .acquired(owner: "o", fencingToken: nil, slot: nil, waited: .zero, validity: .seconds(9)), "acquired",
                ["owner", "fencingToken", "slot", "waitedMilliseconds", "validityMilliseconds"]
            ),
            (
                .lost(reason: .lost, signal: SignalName(number: SIGTERM), killAfter: .zero), "lost",
                ["reason", "signal", "killAfterMilliseconds"]
            ),
            (.released(held: .seconds(2), stays: .seconds(1)), "released", ["heldMilliseconds", "staysMilliseconds"]),
            (
                .releaseUnconfirmed(Self.unconfirmed), "releaseUnconfirmed",
                ["staysMilliseconds", "longestRemainingMilliseconds", "nodes"]
            ),
            (
                .unstoppable(reason: "r", keepsLock: true, lockEndsAfter: .seconds(1)), "unstoppable",
                ["reason", "keepsLock", "lockEndsAfterMilliseconds"]
            ),
            (.overrun, "overrun", []),
            (.signal(SignalName(number: SIGHUP)), "signal", ["signal"]),
            (.exited(code: 143, signal: SignalName(number: SIGTERM)), "exited", ["exitCode", "signal"]),
            (.error(CommandFailure(exitCode: 1, "m\u{1}\\")), "error", ["code", "message", "exitCode"]),
            (
                .error(CommandFailure(exitCode: 1, code: "timedOut", "m")), "error",
                holderFields.union(["otherHolders", "code", "message", "exitCode"])
            ),
            (.warning("é"), "warning", ["message"]),
        ]
        for (report, kind, fields) in reports {
            let reporter = Reporter(usesJSON: true, resource: "na\"me")
            let line = try #require(reporter.line(for: report, time: Self.time))
            #expect(!line.contains("\n"))
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(object["event"] as? String == kind)
            #expect(object["resource"] as? String == "na\"me")
            #expect(object["timeMilliseconds"] as? Int == 1_500)
            #expect(Set(object.keys) == fields.union(["event", "resource", "timeMilliseconds"]))
        }
    }

    @Test
    func foreignTextCannotTearALineApart() throws {
        let reporter = Reporter(verbosity: .verbose, resource: "a\u{1B}[2J")
        let obstacle = Obstacle(holder: LockStatus.Holder(label: "x\r\nroot", remaining: nil))
        let line = try #require(reporter.line(for: .waiting(obstacle), time: Self.time))
        #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control })
    }
}

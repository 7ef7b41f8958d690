// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// `redlock elect`: the command runs where its candidate leads.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ElectTests {
    @Test
    func exitsAsTheCommandDid() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let ended = try await Executable.run(["elect", "job", "-c", "exit 3"], redis: redis.urls)
            #expect(ended.exitCode == 3, "\(ended.errors)")
            let line = "echo $REDLOCK_NAME $REDLOCK_OWNER $REDLOCK_FENCING_TOKEN"
            let variables = try await Executable.run(
                ["elect", "--identity", "one", "job", "-c", line],
                redis: redis.urls
            )
            let words = variables.output.split(separator: " ")
            #expect(words.prefix(2) == ["job", "one"])
            #expect(words.count == 3, "\(variables.output)")
            // The leadership was given up, and the history tells by whom.
            let history = try await Executable.run(["elect", "--history", "--json", "job"], redis: redis.urls).object()
            let terms = try #require(history["terms"] as? [[String: Any]])
            #expect(terms.map { $0["ending"] as? String } == ["done", "done"])
            #expect(terms.last?["leader"] as? String == "one")
            #expect(history["leader"] is NSNull)
            #expect(try #require(history["candidates"] as? [Any]).isEmpty)
        }
    }

    @Test(
        "One candidate's command runs at a time; after a kill and after a handover it is another's, with a higher term"
    )
    func oneCommandRunsAtATime() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let folder = try TermFolder()
            var candidates: [String: Executable.Running] = [:]
            for identity in ["a", "b", "c"] { candidates[identity] = try folder.candidate(identity, redis) }
            try await eventually("the first term") { folder.terms.count == 1 }
            let first = folder.terms[0]
            candidates[first.identity]?.send(SIGKILL)
            try await eventually("the second term") { folder.terms.count == 2 }
            let second = folder.terms[1]
            #expect(second.identity != first.identity && second.number > first.number)
            let third = try #require(["a", "b", "c"].first { $0 != first.identity && $0 != second.identity })
            let handover = try await Executable.run(
                ["elect", "--ttl", "2s", "--handover", third, "job"],
                redis: redis.urls
            )
            #expect(handover.exitCode == 0, "\(handover.errors)")
            try await eventually("the third term") { folder.terms.count == 3 }
            #expect(folder.terms[2].identity == third && folder.terms[2].number > second.number)
            let shown = try await Executable.run(["elect", "--history", "job"], redis: redis.urls).output
            #expect(shown.contains("job: led by \(third)"))
            #expect(shown.contains("handed over to \(third)"))
            #expect(shown.contains("did not say"))
            // It was stopped as `run` stops its command, and its candidate campaigns again.
            #expect(candidates[second.identity]?.errors.contains("the term ended and the command was stopped") == true)
            let nobody = try await Executable.run(
                ["elect", "--ttl", "2s", "--handover", "nobody", "job"],
                redis: redis.urls
            )
            #expect(nobody.exitCode == 1)
            #expect(nobody.errors.contains("nobody called \"nobody\" campaigns"))
            for candidate in candidates.values { candidate.send(SIGTERM) }
            for (identity, candidate) in candidates where identity != first.identity {
                #expect(try await candidate.result().exitCode == 128 + SIGTERM)
            }
            #expect(folder.overlaps == 0)
        }
    }

    @Test
    func aCommandThatLosesItsTermIsStoppedAndRunAgain() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let folder = try TermFolder()
            let candidate = try folder.candidate("a", redis)
            try await eventually("the first term") { folder.terms.count == 1 }
            for server in redis.servers.prefix(2) { try await server.pause() }
            try await eventually("the command is stopped") { folder.runningCount == 0 }
            for server in redis.servers.prefix(2) { try await server.resume() }
            try await eventually("the second term") { folder.terms.count == 2 }
            candidate.send(SIGTERM)
            #expect(try await candidate.result().exitCode == 128 + SIGTERM)
            #expect(folder.runningCount == 0)
        }
    }

    @Test("Whoever is told to end while its command is stopped for the end of a term does not run it again")
    func signalsAtTheEndOfATermCount() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let folder = try TermFolder()
            let candidate = try folder.candidate("a", redis, pause: 0.5)
            try await eventually("the first term") { folder.terms.count == 1 }
            for server in redis.servers.prefix(2) { try await server.pause() }
            try await eventually("the command is told to end") { folder.isStopping }
            candidate.send(SIGTERM)
            for server in redis.servers.prefix(2) { try await server.resume() }
            #expect(try await candidate.result().exitCode == 128 + SIGTERM)
            #expect(folder.terms.count == 1)
        }
    }

    @Test
    func observersSeeWhoLeads() async throws {
        try await withEnrolledRedis(nodes: 3) { redis in
            let observer = try Executable.Running(
                ["elect", "--observe", "--json", "job"],
                environment: Executable.environment(redis.urls)
            )
            try await eventually { observer.output.contains(#""event":"vacant""#) }
            let folder = try TermFolder()
            let candidate = try folder.candidate("a", redis)
            try await eventually {
                observer.output.contains(#""event":"led""#) && observer.output.contains(#""leader":"a""#)
            }
            candidate.send(SIGTERM)
            _ = try await candidate.result()
            try await eventually { observer.output.components(separatedBy: #""event":"vacant""#).count == 3 }
            observer.send(SIGINT)
            #expect(try await observer.result().exitCode == 0)
        }
    }

    @Test
    func wrongUsageIsExplained() async throws {
        for (arguments, message) in [
            (["elect", "job"], "no command"), (["elect", "a", "b", "--", "true"], "one name"),
            (["elect", "--observe", "job", "--", "true"], "run no command"),
            (["elect", "--observe", "--history", "job"], "exclude each other"),
            (["elect", "--priority", "101", "job", "--", "true"], "between -100 and 100"),
            (["elect", "--compatible", "job", "--", "true"], "--compatible"),
            (["elect", "--identity", "", "job", "--", "true"], "identity"),
        ] {
            let result = try await Executable.run(arguments, redis: ["redis://127.0.0.1:1"])
            #expect(result.exitCode == 64, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(message), "\(arguments): \(result.errors)")
        }
    }
}

/// What the commands of candidates write: a line for each term, and who is at work.
private final class TermFolder {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "redlock-elect-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data().write(to: folder.appending(path: "terms"))
        try Data().write(to: folder.appending(path: "overlaps"))
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    /// A candidate whose command notes its term and works until it is told to end.
    ///
    /// - Parameter pause: how long it takes to end, in seconds.
    func candidate(_ identity: String, _ redis: LocalRedisSet, pause: Double = 0) throws -> Executable.Running {
        let line = """
            cd '\(folder.path)'
            for other in running-*; do
                if [ -e "$other" ] && kill -0 "${other#running-}" 2>/dev/null; then echo "$other" >>overlaps; fi
            done
            : >running-$$
            trap 'trap "" TERM; : >stopping; sleep \(pause); rm -f running-$$; exit 143' TERM
            echo "$REDLOCK_OWNER $REDLOCK_FENCING_TOKEN" >>terms
            while :; do sleep 0.02; done
            """
        return try Executable.Running(
            ["elect", "--ttl", "2s", "--identity", identity, "job", "-c", line],
            environment: Executable.environment(redis.urls)
        )
    }

    var terms: [(identity: String, number: Int64)] {
        lines("terms").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let number = Int64(words[1]) else { return nil }
            return (String(words[0]), number)
        }
    }

    var isStopping: Bool { FileManager.default.fileExists(atPath: folder.appending(path: "stopping").path) }

    var overlaps: Int { lines("overlaps").count }

    var runningCount: Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.count { $0.hasPrefix("running-") }
    }

    private func lines(_ name: String) -> [Substring] {
        let text = (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? ""
        return text.split(separator: "\n")
    }
}

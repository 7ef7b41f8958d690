// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import LocalRedis

extension LocalCommand {
    /// The set, and the servers of it that a command is about.
    struct NodeOptions: ParsableArguments {
        @Argument(help: ArgumentHelp("The numbers of the servers, from 1.", valueName: "node"))
        var nodes: [Int]

        @OptionGroup var set: SetOptions

        /// All of them are looked up before the first is touched.
        func servers() throws -> [LocalRedisServer] {
            let all = try set.load().servers
            return try nodes.map { number in
                guard all.indices.contains(number - 1) else {
                    throw Failure(
                        "there is no node \(number); the nodes in \(set.path) are 1 to \(all.count)",
                        exitCode: EX_USAGE
                    )
                }
                return all[number - 1]
            }
        }

        func forEach(saying what: String, _ body: (LocalRedisServer) async throws -> Void) async throws {
            try await LocalCommand.reportingErrors {
                for server in try servers() {
                    try await body(server)
                    LocalCommand.say("node \(server.number) (\(server.url)) \(what)")
                }
            }
        }
    }

    struct Kill: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End servers as a crash does (KILL).",
            discussion: "EXAMPLE\n  redlock local kill 2 3"
        )
        @OptionGroup var target: NodeOptions

        func run() async throws {
            try await target.forEach(saying: "is dead") { server in
                guard server.isRunning else { throw Failure("node \(server.number) is not running") }
                await server.kill()
            }
        }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make servers hang (STOP): connections stay open and nothing answers.",
            discussion: "EXAMPLE\n  redlock local pause 1; redlock local resume 1"
        )
        @OptionGroup var target: NodeOptions

        func run() async throws {
            try await target.forEach(saying: "is paused") { try await $0.pause() }
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let paused servers go on (CONT).",
            discussion: "EXAMPLE\n  redlock local resume 1"
        )
        @OptionGroup var target: NodeOptions

        func run() async throws {
            try await target.forEach(saying: "goes on") { try await $0.resume() }
        }
    }

    struct Restart: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start servers again on their ports; running ones are stopped before.",
            discussion: """
                A server that keeps its data keeps its vote. One that comes back without (--empty, or a set that was \
                started with --no-persistence) has no vote until every lock that it forgot has ended, 31 s later: \
                `redlock doctor` shows it.

                EXAMPLES
                  redlock local restart 2
                  redlock local restart 2 --empty        # as after a lost disk
                """
        )
        @Flag(name: .customLong("empty"), help: "Remove the data before the start.")
        var isEmptied = false

        @OptionGroup var target: NodeOptions

        func run() async throws {
            try await LocalCommand.reportingErrors {
                let lock =
                    LocalRedisSet.exists(in: target.set.path) ? try await LocalSetLock(path: target.set.path) : nil
                defer { withExtendedLifetime(lock) {} }
                try await target.forEach(saying: "runs") { try await $0.restart(isEmptied ? .emptied : .kept) }
            }
        }
    }
}

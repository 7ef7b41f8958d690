// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import LocalRedis
import RedisTransport
import Redlock

extension LocalCommand {
    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start the servers and print the line that makes redlock use them.",
            discussion: """
                Prints one line for the shell on standard output, and everything for people on standard error:

                  eval "$(redlock local up)"

                With servers already there it prints the same line again; servers stopped by \
                'redlock local down --keep-data' or by a reboot are started again with their data.

                Locks work at once: servers that are started without data are enrolled, as 'redlock init' does.
                """
        )

        @Option(help: ArgumentHelp("How many servers, 1 to 99 (default: 5).", valueName: "count"))
        var nodes: Int?

        @Option(
            help: ArgumentHelp(
                "The first of the consecutive ports (default: 7101); where one is taken, any free port is used.",
                valueName: "port"
            )
        )
        var basePort: Int?

        @Option(
            help: ArgumentHelp(
                "The server program, as a path or a name in PATH: Redis, Valkey, KeyDB (default: redis-server).",
                valueName: "path"
            )
        )
        var server: String?

        @Flag(
            name: .customLong("no-persistence"),
            help:
                "Keep nothing on disk: a restarted server is empty. By default every write is on disk before its answer."
        )
        var isWithoutPersistence = false

        @OptionGroup var set: SetOptions

        private static let defaultNodeCount = 5
        private static let defaultBasePort = 7101

        func validate() throws {
            let count = nodes ?? Self.defaultNodeCount
            guard (1...99).contains(count) else {
                throw ValidationError("--nodes \(count) makes no sense; it must be 1 to 99.")
            }
            let port = basePort ?? Self.defaultBasePort
            guard port > 0, port <= 65_536 - count else {
                throw ValidationError("--base-port \(port) leaves no room for \(count) ports; it must be 1 to 65535.")
            }
            if server?.isEmpty == true { throw ValidationError("--server is empty; name a program.") }
        }

        func run() async throws {
            try await LocalCommand.reportingErrors {
                try await LocalCommand.cancelledBySignals {
                    try await bringUp()
                }
            }
        }

        private func bringUp() async throws {
            let lock = try await LocalSetLock(path: set.path)
            defer { withExtendedLifetime(lock) {} }
            if LocalRedisSet.exists(in: set.path) { try await takeExisting() } else { try await startNew() }
        }

        /// Prints the line that the command was run for; servers of which the caller does not learn are not to stay.
        private func announce(_ servers: LocalRedisSet) throws {
            try LocalCommand.writeResult("export REDLOCK_REDIS=\(servers.urls.joined(separator: ","))")
        }

        private func startNew() async throws {
            var options = LocalRedisOptions(persistence: isWithoutPersistence ? .none : .appendOnlyAlways)
            options.lifetime = .detached
            if let program { options.executable = program }
            options.directory = set.path
            options.ports = .preferred(startingAt: basePort ?? Self.defaultBasePort)
            let servers = try await LocalRedisSet.start(nodes: nodes ?? Self.defaultNodeCount, options: options)
            do {
                try await enrol(servers)
                try Task.checkCancellation()
                try announce(servers)
            } catch {
                try await servers.remove()
                throw error
            }
            LocalCommand.say("started \(servers.servers.count) servers in \(set.path)")
        }

        private func takeExisting() async throws {
            let existing = try set.load()
            try refuseChanges(to: existing)
            let dead = existing.servers.filter { $0.state == .dead }
            if dead.count == existing.servers.count { return try await startAgain(existing) }
            try announce(existing)
            LocalCommand.say("the servers in \(set.path) were already started")
            tell(of: dead, "dead", remedy: "restart", in: existing)
            tell(of: existing.servers.filter { $0.state == .paused }, "paused", remedy: "resume", in: existing)
        }

        private func startAgain(_ existing: LocalRedisSet) async throws {
            try await existing.startAll()
            do {
                // With their data the servers have their records, and votes. Without, they are known to be new, as all of
                // them were started now.
                if existing.persistence == .none { try await enrol(existing) }
                try announce(existing)
            } catch {
                await existing.stop()
                throw error
            }
            LocalCommand.say("started the \(existing.servers.count) servers in \(set.path) again")
        }

        /// Has the votes of new servers count at once.
        ///
        /// - Throws: `CancellationError`. Servers that cannot be enrolled are of use all the same, after the quarantine.
        private func enrol(_ servers: LocalRedisSet) async throws {
            do {
                try await RedlockClient.enrolNewSet(endpoints: try servers.urls.map { try RedisEndpoint(url: $0) })
            } catch let error as CancellationError {
                throw error
            } catch {
                LocalCommand.say("warning: locks do not work at once: \(error)")
            }
        }

        private func tell(of servers: [LocalRedisServer], _ what: String, remedy: String, in set: LocalRedisSet) {
            guard !servers.isEmpty else { return }
            let numbers = servers.map { String($0.number) }.joined(separator: " ")
            let directory = self.set.directory.map { " --directory \($0)" } ?? ""
            LocalCommand.say(
                "\(servers.count) of \(set.servers.count) servers are \(what): redlock local \(remedy) \(numbers)\(directory)"
            )
        }

        /// The server program that was asked for; a path from this directory is good from any.
        private var program: String? {
            server.map { $0.utf8.contains(UInt8(ascii: "/")) ? URL(fileURLWithPath: $0).standardizedFileURL.path : $0 }
        }

        private func refuseChanges(to existing: LocalRedisSet) throws {
            let advice = "; run 'redlock local down' first, or use another --directory"
            let count = existing.servers.count
            if let nodes, nodes != count {
                throw Failure("--nodes \(nodes) does not fit the set of \(count) in \(set.path)\(advice)")
            }
            if let basePort, basePort != existing[0].port {
                throw Failure(
                    "--base-port \(basePort) does not fit the set at port \(existing[0].port) in \(set.path)\(advice)"
                )
            }
            if let program, program != existing.executable {
                throw Failure(
                    "--server \(program) does not fit the set in \(set.path), whose servers are \(existing.executable)"
                        + advice
                )
            }
            if isWithoutPersistence && existing.persistence != .none {
                throw Failure("--no-persistence does not fit the set in \(set.path), which keeps its data\(advice)")
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import LocalRedis

extension LocalCommand {
    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop all servers and remove their directory.",
            discussion: """
                EXAMPLES
                  redlock local down
                  redlock local down --keep-data
                  redlock local up       # the same servers again, with their data
                """
        )

        @Flag(help: "Only stop the servers; the next 'redlock local up' starts them again with their data.")
        var keepData = false

        @OptionGroup var set: SetOptions

        func run() async throws {
            try await LocalCommand.reportingErrors {
                guard LocalRedisSet.exists(in: set.path) else {
                    LocalCommand.say("there are no local servers in \(set.path)")
                    return
                }
                let lock = try await LocalSetLock(path: set.path)
                defer { withExtendedLifetime(lock) {} }
                let servers = try set.load()
                if keepData {
                    await servers.stop()
                    LocalCommand.say("stopped \(servers.servers.count) servers; their files stay in \(set.path)")
                } else {
                    try await servers.remove()
                    LocalCommand.say("stopped \(servers.servers.count) servers and removed \(set.path)")
                }
            }
        }
    }
}

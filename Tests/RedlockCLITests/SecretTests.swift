// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import RedisTransport
import Testing

@testable import Redlock
@testable import RedlockCLI

/// No part of a password or a passphrase is shown, whatever characters it has and wherever it is given.
@Suite(.timeLimit(.minutes(2)))
struct SecretTests {
    /// One for each character with a meaning in URLs, in lists or in JSON; every part that is long enough is a secret.
    static let passwords = [
        "#", "?", "/", "@", "%", ":", "[", "]", " ", ",", ";", "&", "%41", "%zz", "://", "\\", "\"", "'", "é", "+", "$",
    ].flatMap { ["57\($0)Wc903z", "Qk83x\($0)Wc903z"] }

    private func showsSecret(_ text: String) -> Bool {
        ["Wc903z", "Qk83x"].contains { text.lowercased().contains($0.lowercased()) }
    }

    /// What people see of settings: an error, or the endpoints and the warnings.
    private func shown(
        options: PartialSettings = PartialSettings(),
        environment: [String: String] = [:],
        file: PartialSettings = PartialSettings()
    ) -> String {
        do {
            let settings = try Settings.resolve(
                options: options,
                environment: PartialSettings(environment: environment),
                file: file
            )
            let endpoints = settings.endpoints.map { "\($0) \($0.address) \($0.name ?? "") \($0.nodeName)" }
            return (endpoints + settings.warnings).joined(separator: "\n")
        } catch {
            return "\(error)"
        }
    }

    private func childEnvironment(_ inherited: [String]) -> String {
        let grant = Grant(
            ownerLabel: "me",
            fencingToken: nil,
            slot: nil,
            waited: .zero,
            validUntil: { .now },
            isHeld: { true },
            releaseOutcome: { nil }
        )
        let entries = ChildEnvironment.entries(
            inherited: inherited.map { Array($0.utf8) },
            names: ["x"],
            grant,
            deadlineMilliseconds: nil
        )
        return entries.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    }

    @Test(arguments: passwords)
    func inNoTextAboutSettingsAndNotInTheEnvironmentOfTheCommand(_ password: String) {
        let urls = [
            "redis://user:\(password)@127.0.0.1:21001/0", "redis://:\(password)@a", "redis://\(password):x@a",
            "rediss://u:\(password)@a#name", "redis+unix://:\(password)@/tmp/r", "u:\(password)@a",
        ]
        for url in urls {
            for list in [url, "redis://b,\(url)", "\(url),redis://b"] {
                let variable = ["REDLOCK_REDIS": list]
                #expect(!showsSecret(shown(environment: variable)), "\(list): \(shown(environment: variable))")
                #expect(!showsSecret(childEnvironment(["REDLOCK_REDIS=\(list)"])), "\(list)")
                let fileList = shown(file: PartialSettings(redis: PartialSettings.urls(in: list)))
                #expect(!showsSecret(fileList), "\(list): \(fileList)")
            }
            let option = shown(options: PartialSettings(redis: [url]))
            #expect(!showsSecret(option), "\(url): \(option)")
            let file = shown(file: PartialSettings(redis: ["redis://b", url]))
            #expect(!showsSecret(file), "\(url): \(file)")
        }
        #expect(!showsSecret(shown(environment: ["REDLOCK_REDIS_PASSWORD": password])))
        #expect(!showsSecret(childEnvironment(["REDLOCK_TLS_KEY_PASSPHRASE=\(password)"])))
    }

    @Test
    func theSearchFindsWhatIsShown() {
        #expect(showsSecret(shown(environment: ["REDLOCK_REDIS": "redis://a#Wc903z"])))
        #expect(showsSecret(shown(file: PartialSettings(redis: ["redis+unix:///Qk83x"]))))
        #expect(showsSecret(childEnvironment(["REDLOCK_REDIS=redis://wc903z"])))
        #expect(showsSecret(childEnvironment(["ANOTHER=57#Wc903z"])))
    }

    /// Of a list that a comma tore apart nothing is told from the rest, so the command gets none of it.
    @Test
    func aListThatIsNoneIsTakenOutOfTheEnvironment() {
        #expect(!childEnvironment(["REDLOCK_REDIS=redis://:57,Wc903z@a"]).contains("REDLOCK_REDIS"))
        #expect(
            childEnvironment(["REDLOCK_REDIS=redis://u:p@a,redis://b"]).contains("REDLOCK_REDIS=redis://a,redis://b")
        )
    }

    /// The executable itself, where such a URL is wrong.
    @Test(arguments: ["#", "?", "/", "@", "%", " "])
    func aPasswordThatIsNotEncodedIsRefusedAndExplained(_ character: String) async throws {
        let url = "redis://user:57\(character)Wc903z@127.0.0.1:21001/0"
        let path = NSTemporaryDirectory() + "redlock-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let json = try JSONSerialization.data(withJSONObject: ["redis": [url]])
        _ = FileManager.default.createFile(atPath: path, contents: json, attributes: [.posixPermissions: 0o600])
        let command = ["-v", "-w", "1s", "x", "--", "env"]
        let results = [
            try await Executable.run(["run"] + command, redis: [url]),
            try await Executable.run(["run", "--config", path] + command),
        ]
        let code = String(Array(character.utf8)[0], radix: 16, uppercase: true)
        for result in results {
            #expect(result.exitCode == 64)
            #expect(result.errors.contains("must be written %\(code)"), "\(result.errors)")
            #expect(!showsSecret(result.errors + result.output), "\(result.errors)")
        }
        let option = try await Executable.run(["run", "--redis", url] + command)
        #expect(option.exitCode == 64 && option.errors.contains("REDLOCK_REDIS_PASSWORD"))
        #expect(!showsSecret(option.errors), "\(option.errors)")
    }

    /// The executable itself, where the password is right, with all that it tells and all that the command sees.
    @Test
    func aPasswordWithAnyCharacterWorksFromItsVariableAndEncodedInAURL() async throws {
        try await withEnrolledRedis(nodes: 1) { redis in
            for (number, password) in Self.passwords.enumerated() where number % 4 == 0 {
                let user = "user\(number)"
                try await redis[0].send("ACL", "SETUSER", user, "on", ">\(password)", "~*", "&*", "+@all")
                let encoded = try #require(password.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
                let address = "127.0.0.1:\(redis[0].port)"
                let runs: [(String, [String: String])] = [
                    ("redis://\(user)@\(address)", ["REDLOCK_REDIS_PASSWORD": password]),
                    ("redis://\(user):\(encoded)@\(address)", [:]),
                ]
                for (url, environment) in runs {
                    let result = try await Executable.run(
                        ["run", "-v", "--json", "x", "--", "env"],
                        redis: [url],
                        environment: environment
                    )
                    #expect(result.exitCode == 0, "\(password): \(result.errors)")
                    #expect(result.output.contains("REDLOCK_REDIS=redis://\(address)"))
                    #expect(!showsSecret(result.output + result.errors), "\(result.output)\(result.errors)")
                }
            }
        }
    }
}

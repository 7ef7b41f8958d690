// SPDX-License-Identifier: Apache-2.0

import Foundation
import RedisTransport
import Redlock
import Testing

@testable import RedlockCLI

@Suite
struct SettingsTests {
    private static func resolve(
        options: PartialSettings = PartialSettings(),
        environment: [String: String] = [:],
        file: PartialSettings = PartialSettings()
    ) throws -> Settings {
        try Settings.resolve(
            options: options,
            environment: PartialSettings(environment: environment),
            file: file
        )
    }

    @Test
    func optionsWinOverEnvironmentAndEnvironmentOverFile() throws {
        let file = PartialSettings(redis: ["redis://file"], ttl: .seconds(1), label: "file")
        let fromFile = try Self.resolve(file: file)
        #expect(fromFile.endpoints.map(\.description) == ["file:6379"])
        let environment = ["REDLOCK_REDIS": " redis://one , redis://two:1,"]
        let fromEnvironment = try Self.resolve(environment: environment, file: file)
        #expect(fromEnvironment.endpoints.map(\.description) == ["one:6379", "two:1"])
        #expect(fromEnvironment.values.label == "file")
        let options = PartialSettings(redis: ["redis://option"], ttl: .seconds(2))
        let fromOptions = try Self.resolve(options: options, environment: environment, file: file)
        #expect(fromOptions.endpoints.map(\.description) == ["option:6379"])
        #expect(fromOptions.values.ttl == .seconds(2))
    }

    @Test
    func withoutAnythingThereIsTheLocalServer() throws {
        let settings = try Self.resolve(environment: ["REDLOCK_REDIS_PASSWORD": ""])
        #expect(settings.nodesAreDefault)
        #expect(settings.endpoints.map(\.description) == ["127.0.0.1:6379"])
        #expect(settings.endpoints.first?.password == nil)
    }

    @Test(arguments: ["", " , ,"])
    func aVariableThatNamesNoServerIsAMistake(_ text: String) throws {
        let error = #expect(throws: UsageError.self) { try Self.resolve(environment: ["REDLOCK_REDIS": text]) }
        #expect(error?.description.contains("REDLOCK_REDIS") == true)
        let options = PartialSettings(redis: ["redis://option"])
        #expect(try Self.resolve(options: options, environment: ["REDLOCK_REDIS": text]).endpoints.count == 1)
    }

    @Test
    func aCommaInAPasswordIsExplainedAndThePasswordIsNotShown() {
        let variable = ["REDLOCK_REDIS": "redis://a,redis://:hunter2,swordfish@b"]
        let error = #expect(throws: UsageError.self) { try Self.resolve(environment: variable) }
        #expect(error?.description.contains("%2C") == true)
        #expect(error?.description.contains("swordfish") == false && error?.description.contains("hunter2") == false)
    }

    @Test
    func anEmptyLabelIsRefused() {
        #expect(throws: UsageError.self) { try Self.resolve(options: PartialSettings(label: "")) }
    }

    @Test
    func aNoteOfTheOptionsWinsAndAnEmptyOneIsRefused() throws {
        let file = PartialSettings(note: "file")
        #expect(try Self.resolve(file: file).values.note == "file")
        #expect(try Self.resolve(options: PartialSettings(note: "option"), file: file).values.note == "option")
        #expect(throws: UsageError.self) { try Self.resolve(options: PartialSettings(note: "")) }
    }

    @Test
    func thePasswordGoesToURLsWithoutOne() throws {
        let settings = try Self.resolve(environment: [
            "REDLOCK_REDIS": "redis://a,redis://:own@b,redis://user@c,redis+unix:///tmp/a@b.sock",
            "REDLOCK_REDIS_PASSWORD": "s/e@c:r%é",
        ])
        #expect(settings.endpoints.map(\.password) == ["s/e@c:r%é", "own", "s/e@c:r%é", "s/e@c:r%é"])
        #expect(settings.endpoints[2].username == "user")
        #expect(settings.endpoints[3].description == "/tmp/a@b.sock")
    }

    @Test(arguments: [
        "redis://:hunter2@host", "redis://user:hunter2@host", "redis://user:hun/hunter2@host", ":hunter2@host",
    ])
    func aPasswordAmongTheOptionsIsRefusedAndNotShown(_ url: String) throws {
        let error = #expect(throws: UsageError.self) {
            try Self.resolve(options: PartialSettings(redis: [url]))
        }
        let text = try #require(error?.description)
        #expect(!text.contains("hunter2"))
        #expect(text.contains("REDLOCK_REDIS_PASSWORD") && text.contains("--config"))
    }

    @Test(arguments: ["", "host", "http://host", "redis://", "redis://host:99999", "redis://host/x"])
    func malformedURLsAreRefused(_ url: String) {
        #expect(throws: UsageError.self) { try Self.resolve(options: PartialSettings(redis: [url])) }
    }

    @Test
    func theCompatibleProfileHasNoPrefix() throws {
        let file = PartialSettings(isCompatible: true, keyPrefix: "p:")
        #expect(throws: UsageError.self) { try Self.resolve(file: file) }
        #expect(throws: UsageError.self) { try Self.resolve(options: PartialSettings(isCompatible: true), file: file) }
        let settings = try Self.resolve(options: PartialSettings(isCompatible: false), file: file)
        #expect(settings.configuration.keyPrefix == "p:")
        try settings.requireStandardProfile(for: "doctor")
        let compatible = try Self.resolve(file: PartialSettings(isCompatible: true))
        #expect(throws: UsageError.self) { try compatible.requireStandardProfile(for: "doctor") }
    }

    @Test(arguments: [
        ("standard", DriftProfile.standard), ("strict", .strict), ("5%", DriftProfile(rate: 0.05)),
        ("0.5%", DriftProfile(rate: 0.005)), ("40%", DriftProfile(rate: 0.4)), ("0%", DriftProfile(rate: 0)),
    ])
    func driftsAreRead(_ text: String, _ drift: DriftProfile) throws {
        #expect(try DriftArgument.parse(text) == drift)
    }

    @Test(arguments: [
        "", "%", ".%", "5", "40.1%", "-1%", "+1%", "1e1%", "nan%", "inf%", "1.2.3%", "5 %", "٣%", "loose",
    ])
    func driftsThatAreNoneAreRefused(_ text: String) {
        #expect(throws: UsageError.self) { try DriftArgument.parse(text) }
    }

    @Test
    func tlsFilesNeedATLSURL() throws {
        let files = PartialSettings(authorityFile: "ca.pem")
        #expect(throws: UsageError.self) { try Self.resolve(options: files) }
        let settings = try Self.resolve(options: files.or(PartialSettings(redis: ["redis://a", "rediss://b"])))
        #expect(settings.endpoints[0].tls == nil)
        #expect(settings.endpoints[1].tls?.certificateAuthorityFile == "ca.pem")
    }
}

@Suite
struct ConfigurationFileTests {
    private static func load(_ text: String, permissions: Int = 0o600) async throws -> ConfigurationFile {
        let path = NSTemporaryDirectory() + "redlock-configuration-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(
            FileManager.default.createFile(
                atPath: path,
                contents: Data(text.utf8),
                attributes: [.posixPermissions: permissions]
            )
        )
        return try await ConfigurationFile.load(path: path)
    }

    @Test
    func everyKeyIsRead() async throws {
        let file = try await Self.load(
            """
            {"redis": ["redis://a", "redis://b"], "password": "secret", "ttl": "20s", "wait": 1.5,
             "conflict-exit-code": 99, "signal": "INT", "kill-after": 3, "max-hold": "1h", "label": "me",
             "note": "for the books", "node-timeout": "50ms", "max-ttl": "1m", "compatible": false, "quorum": 2, "drift": "5%", "prefix": "p:",
             "tls-ca": "ca", "tls-certificate": "certificate", "tls-key": "key", "tls-key-passphrase": "horse"}
            """
        )
        #expect(
            file.settings
                == PartialSettings(
                    redis: ["redis://a", "redis://b"],
                    password: "secret",
                    ttl: .seconds(20),
                    wait: .milliseconds(1_500),
                    conflictExitCode: 99,
                    signal: try SignalName(parsing: "INT"),
                    killAfter: .seconds(3),
                    maximumHold: .seconds(3_600),
                    label: "me",
                    note: "for the books",
                    nodeTimeout: .milliseconds(50),
                    maximumTTL: .seconds(60),
                    authorityFile: "ca",
                    certificateFile: "certificate",
                    keyFile: "key",
                    keyPassphrase: "horse",
                    isCompatible: false,
                    quorum: 2,
                    drift: DriftProfile(rate: 0.05),
                    keyPrefix: "p:"
                )
        )
        #expect(file.warnings == [])
    }

    @Test
    func serversMayBeOneString() async throws {
        #expect(
            try await Self.load(#"{"redis": "redis://a, redis://b"}"#).settings.redis == ["redis://a", "redis://b"]
        )
        #expect(try await Self.load("{}").settings == PartialSettings())
    }

    @Test(arguments: [
        (#"{"tll": "1s"}"#, "tll"), (#"{"ttl": "soon"}"#, "ttl"), (#"{"ttl": {"a": 1}}"#, "ttl"),
        (#"{"ttl": null}"#, "ttl"),
        (#"{"wait": -1}"#, "wait"), (#"{"redis": 5}"#, "redis"), (#"{"redis": []}"#, "redis"),
        (#"{"label": 5}"#, "label"), (#"{"note": 5}"#, "note"), (#"{"conflict-exit-code": 256}"#, "conflict-exit-code"),
        ("[]", "object"),
        ("{", "JSON"), ("", "empty"), (" \n", "empty"), (#"{"password": ["hunter2"]}"#, "password"),
        (#"{"signal": "NOPE"}"#, "signal"), (#"{"compatible": "yes"}"#, "compatible"),
        (#"{"quorum": 0}"#, "quorum"), (#"{"quorum": 1.5}"#, "quorum"),
        (#"{"drift": 5}"#, "drift"), (#"{"drift": "-1%"}"#, "drift"), (#"{"prefix": 5}"#, "prefix"),
    ])
    func whatIsWrongIsNamed(_ text: String, _ named: String) async throws {
        let error = await #expect(throws: UsageError.self) { try await Self.load(text) }
        let message = try #require(error?.description)
        #expect(message.contains(named), "\(message)")
        #expect(message.contains(".json"))
        #expect(!message.contains("hunter2"))
    }

    @Test
    func aMissingFileIsNamed() async {
        let error = await #expect(throws: UsageError.self) {
            try await ConfigurationFile.load(path: "/nonexistent/file")
        }
        #expect(error?.description.contains("/nonexistent/file") == true)
    }

    @Test
    func aPasswordThatOthersMayReadIsWarnedOf() async throws {
        let secret = #"{"redis": ["redis://:hunter2@a"]}"#
        let warnings = try await Self.load(secret, permissions: 0o644).warnings
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains("hunter2") == false)
        #expect(try await Self.load(secret, permissions: 0o600).warnings == [])
        #expect(try await Self.load(#"{"ttl": "5s"}"#, permissions: 0o644).warnings == [])
    }
}

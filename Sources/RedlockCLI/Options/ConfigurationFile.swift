// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation

/// The JSON file of `--config`.
///
/// Its keys are the long options, and `password`; any other key is refused, because a misspelt option that is silently
/// ignored is found too late.
struct ConfigurationFile: Sendable {
    let settings: PartialSettings
    let warnings: [String]

    private static let redis = "redis"
    private static let password = "password"
    private static let conflictExitCode = "conflict-exit-code"
    // Computed, as key paths cannot be shared between threads.
    private static var durations: [String: WritableKeyPath<PartialSettings, Duration?>] {
        [
            "ttl": \.ttl, "wait": \.wait, "kill-after": \.killAfter, "max-hold": \.maximumHold,
            "node-timeout": \.nodeTimeout, "max-ttl": \.maximumTTL,
        ]
    }
    private static var texts: [String: WritableKeyPath<PartialSettings, String?>] {
        ["label": \.label, "tls-ca": \.authorityFile, "tls-certificate": \.certificateFile, "tls-key": \.keyFile]
    }

    /// Every key that a file may have.
    static let keys = [redis, password, conflictExitCode, "signal"] + durations.keys.sorted() + texts.keys.sorted()

    /// - Throws: `UsageError` that names the file, and the key where there is one; never a value, which may be secret.
    static func load(path: String) async throws -> ConfigurationFile {
        let object = try topLevelObject(path: path)
        let unknown = object.keys.filter { !keys.contains($0) }.sorted()
        guard unknown.isEmpty else {
            throw UsageError(
                "\(path): unknown key \"\(unknown[0])\"; known are \(keys.sorted().joined(separator: ", "))"
            )
        }
        let provider: FileProvider<JSONSnapshot>
        do {
            let location = InMemoryProvider(values: ["filePath": ConfigValue(.string(path), isSecret: false)])
            provider = try await FileProvider<JSONSnapshot>(config: ConfigReader(provider: location))
        } catch {
            throw UsageError("\(path): a list must hold values of one kind only")
        }
        var settings = PartialSettings()
        let reader = Reader(path: path, reader: ConfigReader(provider: provider), presentKeys: Set(object.keys))
        settings.redis = try reader.urls(redis)
        settings.password = try reader.text(password)
        settings.conflictExitCode = try reader.value(conflictExitCode) { try exitCodeOption($0) }
        settings.signal = try reader.value("signal") { try SignalName(parsing: $0) }
        for (key, destination) in durations {
            settings[keyPath: destination] = try reader.value(key) { try DurationArgument.parse($0) }
        }
        for (key, destination) in texts { settings[keyPath: destination] = try reader.text(key) }
        return ConfigurationFile(settings: settings, warnings: warnings(path: path, settings: settings))
    }

    private static func topLevelObject(path: String) throws -> [String: Any] {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw UsageError("\(path): the configuration file cannot be read: \(reason(error))")
        }
        do {
            guard let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] else {
                throw UsageError("\(path): the configuration file must hold one JSON object")
            }
            return object
        } catch let error as UsageError {
            throw error
        } catch {
            throw UsageError("\(path): the configuration file is not valid JSON")
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileReadNoSuchFile?: "no such file"
        case .fileReadNoPermission?: "permission denied"
        default: "not a readable file"
        }
    }

    private static func warnings(path: String, settings: PartialSettings) -> [String] {
        let holdsSecret = settings.password != nil || (settings.redis ?? []).contains(where: RedisURL.hasPassword)
        var information = stat()
        guard holdsSecret, stat(path, &information) == 0, information.st_mode & 0o044 != 0 else { return [] }
        return ["\(path) holds a password and others may read it; run `chmod 600 \(path)`"]
    }
}

/// Reads values whose presence is known, so that a value of the wrong kind is told apart from an absent one.
private struct Reader {
    let path: String
    let reader: ConfigReader
    let presentKeys: Set<String>

    func text(_ key: String) throws -> String? {
        guard presentKeys.contains(key) else { return nil }
        guard let text = reader.string(forKey: ConfigKey([key]), isSecret: true) else {
            throw UsageError("\(path): \"\(key)\" must be a string")
        }
        return text
    }

    /// A value that people write as a string or as a number (`"ttl": 10`).
    func value<Value>(_ key: String, _ parse: (String) throws -> Value) throws -> Value? {
        guard presentKeys.contains(key) else { return nil }
        let configKey = ConfigKey([key])
        let text =
            reader.string(forKey: configKey) ?? reader.int(forKey: configKey).map(String.init)
            ?? reader.double(forKey: configKey).map { String($0) }
        guard let text else { throw UsageError("\(path): \"\(key)\" must be a string or a number") }
        do {
            return try parse(text)
        } catch {
            throw UsageError("\(path): \(key): \(error)")
        }
    }

    func urls(_ key: String) throws -> [String]? {
        guard presentKeys.contains(key) else { return nil }
        let configKey = ConfigKey([key])
        let urls =
            reader.stringArray(forKey: configKey, isSecret: true)
            ?? reader.string(forKey: configKey, isSecret: true).map(PartialSettings.urls)
        guard let urls, !urls.isEmpty else {
            throw UsageError("\(path): \"\(key)\" must be a list of URLs, or one string with commas")
        }
        return urls
    }
}

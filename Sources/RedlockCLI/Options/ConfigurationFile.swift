// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation
import RedisTransport

/// The JSON file of `--config`.
///
/// Its keys are the long options, `password` and `tls-key-passphrase`; any other key is refused, because a misspelt option that is silently
/// ignored is found too late.
struct ConfigurationFile: Sendable {
    let settings: PartialSettings
    let warnings: [String]

    private static let redis = "redis"
    private static let password = "password"
    private static let conflictExitCode = "conflict-exit-code"
    private static let compatible = "compatible"
    // Computed, as key paths cannot be shared between threads.
    private static var durations: [String: WritableKeyPath<PartialSettings, Duration?>] {
        [
            "ttl": \.ttl, "wait": \.wait, "kill-after": \.killAfter, "max-hold": \.maximumHold,
            "min-hold": \.minimumHold, "node-timeout": \.nodeTimeout, "max-ttl": \.maximumTTL,
        ]
    }
    private static var texts: [String: WritableKeyPath<PartialSettings, String?>] {
        [
            "label": \.label, "note": \.note, "prefix": \.keyPrefix,
            "tls-ca": \.authorityFile, "tls-certificate": \.certificateFile, "tls-key": \.keyFile,
            "tls-key-passphrase": \.keyPassphrase,
        ]
    }

    /// Every key that a file may have.
    static let keys =
        [redis, password, compatible, "quorum", "drift", conflictExitCode, "signal", "record"] + durations.keys.sorted()
        + texts.keys.sorted()

    /// - Throws: `UsageError` that names the file, and the key where there is one; never a value, which may be secret.
    static func load(path: String) async throws -> ConfigurationFile {
        guard !path.isEmpty else { throw UsageError("--config is empty; name a file") }
        let data = try contents(path: path)
        keepFromCommand(path)
        let object = try topLevelObject(data, path: path)
        let unknown = object.keys.filter { !keys.contains($0) }.sorted()
        guard unknown.isEmpty else {
            throw UsageError(
                "\(path): unknown key \"\(unknown[0])\"; known are \(keys.sorted().joined(separator: ", "))"
            )
        }
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        // A value of another kind stays out, and is found to be of the wrong kind when it is asked for.
        for (key, value) in object { values[AbsoluteConfigKey([key])] = value.configValue }
        let provider = InMemoryProvider(name: path, values: values)
        var settings = PartialSettings()
        let reader = Reader(path: path, reader: ConfigReader(provider: provider), presentKeys: Set(object.keys))
        settings.redis = try reader.urls(redis)
        settings.password = try reader.text(password)
        settings.isCompatible = try reader.boolean(compatible)
        settings.quorum = try reader.value("quorum") { try quorumOption($0) }
        settings.drift = try reader.value("drift") { try DriftArgument.parse($0) }
        settings.conflictExitCode = try reader.value(conflictExitCode) { try exitCodeOption($0) }
        settings.recordedGrants = try reader.value("record") { try recordOption($0) }
        settings.signal = try reader.value("signal") { try SignalName(parsing: $0) }
        for (key, destination) in durations {
            settings[keyPath: destination] = try reader.value(key) { try DurationArgument.parse($0) }
        }
        for (key, destination) in texts { settings[keyPath: destination] = try reader.text(key) }
        return ConfigurationFile(settings: settings, warnings: warnings(path: path, settings: settings))
    }

    private static func contents(path: String) throws -> Data {
        let contents: [UInt8]
        do throws(SettingsFile.Failure) {
            contents = try SettingsFile.contents(path: path)
        } catch {
            throw UsageError("\(path): the configuration file cannot be read: \(error)")
        }
        guard contents.contains(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else {
            throw UsageError("\(path): the configuration file is empty; it must hold one JSON object")
        }
        return Data(contents)
    }

    /// A file that came as a descriptor (`--config /dev/fd/3`, `--config <(…)`) may hold passwords and is meant for us: the
    /// command, which inherits every other descriptor, does not find it.
    private static func keepFromCommand(_ path: String) {
        for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
            guard let descriptor = Int32(path.dropFirst(folder.count)), descriptor > STDERR_FILENO else { continue }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
    }

    private static func topLevelObject(_ data: Data, path: String) throws -> [String: JSONValue] {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: data) else {
            throw UsageError("\(path): the configuration file is not valid JSON")
        }
        guard case .object(let object) = value else {
            throw UsageError("\(path): the configuration file must hold one JSON object")
        }
        return object
    }

    private static func warnings(path: String, settings: PartialSettings) -> [String] {
        let holdsSecret =
            settings.password != nil || settings.keyPassphrase != nil
            || (settings.redis ?? []).contains { RedisURLText($0).hasPassword }
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

    func boolean(_ key: String) throws -> Bool? {
        guard presentKeys.contains(key) else { return nil }
        guard let value = reader.bool(forKey: ConfigKey([key])) else {
            throw UsageError("\(path): \"\(key)\" must be true or false")
        }
        return value
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

/// Any JSON.
private enum JSONValue: Decodable {
    case null
    case boolean(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let values = try? container.decode([JSONValue].self) {
            self = .array(values)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    /// The value as a setting; nil for what no setting is.
    var configValue: ConfigValue? {
        let content: ConfigContent? =
            switch self {
            case .boolean(let value): .bool(value)
            case .integer(let value): .int(value)
            case .number(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let values): Self.texts(values).map { .stringArray($0) }
            case .null, .object: nil
            }
        return content.map { ConfigValue($0, isSecret: true) }
    }

    private static func texts(_ values: [JSONValue]) -> [String]? {
        var texts: [String] = []
        for value in values {
            guard case .string(let text) = value else { return nil }
            texts.append(text)
        }
        return texts
    }
}

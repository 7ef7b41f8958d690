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
        let provider = try provider(data, keys: object.keys, path: path)
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

    /// Read once and to its end: a pipe gives its bytes only once, and has no size.
    private static func contents(path: String) throws -> Data {
        func failure(_ reason: String) -> UsageError {
            UsageError("\(path): the configuration file cannot be read: \(reason)")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(String(cString: strerror(errno)).lowercased()) }
        defer { close(descriptor) }
        var data = Data()
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(String(cString: strerror(errno)).lowercased()) }
            data.append(contentsOf: buffer.prefix(count))
            guard data.count <= 1 << 20 else { throw failure("it is larger than 1 MiB") }
        }
        guard data.contains(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else {
            throw UsageError("\(path): the configuration file is empty; it must hold one JSON object")
        }
        return data
    }

    /// A file that came as a descriptor (`--config /dev/fd/3`, `--config <(…)`) may hold passwords and is meant for us: the
    /// command, which inherits every other descriptor, does not find it.
    private static func keepFromCommand(_ path: String) {
        for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
            guard let descriptor = Int32(path.dropFirst(folder.count)), descriptor > STDERR_FILENO else { continue }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
    }

    private static func provider(_ data: Data, keys: some Sequence<String>, path: String) throws -> InMemoryProvider {
        let snapshot: JSONSnapshot
        do {
            snapshot = try JSONSnapshot(data: data.bytes, providerName: path, parsingOptions: .default)
        } catch {
            throw UsageError("\(path): a list must hold values of one kind only")
        }
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for name in keys {
            // Numbers can be read as truth values too, so the key decides.
            let kinds: [ConfigType] = name == compatible ? [.bool] : [.string, .int, .double, .stringArray]
            let key = AbsoluteConfigKey([name])
            // A value of another kind stays out, and is found to be of the wrong kind by whoever asks for it.
            values[key] = kinds.lazy.compactMap { try? snapshot.value(forKey: key, type: $0).value }.first
        }
        return InMemoryProvider(name: path, values: values)
    }

    private static func topLevelObject(_ data: Data, path: String) throws -> [String: Any] {
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

// SPDX-License-Identifier: Apache-2.0

import RedisTransport
import Redlock

/// All that a command needs to know, resolved: options over environment over file over defaults.
struct Settings: Sendable {
    /// What every origin together says.
    let values: PartialSettings
    /// Whether nobody named a server, so that the default one is used.
    let nodesAreDefault: Bool
    let endpoints: [RedisEndpoint]
    /// What the user should know before anything is done.
    let warnings: [String]

    static let defaultNode = "redis://127.0.0.1:6379"

    /// - Throws: `UsageError` for settings that cannot be used. No error shows a password.
    static func resolve(
        options: PartialSettings,
        configurationPath: String?,
        environment: [String: String]
    ) async throws -> Settings {
        // Reading a file costs more than all the rest of the start: only when there is one.
        let file: ConfigurationFile? =
            if let configurationPath { try await ConfigurationFile.load(path: configurationPath) } else { nil }
        return try resolve(
            options: options,
            environment: PartialSettings(environment: environment),
            file: file?.settings ?? PartialSettings(),
            warnings: file?.warnings ?? []
        )
    }

    static func resolve(
        options: PartialSettings,
        environment: PartialSettings,
        file: PartialSettings,
        warnings: [String] = []
    ) throws -> Settings {
        for url in options.redis ?? [] where RedisURLText(url).hasPassword {
            throw UsageError(
                """
                --redis \(RedisURLText(url).redacted): everybody on this machine can see a password on the \
                command line; put it into REDLOCK_REDIS_PASSWORD, the URL into REDLOCK_REDIS, or either into --config
                """
            )
        }
        if options.redis == nil, let urls = environment.redis { try checkList(urls, origin: "REDLOCK_REDIS") }
        let values = options.or(environment).or(file)
        if options.redis == nil, environment.redis == nil, let urls = file.redis {
            try checkList(urls, origin: "\"redis\" in the configuration file")
        }
        if values.label?.isEmpty == true { throw UsageError("the label is empty; leave it out for user@host:pid") }
        if values.note?.isEmpty == true { throw UsageError("the note is empty; leave it out for none") }
        if values.isCompatible == true, values.keyPrefix != nil {
            throw UsageError("--compatible and --prefix exclude each other: a key of that profile is exactly the name")
        }
        let urls = values.redis ?? [defaultNode]
        return Settings(
            values: values,
            nodesAreDefault: values.redis == nil,
            endpoints: try endpoints(urls: urls, values: values),
            warnings: warnings
        )
    }

    /// Shows no entry: what a comma tore apart may be a password.
    private static func checkList(_ urls: [String], origin: String) throws {
        guard !urls.isEmpty else {
            throw UsageError("\(origin) is set and names no server; name some, separated by commas, or unset it")
        }
        guard urls.count > 1, let index = urls.firstIndex(where: { !$0.contains("://") }) else { return }
        throw UsageError(
            "\(origin): entry \(index + 1) of \(urls.count) does not begin with redis://, rediss:// or redis+unix://;"
                + " a comma inside a password must be written %2C"
        )
    }

    private static func endpoints(urls: [String], values: PartialSettings) throws -> [RedisEndpoint] {
        let hasTLSFiles = values.authorityFile != nil || values.certificateFile != nil || values.keyFile != nil
        var endpoints: [RedisEndpoint] = []
        for url in urls {
            var endpoint: RedisEndpoint
            do {
                endpoint = try RedisEndpoint(url: url, defaultPassword: values.password)
            } catch {
                throw UsageError(error.description)
            }
            if var tls = endpoint.tls {
                tls.certificateAuthorityFile = values.authorityFile ?? tls.certificateAuthorityFile
                tls.certificateFile = values.certificateFile ?? tls.certificateFile
                tls.keyFile = values.keyFile ?? tls.keyFile
                // It may be set for all commands, and not all of them have a key.
                tls.keyPassphrase = tls.keyFile == nil ? nil : values.keyPassphrase
                endpoint.tls = tls
            }
            endpoints.append(endpoint)
        }
        if hasTLSFiles, !endpoints.contains(where: { $0.tls != nil }) {
            throw UsageError("--tls-ca, --tls-certificate and --tls-key need a rediss:// URL, and there is none")
        }
        return endpoints
    }
}

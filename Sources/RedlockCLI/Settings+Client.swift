// SPDX-License-Identifier: Apache-2.0

import Foundation
import RedisTransport
import Redlock

extension Settings {
    /// The library's client for one command, of the profile that was asked for; what the user should know is told.
    ///
    /// - Throws: `CommandFailure` for settings that the library refuses.
    func makeClient(_ reporter: Reporter) throws -> any LockClient {
        guard values.isCompatible == true else { return try makeStandardClient(reporter) }
        return try prepared(reporter) {
            try CompatibleRedlockClient(endpoints: endpoints, configuration: configuration)
        }
    }

    /// The client for a command that the compatible profile has no use for.
    ///
    /// - Throws: `UsageError` if that profile was asked for, `CommandFailure` for settings that the library refuses.
    func makeStandardClient(for command: String, _ reporter: Reporter) throws -> RedlockClient {
        try requireStandardProfile(for: command)
        return try makeStandardClient(reporter)
    }

    /// - Throws: `UsageError` if the compatible profile was asked for.
    func requireStandardProfile(for command: String) throws {
        guard values.isCompatible != true else {
            throw UsageError(
                "`redlock \(command)` and --compatible exclude each other: that profile has neither records nor tokens, "
                    + "nor names that can be told from other keys"
            )
        }
    }

    private func makeStandardClient(_ reporter: Reporter) throws -> RedlockClient {
        try prepared(reporter) { try RedlockClient(endpoints: endpoints, configuration: configuration) }
    }

    private func prepared<Client: LockClient>(_ reporter: Reporter, _ make: () throws -> Client) throws -> Client {
        for warning in warnings { reporter.report(.warning(warning)) }
        do {
            let client = try make()
            for warning in client.configurationWarnings { reporter.report(.warning(warning)) }
            return client
        } catch {
            throw CommandFailure(error)
        }
    }

    /// What the library needs to know besides the addresses.
    var configuration: RedlockConfiguration {
        var configuration = RedlockConfiguration()
        if let nodeTimeout = values.nodeTimeout { configuration.nodeTimeout = nodeTimeout }
        if let maximumTTL = values.maximumTTL { configuration.maximumTTL = maximumTTL }
        if let drift = values.drift { configuration.drift = drift }
        if let keyPrefix = values.keyPrefix { configuration.keyPrefix = keyPrefix }
        configuration.quorum = values.quorum
        return configuration
    }

    /// Calls the library, and throws its errors as this command ends with them.
    func calling<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch {
            throw CommandFailure(
                error,
                conflictExitCode: values.conflictExitCode ?? ExitStatus.conflict,
                nodesAreDefault: nodesAreDefault
            )
        }
    }

    /// Calls the library for the last time, and ends the client.
    ///
    /// What slower nodes have not read when the process ends is lost: a lock that was released would live on there, and
    /// one that was acquired would be missing.
    func finishing<Value>(_ client: some LockClient, _ body: () async throws -> Value) async throws -> Value {
        let result: Result<Value, any Error>
        do { result = .success(try await calling(body)) } catch { result = .failure(error) }
        await client.shutdown()
        return try result.get()
    }
}

extension WaitPolicy {
    /// What `--wait` says.
    init(_ wait: Duration?) {
        switch wait {
        case nil: self = .forever
        case Duration.zero?: self = .none
        case let wait?: self = .atMost(wait)
        }
    }
}

extension LockOptions {
    /// The library's own label, and the user before it: `user@host:pid`.
    ///
    /// The user is taken from the environment, or else from the file of local users: a look-up may ask a directory server.
    static let defaultLabel: String = {
        let environment = ProcessInfo.processInfo.environment
        let user =
            ["USER", "LOGNAME"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? localUserName
            ?? String(geteuid())
        return "\(user)@\(RedlockConfiguration().label)"
    }()

    private static var localUserName: String? {
        if geteuid() == 0 { return "root" }
        guard let users = try? SettingsFile.contents(path: "/etc/passwd") else { return nil }
        return userName(of: geteuid(), inPasswords: String(decoding: users, as: UTF8.self))
    }

    /// The name of a user in a text as /etc/passwd has it.
    static func userName(of user: uid_t, inPasswords text: String) -> String? {
        for line in text.split(whereSeparator: \.isNewline) {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, fields[2] == String(user), !fields[0].isEmpty { return String(fields[0]) }
        }
        return nil
    }
}

extension Lease {
    /// The fencing token; nil where the profile has none.
    var token: FencingToken? { (self as? Lease<Fenced>)?.fencingToken }
}

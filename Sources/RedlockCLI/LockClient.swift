// SPDX-License-Identifier: Apache-2.0

import Foundation
import Redlock

/// The library's client for the settings of one command.
struct LockClient: Sendable {
    let redlock: RedlockClient

    /// - Throws: `CommandFailure` for settings that the library refuses.
    init(_ settings: Settings, reporter: Reporter) throws {
        for warning in settings.warnings { reporter.report(.warning(warning)) }
        var configuration = RedlockConfiguration()
        if let nodeTimeout = settings.values.nodeTimeout { configuration.nodeTimeout = nodeTimeout }
        if let maximumTTL = settings.values.maximumTTL { configuration.maximumTTL = maximumTTL }
        do {
            redlock = try RedlockClient(endpoints: settings.endpoints, configuration: configuration)
        } catch {
            throw CommandFailure(error)
        }
        for warning in redlock.configurationWarnings { reporter.report(.warning(warning)) }
    }

    static func waitPolicy(_ wait: Duration?) -> WaitPolicy {
        switch wait {
        case nil: .forever
        case Duration.zero?: .none
        case let wait?: .atMost(wait)
        }
    }

    /// The library's own label, and the user before it: `user@host:pid`.
    ///
    /// The user is taken from the environment: a look-up may ask a directory server.
    static let defaultLabel: String = {
        let environment = ProcessInfo.processInfo.environment
        let user = environment["USER"] ?? environment["LOGNAME"] ?? String(geteuid())
        return "\(user)@\(RedlockConfiguration().label)"
    }()
}

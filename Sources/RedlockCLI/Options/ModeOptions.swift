// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

/// Whether others may hold the lock at the same time.
struct ModeOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Share the lock with others who do, as readers; not with --compatible.")
    var shared = false

    @Flag(name: [.customShort("x"), .long], help: "Hold the lock alone, as writers do; the default.")
    var exclusive = false

    func validate() throws {
        guard !(shared && exclusive) else { throw ValidationError("--shared and --exclusive exclude each other") }
    }

    /// What may be wrong where a token holds nothing.
    var hint: String { shared ? "" : "; what was taken with --shared needs it here as well" }

    /// The client for a lock that is shared; nil where it is to be had alone.
    ///
    /// - Throws: `UsageError` if the compatible profile was asked for.
    func sharingClient(_ settings: Settings, for command: String, _ reporter: Reporter) throws -> RedlockClient? {
        shared ? try settings.makeStandardClient(for: "\(command) --shared", reporter) : nil
    }
}

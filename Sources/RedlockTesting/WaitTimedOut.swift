// SPDX-License-Identifier: Apache-2.0

/// What a test waited for did not happen in time.
public struct WaitTimedOut: Error, CustomStringConvertible, Sendable {
    /// How long was waited.
    public let timeout: Duration

    /// The state that was seen last, as text.
    public let lastState: String

    /// One line: how long was waited, and what was there instead.
    public var description: String {
        "the awaited state was not reached within \(timeout); last seen: \(lastState)"
    }
}

// SPDX-License-Identifier: Apache-2.0

package import Testing

/// What a test waited for did not happen.
package struct Overdue: Error, CustomStringConvertible {
    package let description: String
}

/// Waits for a condition that must come true soon; if it does not, the test fails and ends instead of standing still.
package func eventually(
    _ what: String = "what was waited for",
    within time: Duration = .seconds(30),
    sourceLocation: SourceLocation = #_sourceLocation,
    isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + time
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < end else { break }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("did not happen within \(time): \(what)", sourceLocation: sourceLocation)
    throw Overdue(description: what)
}

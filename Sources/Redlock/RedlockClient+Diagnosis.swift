// SPDX-License-Identifier: Apache-2.0

internal import Hiredis
internal import LockCore

extension RedlockClient {
    /// Looks at every node and says of each assumption whether it holds.
    ///
    /// Nothing is changed, but that nodes without a record are enrolled, as by every client, and that one key which lives
    /// for a second is set on every node, to see whether it takes writes.
    ///
    /// - Throws: `RedlockError` with `clientShutDown`; `CancellationError`. Nodes that do not answer are part of the diagnosis.
    public func diagnose() async throws -> Diagnosis {
        try await engine.waitUntilConnected()
        await engine.waitForStragglers()
        return await Examination(engine: engine).diagnosis()
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Hiredis
internal import LockCore

extension RedlockClient {
    /// Looks at every node and says of each assumption whether it holds.
    ///
    /// Nothing is changed on the nodes. Whether one takes writes is told by a command that a server refuses as it refuses
    /// every write, and that changes nothing: to replace a key that is not there.
    ///
    /// - Throws: `RedlockError` with `clientShutDown`; `CancellationError`. Nodes that do not answer are part of the diagnosis.
    public func diagnose() async throws -> Diagnosis {
        try await engine.waitUntilConnected()
        await engine.waitForStragglers()
        return await Examination(engine: engine).diagnosis()
    }
}

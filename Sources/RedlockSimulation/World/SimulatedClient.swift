// SPDX-License-Identifier: Apache-2.0

internal import LockCore
internal import Logging
package import Redlock

/// A client of the library, unchanged, in a simulated process.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
package final class SimulatedClient: @unchecked Sendable {
    package let process: SimulatedProcess
    package let redlock: RedlockClient
    package let surroundings: SimulatedSurroundings
    private let core: LockClientCore

    /// A client that begins to connect.
    ///
    /// - Parameters:
    ///   - nodeNames: what it calls the nodes.
    ///   - nodes: the nodes, each with the way that leads there.
    package init(
        process: SimulatedProcess,
        nodeNames: [String],
        nodes: [(node: SimulatedNode, route: SimulatedRoute)],
        configuration: RedlockConfiguration
    ) {
        self.process = process
        surroundings = SimulatedSurroundings(process: process)
        let profile = LockProfile.standard(prefix: configuration.keyPrefix)
        core = LockClientCore(
            profile: profile,
            nodeNames: nodeNames,
            configuration: configuration,
            surroundings: surroundings,
            taskExecutor: process.executor,
            logger: Logger(label: "simulation", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        surroundings.link(to: nodes, profile: profile, configuration: configuration, delegate: core.delegate)
        redlock = RedlockClient(core: core)
        core.connect()
    }

    /// Enrols the nodes as a brand-new set, and shuts the client down, which was made for that.
    package func enrolNewSet() async throws {
        try await RedlockClient.enrolNewSet(core)
    }

    /// Ends the process as after SIGKILL: nothing that it does from now on reaches a node.
    ///
    /// Its tasks still run, and end with errors, because a world cannot take them back.
    package func kill() {
        process.die()
        surroundings.cutOff()
        run { [redlock] in await redlock.shutdown() }
    }

    /// Runs a task in the process, step by step in simulated time.
    @discardableResult
    package func run(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        // The one place where tasks of a simulation begin, so that none runs anywhere else.
        Task(executorPreference: process.executor, operation: body)
    }
}

extension SimulatedProcess {
    /// Waits, by the clock of timers.
    ///
    /// - Throws: `CancellationError`, at once, if the task is cancelled.
    package func sleep(nanoseconds: Int64) async throws {
        let sleeper = Sleeper()
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                sleeper.begin(continuation)
                sleeper.timer = schedule(afterNanoseconds: nanoseconds) { sleeper.wake() }
            }
        } onCancel: {
            sleeper.wake()
        }
        sleeper.timer?.cancel()
        try Task.checkCancellation()
    }
}

/// `@unchecked Sendable`: it is used on the thread of its world only.
private final class Sleeper: @unchecked Sendable {
    var timer: SimulatedTimer?
    private var continuation: UnsafeContinuation<Void, Never>?
    private var isAwake = false

    func begin(_ continuation: UnsafeContinuation<Void, Never>) {
        if isAwake { continuation.resume() } else { self.continuation = continuation }
    }

    func wake() {
        isAwake = true
        continuation?.resume()
        continuation = nil
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import LockCore
internal import Synchronization
internal import Tracing

extension LockClient {
    /// Runs the body while holding the lock.
    ///
    /// The lease is renewed while the body runs. If it is lost, the body is cancelled a margin before the validity ends,
    /// even if no connection answers any more; see ``LockOptions/cancellationMargin``. The lock is released only after
    /// the body has returned, and this waits for the body without bound: a body that ignores cancellation goes on
    /// without a lock.
    ///
    /// - Parameters:
    ///   - resource: the name of the lock, 1 to 512 bytes without control characters.
    ///   - options: TTL, waiting and more.
    ///   - isolation: the actor that the caller runs on; the body runs where it was written.
    ///   - body: the work; it is given the lease.
    /// - Returns: what the body returned.
    /// - Throws: what the body threw; `RedlockError` with `lost` if the lease was lost, whatever the body returned;
    ///   `heldByTask` if the task runs under the lock already and ``LockOptions/reentrant`` is not set; and what `acquire`
    ///   throws.
    public func withLock<Result>(
        _ resource: String,
        options: LockOptions = LockOptions(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Lease<Fencing>) async throws -> Result
    ) async throws -> Result {
        try await withLock(Claim.one(resource), options: options, body)
    }

    /// The same for whatever is claimed.
    func withLock<Kind, Result>(
        _ claim: Claim,
        options: LockOptions,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Lease<Kind>) async throws -> Result
    ) async throws -> Result {
        if options.reentrant, let lease = leaseOfTask(for: claim, Lease<Kind>.self) {
            let outcome: Swift.Result<Result, any Error>
            do { outcome = .success(try await body(lease)) } catch { outcome = .failure(error) }
            if lease.held.isLost { throw lease.held.lossError() }
            return try outcome.get()
        }
        let operation = try core.operation(claim, options, .automatic)
        let canceller = BodyCanceller()
        operation.canceller = canceller
        // A span that nobody sees takes a tenth of the time of a lock nearby.
        if InstrumentationSystem.tracer is NoOpTracer { return try await runInChild(body, operation, canceller).get() }
        return try await withSpan("redlock.withLock") { span in
            span.attributes["redlock.resource"] = claim.resource
            return try await runInChild(body, operation, canceller).get()
        }
    }

    /// Runs the body as a child task, so that it can be cancelled without cancelling the caller.
    ///
    /// The child acquires and releases as well: whoever hands the lock over lets the body of the next go on at once.
    private func runInChild<Kind, Result>(
        _ body: (Lease<Kind>) async throws -> Result,
        _ operation: AcquireOperation,
        _ canceller: BodyCanceller,
        isolation: isolated (any Actor)? = #isolation
    ) async -> Swift.Result<Result, any Error> {
        await withoutActuallyEscaping(body) { body in
            // Mentioned so that this closure runs where the caller does.
            _ = isolation
            let scope = BodyScope(body: body, operation: operation, canceller: canceller, core: core)
            async let outcome = scope.run()
            let value = await outcome.value
            // If the child has handed the lock over, the next one is on its way by now.
            core.engine.wakeLoop()
            return value
        }
    }
}

/// Carries the body into its child task and the outcome out of it.
///
/// `@unchecked Sendable`: the parent waits for the child all the time, so that at no moment two tasks use the body, what
/// it captured, or the outcome.
private struct BodyScope<Kind: LeaseFencing, Result>: @unchecked Sendable {
    struct Outcome: @unchecked Sendable {
        let value: Swift.Result<Result, any Error>
    }

    let body: (Lease<Kind>) async throws -> Result
    let operation: AcquireOperation
    let canceller: BodyCanceller
    let core: LockClientCore

    func run() async -> Outcome {
        do {
            let lease: Lease<Kind> = try await core.acquire(operation)
            defer { withExtendedLifetime(lease) {} }
            let outcome = await outcome(under: lease)
            // Asked before the release: afterwards, nobody loses the lease any more.
            let isLost = lease.held.isLost
            await lease.held.release(endsBody: true)
            if isLost { throw lease.held.lossError() }
            return outcome
        } catch {
            return Outcome(value: .failure(error))
        }
    }

    private func outcome(under lease: Lease<Kind>) async -> Outcome {
        canceller.begin()
        defer { canceller.end() }
        do {
            let leases = TaskLeases.all + [lease]
            return Outcome(value: .success(try await TaskLeases.$all.withValue(leases) { try await body(lease) }))
        } catch {
            return Outcome(value: .failure(error))
        }
    }
}

/// Cancels the task that a body runs in, from the loop that notices the loss.
final class BodyCanceller: Sendable {
    private enum State {
        case waiting
        case running(UnsafeCurrentTask)
        case over
        case cancelled
    }

    /// The task is used only while it is known to run: it takes itself out before it ends, under the same mutex.
    private let state = Mutex(SendableState(value: .waiting))

    private struct SendableState: @unchecked Sendable {
        var value: State
    }

    /// Called by the task that is to be cancelled, before it runs the body.
    fileprivate func begin() {
        withUnsafeCurrentTask { task in
            state.withLock { state in
                if case .cancelled = state.value {
                    task?.cancel()
                } else if let task {
                    state.value = .running(task)
                }
            }
        }
    }

    /// Called by the same task after the body.
    fileprivate func end() {
        state.withLock { $0.value = .over }
    }

    /// Cancels the task, or marks it as cancelled if it has not begun.
    func cancel() {
        state.withLock { state in
            switch state.value {
            case .running(let task): task.cancel()
            case .waiting: state.value = .cancelled
            case .over, .cancelled: break
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The leases that a task runs under, the innermost last.
///
/// Child tasks run under them as well. So does a `Task { }` that is begun in a body, as long as the body runs: it takes
/// the task-local values with it. A detached task does not.
enum TaskLeases {
    @TaskLocal static var all: [any Sendable] = []
}

extension LockClient {
    /// The lease of this client for a resource that the task runs under; nil if there is none, or it has ended.
    func leaseOfTask(for resource: String) -> Lease<Fencing>? {
        for lease in TaskLeases.all.reversed() {
            guard let lease = lease as? Lease<Fencing>, ResourceName(lease.resource) == ResourceName(resource),
                lease.held.engine === engine,
                lease.remaining > .zero
            else { continue }
            return lease
        }
        return nil
    }

    /// Throws if the task would wait for itself.
    func refuseIfHeldByTask(_ resource: String) throws(RedlockError) {
        guard !TaskLeases.all.isEmpty, leaseOfTask(for: resource) != nil else { return }
        let message =
            "this task already runs under the lock \"\(resource)\", and would wait for itself: "
            + "use the lease that it has, or withLock with the option reentrant"
        throw RedlockError(.heldByTask, resource: resource, message)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A lease, with or without a fencing token.
protocol LeaseOfAnyKind: Sendable {
    var held: HeldLease { get }
}

/// The leases that a task runs under, the innermost last.
///
/// Child tasks run under them as well. So does a `Task { }` that is begun in a body, as long as the body runs: it takes
/// the task-local values with it. A detached task does not.
enum TaskLeases {
    @TaskLocal static var all: [any LeaseOfAnyKind] = []

    /// Those of a client that still are held, the innermost first.
    static func held(of engine: LockEngine) -> [any LeaseOfAnyKind] {
        all.reversed().filter { $0.held.engine === engine && $0.held.remaining > .zero }
    }
}

extension LockClient {
    /// The lease of this client that the task runs under and that gives all that is claimed; nil if there is none.
    func leaseOfTask<Kind>(for claim: Claim, _ kind: Lease<Kind>.Type) -> Lease<Kind>? {
        for lease in TaskLeases.held(of: engine) {
            guard let lease = lease as? Lease<Kind>, lease.held.claim.isShared == claim.isShared,
                claim.names.allSatisfy(lease.held.claim.names.contains)
            else { continue }
            return lease
        }
        return nil
    }
}

extension LockClientCore {
    /// Throws if the task would wait for itself.
    func refuseIfHeldByTask(_ claim: Claim) throws(RedlockError) {
        guard !TaskLeases.all.isEmpty else { return }
        for lease in TaskLeases.held(of: engine) {
            guard let name = claim.names.first(where: lease.held.claim.names.contains) else { continue }
            let message = Self.reason(lease.held.claim, name.text, claim)
            throw RedlockError(.heldByTask, resource: name.text, message)
        }
    }

    private static func reason(_ held: Claim, _ name: String, _ wanted: Claim) -> String {
        if case .slot = held {
            return "this task already holds a slot of \"\(name)\", and would wait for itself if no other is free: "
                + "use the one that it has, or ask without waiting"
        }
        if held.isShared && !wanted.isShared {
            return "this task shares the lock \"\(name)\", and would wait for itself to have it alone: "
                + "take it alone from the start, or end the shared lease first"
        }
        let start = "this task already runs under the lock \"\(name)\", and would wait for itself: "
        let isCovered = held.isShared == wanted.isShared && wanted.names.allSatisfy(held.names.contains)
        return start + "use the lease that it has" + (isCovered ? ", or withLock with the option reentrant" : "")
    }
}

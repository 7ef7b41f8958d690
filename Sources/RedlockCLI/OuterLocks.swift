// SPDX-License-Identifier: Apache-2.0

import CSpawn
import Foundation
import Redlock

/// The locks under which this process runs: those that `redlock` processes above it hold until it has ended.
///
/// To wait for one of them would be to wait for ever.
struct OuterLocks: Sendable {
    /// The variable that hands their names down, one in each line.
    static let variable = "REDLOCK_HELD"

    /// The names that were handed down; nil if none were, as where `sudo` clears the environment.
    private let names: [String]?

    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        names = environment[Self.variable].map { $0.split(separator: "\n").map(String.init) }
    }

    /// Which of some names are among them.
    func names(among others: [String]) -> [String] {
        others.filter { names?.contains($0) == true }
    }

    /// Asks for a lock, and for nothing that is held until this process has ended.
    ///
    /// Looks at the holder first where the name was handed down, and else once it is clear that the lock is waited for.
    ///
    /// - Parameter body: asks for the lock, and calls what it is given as soon as it has it.
    /// - Throws: `CommandFailure` for wrong usage if the holder is a `redlock` process above this one; else what the body
    ///   throws.
    func guarding<Value: Sendable>(
        _ wish: LockWish,
        _ client: any LockClient,
        _ body: @escaping @Sendable (_ acquired: @escaping @Sendable () -> Void) async throws -> Value
    ) async throws -> Value {
        if !names(among: wish.names).isEmpty { try await refuse(wish, client) }
        let acquisition = Gate()
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body { acquisition.open() } }
            group.addTask {
                try await Task.sleep(for: WaitingNotice.soon)
                if !acquisition.isOpen { try await refuse(wish, client) }
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    private func refuse(_ wish: LockWish, _ client: any LockClient) async throws {
        for name in wish.names {
            let holders: [LockStatus.Holder]
            do {
                holders = try await self.holders(of: name, wish, client)
            } catch is RedlockError {
                // Only told earlier here: the acquire itself reports what is wrong.
                continue
            }
            guard let holder = holders.first, let process = holder.process else { continue }
            throw CommandFailure(
                exitCode: ExitStatus.usage,
                "\"\(name)\" is held by process \(process) (\(holder.name)), which waits for this command to end: "
                    + "it would wait for itself; leave the inner `redlock` out"
            )
        }
    }

    /// The processes above this one that stand in the way; none if others do as well, or nothing does.
    private func holders(of name: String, _ wish: LockWish, _ client: any LockClient) async throws -> [LockStatus
        .Holder]
    {
        if let slotCount = wish.slotCount, let client = client as? RedlockClient {
            var holders: [LockStatus.Holder] = []
            for slot in 0..<slotCount {
                guard let holder = try await client.inspect(name, slot: slot).holder, isAbove(holder, of: name) else {
                    return []
                }
                holders.append(holder)
            }
            return holders
        }
        let status = try await client.inspect(name)
        let inTheWay = [status.holder].compactMap { $0 } + (wish.isShared ? [] : status.sharers)
        return inTheWay.filter { isAbove($0, of: name) }
    }

    /// Whether a holder is a process above this one that waits for its end.
    ///
    /// Processes of other containers may have the same number and the same name of their machine; so the name must have
    /// been handed down, or, where nothing was, the process must be a `redlock`.
    private func isAbove(_ holder: LockStatus.Holder, of name: String) -> Bool {
        guard holder.isOnThisMachine, let process = holder.process else { return false }
        if let names, !names.contains(name) { return false }
        var ancestor = getppid()
        // Whatever the system tells, it comes to an end.
        for _ in 0..<1_024 where ancestor > 0 {
            if ancestor == process { return names != nil || cprocess_is_named(process, "redlock") }
            ancestor = cprocess_parent(ancestor)
        }
        return false
    }
}

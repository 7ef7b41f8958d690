// SPDX-License-Identifier: Apache-2.0

import Dispatch
public import Redlock

/// Guards one file, in any number of processes on one machine.
///
/// ```swift
/// let report = FileGuard(path: "/var/lib/reports/today.json")
/// try await redlock.withLock("reports/today") { lease in
///     try await report.write(lease, bytes)
/// }
/// ```
///
/// The file is replaced as a whole: readers see the old contents or the new, never a part, and need no guard. Beside the
/// file stand `<name>.fence`, which holds the highest token of each resource, and `<name>.fence-lock`, which those who
/// write lock for a moment; leave both where they are for as long as the file is used. `<name>.fence-new` is there while
/// somebody writes, or after a crash. A file with several names (hard links) keeps only this one.
///
/// Nothing is undone after a failure, so the order is what keeps the promise: the token is on the disk before the data is,
/// and the data before the call returns. A crash in between leaves the old contents and a token of a write that did not
/// happen. On a file system in a network it is as good as that system's locks and renames, which are often not.
public final class FileGuard: FencedStore {
    /// What is given the contents, nil if there is no file, and returns those that are to be.
    public typealias Write = @Sendable (_ contents: [UInt8]?) throws -> [UInt8]

    /// The file.
    public let path: String
    private let lockTimeout: Duration
    /// A thread that may wait for files, where one write follows the other in the order of the calls.
    private let queue: DispatchQueue

    /// A guard in front of a file, which need not be there yet; its folder must be.
    ///
    /// - Parameters:
    ///   - path: the file. Where it is a symbolic link, the guard is that of the file behind it.
    ///   - lockTimeout: how long a call may wait for others that write, or were stopped while they did.
    public init(path: String, lockTimeout: Duration = .seconds(10)) {
        self.path = path
        self.lockTimeout = lockTimeout
        self.queue = DispatchQueue(label: "redlock.file-guard")
    }

    /// Replaces the contents, or makes the file.
    ///
    /// - Throws: ``StaleGrantError``; ``FileGuardError`` if the system refuses: then the old contents are there, unless it was
    ///   the folder that could not be put on the disk; `CancellationError` if the task was cancelled before it had its turn.
    public func write(_ grant: some FencedGrant, _ contents: some Sequence<UInt8> & Sendable) async throws {
        try await replaceContents(under: grant) { _ in Array(contents) }
    }

    /// Replaces the contents by what is made of them, while nobody else writes through a guard.
    ///
    /// - Parameter write: given what is there. If it throws, the contents stay; it is not run where the token is stale.
    /// - Throws: as `write`, and what the closure throws.
    public func apply(_ write: @escaping Write, under grant: some FencedGrant) async throws {
        try await replaceContents(under: grant) { file throws in try write(file.contents()) }
    }

    private func replaceContents(
        under grant: some FencedGrant,
        _ new: @escaping @Sendable (borrowing GuardedFile) throws -> [UInt8]
    ) async throws {
        try grant.validate()
        try await underLock { file throws in
            try file.admit(grant)
            try file.replaceContents(with: new(file))
        }
    }

    /// The highest token that was written with; nil if nothing was written under a grant of the resource.
    public func highestToken(of resource: String) async throws -> FencingToken? {
        try await onQueue { [path] in try KeptTokens(of: try resolvingLinks(path))[resource] }
    }

    /// Runs on the thread that may wait, while this process and all others leave the file alone.
    private func underLock<Result: Sendable>(
        _ body: @escaping @Sendable (borrowing GuardedFile) throws -> Result
    ) async throws -> Result {
        // The time runs while other calls of this guard are before it as well.
        let deadline = ContinuousClock.now + lockTimeout.bounded
        let isCancelled = Flag()
        return try await withTaskCancellationHandler {
            try await onQueue { [path] in
                try body(try GuardedFile(path: path, lockedBy: deadline) { isCancelled.isSet })
            }
        } onCancel: {
            isCancelled.set()
        }
    }

    private func onQueue<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }
}

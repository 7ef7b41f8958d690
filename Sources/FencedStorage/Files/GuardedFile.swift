// SPDX-License-Identifier: Apache-2.0

import Redlock

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The file of a guard and those beside it, while nobody else who keeps to the lock touches them.
///
/// The lock belongs to the open file and not to the process: two guards of one process exclude each other too, and the end
/// of the process, however it comes, ends it.
struct GuardedFile: ~Copyable {
    private let path: String
    private let lock: Int32

    /// Waits for the lock.
    ///
    /// - Throws: `FileGuardError`; `CancellationError` as soon as `isCancelled` tells so.
    init(path: String, lockedBy deadline: ContinuousClock.Instant, isCancelled: () -> Bool) throws {
        let resolved = try resolvingLinks(path)
        lock = try Self.lock(resolved + ".fence-lock", by: deadline, isCancelled: isCancelled)
        self.path = resolved
    }

    private static func lock(
        _ path: String,
        by deadline: ContinuousClock.Instant,
        isCancelled: () -> Bool
    ) throws -> Int32 {
        let lock = try openFile(path, O_RDWR | O_CREAT, mode: 0o644, to: "open it")
        do {
            var pause: UInt32 = 200
            while true {
                if isCancelled() { throw CancellationError() }
                if try tryLock(lock, path) { return lock }
                guard ContinuousClock.now < deadline else {
                    throw FileGuardError(path, "others have held it all the time; was one stopped while it wrote?")
                }
                usleep(pause)
                pause = min(2 * pause, 3_200)
            }
        } catch {
            close(lock)
            throw error
        }
    }

    deinit {
        close(lock)
    }

    // MARK: Tokens

    /// Compares the token of a grant, and has it on the disk when this returns.
    borrowing func admit(_ grant: some FencedGrant) throws {
        var tokens = try KeptTokens(of: path)
        if try tokens.admit(grant) { try replaceFile(path + ".fence", by: path + ".fence-new", with: tokens.bytes) }
    }

    // MARK: Contents

    borrowing func contents() throws -> [UInt8]? {
        try readFile(path)
    }

    borrowing func replaceContents(with contents: [UInt8]) throws {
        try replaceFile(path, by: path + ".fence-new", with: contents)
    }
}

/// The highest token of every resource that something was written under.
struct KeptTokens {
    /// By the bytes of the name: texts that Swift takes for equal may be names of different resources.
    private var highest: [[UInt8]: FencingToken] = [:]

    init() {}

    /// The tokens that were kept beside a file, which needs no lock: they are replaced as a whole.
    init(of path: String) throws(FileGuardError) {
        let place = path + ".fence"
        guard let bytes = try readFile(place) else { return }
        guard let tokens = KeptTokens(bytes) else {
            throw FileGuardError(place, "it was changed by something else, and what it guards is not written any more")
        }
        self = tokens
    }

    /// The tokens that were written down; nil if this is something else.
    init?(_ bytes: [UInt8]) {
        guard bytes.isEmpty || bytes.last == UInt8(ascii: "\n") else { return nil }
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let space = line.firstIndex(of: UInt8(ascii: " ")),
                let token = FencingToken(String(decoding: line[..<space], as: UTF8.self))
            else { return nil }
            highest[Array(line[(space + 1)...])] = token
        }
    }

    /// One line for each resource: no name of a resource has a line end in it.
    var bytes: [UInt8] {
        highest.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            .flatMap { Array("\($0.value) ".utf8) + $0.key + [UInt8(ascii: "\n")] }
    }

    subscript(resource: String) -> FencingToken? { highest[Array(resource.utf8)] }

    /// Compares the token of a grant, and takes it over where it is higher.
    ///
    /// - Returns: whether it was, for any resource.
    mutating func admit(_ grant: some FencedGrant) throws(StaleGrantError) -> Bool {
        let token = grant.fencingToken
        for resource in grant.fencedResources {
            guard let kept = self[resource], kept > token else { continue }
            throw StaleGrantError(resource: resource, token: token, highestToken: kept)
        }
        let raised = grant.fencedResources.filter { self[$0] != token }
        for resource in raised { highest[Array(resource.utf8)] = token }
        return !raised.isEmpty
    }
}

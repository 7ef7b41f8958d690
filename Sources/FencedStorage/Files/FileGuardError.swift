// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Why a guarded file could not be written or read.
public struct FileGuardError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file that the system refused something for: the guarded one, or one beside it.
    public let path: String
    /// What happened, and what can be done.
    public let message: String

    /// The file and what happened.
    public var description: String { "\(path): \(message)" }

    init(_ path: String, _ message: String) {
        self.path = path
        self.message = message
    }

    /// What the last call to the system said.
    static func ofSystem(_ path: String, cannot action: String) -> FileGuardError {
        FileGuardError(path, "cannot \(action): \(String(cString: strerror(errno)))")
    }
}

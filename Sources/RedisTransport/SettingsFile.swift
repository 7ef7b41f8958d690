// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file with settings, read whole.
package enum SettingsFile {
    /// Why a file cannot be read, in words that go behind a colon.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The bytes of a file, at least one and at most 1 MiB.
    ///
    /// It is read once and to its end: a pipe gives its bytes only once, and has no size.
    package static func contents(path: String) throws(Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(errno) }
            contents += buffer.prefix(count)
            guard contents.count <= 1 << 20 else { throw Failure(description: "it is larger than 1 MiB") }
        }
        guard !contents.isEmpty else { throw Failure(description: "it is empty") }
        return contents
    }

    private static func failure(_ errorNumber: CInt) -> Failure {
        switch errorNumber {
        case ENOENT: Failure(description: "there is no such file")
        case EACCES: Failure(description: "this user may not read it")
        case EISDIR: Failure(description: "it is a directory")
        default:
            Failure(
                description: strerror(errorNumber).map { String(cString: $0).lowercased() } ?? "error \(errorNumber)"
            )
        }
    }
}

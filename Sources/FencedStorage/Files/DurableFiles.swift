// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

#if canImport(Darwin)
    private let setLockOfOpenFile = F_OFD_SETLK
#else
    /// `F_OFD_SETLK`, which the C library shows only to those who ask for more than standards.
    private let setLockOfOpenFile: Int32 = 37
#endif

/// Locks an open file, on behalf of the open file and not of the process; false if somebody else has it.
func tryLock(_ file: Int32, _ path: String) throws(FileGuardError) -> Bool {
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    lock.l_whence = Int16(SEEK_SET)
    if fcntl(file, setLockOfOpenFile, &lock) == 0 { return true }
    guard errno == EAGAIN || errno == EACCES else { throw FileGuardError.ofSystem(path, cannot: "lock it") }
    return false
}

/// The path behind symbolic links, of the last part too where it leads to nothing yet: one file has one path.
func resolvingLinks(_ path: String) throws(FileGuardError) -> String {
    var path = path
    for _ in 0..<40 {
        let folder = folder(of: path)
        guard let resolved = realpath(folder, nil) else { throw FileGuardError.ofSystem(folder, cannot: "find it") }
        defer { free(resolved) }
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let place = String(cString: resolved)
        path = place == "/" ? "/" + name : place + "/" + name
        var target = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(path, &target, target.count - 1)
        guard count > 0 else { return path }
        let text = String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = text.hasPrefix("/") ? text : place + "/" + text
    }
    throw FileGuardError(path, "too many symbolic links lead in a circle")
}

/// Opens a file that no child process gets to see; not the one behind a symbolic link.
func openFile(_ path: String, _ flags: Int32, mode: mode_t, to action: String) throws(FileGuardError) -> Int32 {
    let file = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode)
    guard file >= 0 else { throw FileGuardError.ofSystem(path, cannot: action) }
    return file
}

/// The contents of a file; nil if there is none.
func readFile(_ path: String) throws(FileGuardError) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0, errno == ENOENT { return nil }
    guard file >= 0 else { throw FileGuardError.ofSystem(path, cannot: "open it") }
    defer { close(file) }
    var contents: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = read(file, &part, part.count)
        if count == 0 { return contents }
        if count > 0 {
            contents += part[..<count]
        } else if errno != EINTR {
            throw FileGuardError.ofSystem(path, cannot: "read it")
        }
    }
}

/// Replaces a file so that after a crash, at any moment, either the old contents are there or the new; on return the new
/// ones are on the disk.
///
/// - Parameter temporary: where the new contents are written first, in the same folder; what a crash left there goes.
func replaceFile(_ path: String, by temporary: String, with contents: [UInt8]) throws(FileGuardError) {
    var former = stat()
    let isThere = stat(path, &former) == 0
    unlink(temporary)
    // Nobody sees more of the new contents than of the old ones.
    let file = try openFile(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: isThere ? 0o600 : 0o644, to: "make it")
    do throws(FileGuardError) {
        defer { close(file) }
        try write(contents, to: file, temporary)
        if isThere {
            // Only who runs the machine may give files away; for all others it is theirs anyway, or stays so.
            _ = fchown(file, former.st_uid, former.st_gid)
            guard fchmod(file, former.st_mode & 0o7777) == 0 else {
                throw FileGuardError.ofSystem(temporary, cannot: "give it the permissions of \(path)")
            }
        }
        try putOnDisk(file, temporary)
    } catch {
        unlink(temporary)
        throw error
    }
    guard rename(temporary, path) == 0 else {
        let error = FileGuardError.ofSystem(path, cannot: "replace it")
        unlink(temporary)
        throw error
    }
    let folder = folder(of: path)
    let opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard opened >= 0 else { throw FileGuardError.ofSystem(folder, cannot: "open it") }
    defer { close(opened) }
    try putOnDisk(opened, folder)
}

private func write(_ contents: [UInt8], to file: Int32, _ path: String) throws(FileGuardError) {
    var written = 0
    while written < contents.count {
        let count = contents.withUnsafeBytes { bytes in
            write(file, bytes.baseAddress.map { $0 + written }, contents.count - written)
        }
        if count >= 0 {
            written += count
        } else if errno != EINTR {
            throw FileGuardError.ofSystem(path, cannot: "write it")
        }
    }
}

private func putOnDisk(_ file: Int32, _ path: String) throws(FileGuardError) {
    #if canImport(Darwin)
        // There, fsync leaves the data in the cache of the disk.
        let isDone = fcntl(file, F_FULLFSYNC) == 0 || fsync(file) == 0
    #else
        let isDone = fsync(file) == 0
    #endif
    guard isDone else { throw FileGuardError.ofSystem(path, cannot: "put it on the disk") }
}

private func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

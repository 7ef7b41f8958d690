// SPDX-License-Identifier: Apache-2.0
import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

// Thin faces of C functions, in one file because methods of the same names (`kill`, `pause`) would hide them elsewhere.

func sendSignal(_ number: Int32, to process: Int32) -> Bool {
    kill(process, number) == 0
}

/// Reaps a child that ended, and returns its number; 0 while it lives, -1 if it is not our child.
func reapWithoutWaiting(_ process: Int32) -> Int32 {
    var status: Int32 = 0
    while true {
        let result = waitpid(process, &status, WNOHANG)
        if result >= 0 || errno != EINTR { return result }
    }
}

func closeDescriptor(_ descriptor: Int32) {
    _ = close(descriptor)
}

/// Opens without passing the descriptor on to other programs; -1 on failure.
func openDescriptor(_ path: String, _ flags: Int32, mode: mode_t = 0o600) -> Int32 {
    open(path, flags | O_CLOEXEC, mode)
}

/// A stream socket that never blocks and that other programs do not inherit; -1 on failure.
func openStreamSocket(_ family: Int32) -> Int32 {
    #if canImport(Glibc)
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    #else
        let descriptor = socket(family, SOCK_STREAM, 0)
    #endif
    guard descriptor >= 0 else { return descriptor }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    #if canImport(Darwin)
        var yes: Int32 = 1
        _ = setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &yes, socklen_t(MemoryLayout<Int32>.size))
    #endif
    return descriptor
}

/// Writes to a socket; a peer that is gone is an error, not SIGPIPE.
func sendWithoutSignal(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Darwin)
        send(descriptor, bytes.baseAddress, bytes.count, 0)
    #else
        send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    #endif
}

func errorText(_ number: Int32) -> String {
    String(cString: strerror(number))
}

/// The size of a file in bytes; nil if it cannot be looked up.
func fileSize(_ path: String) -> Int? {
    var information = stat()
    return stat(path, &information) == 0 ? Int(information.st_size) : nil
}

/// Waits in full even in a cancelled task, which `Task.sleep` does not: cleaning up must wait there as well.
func waitUncancelled(milliseconds: Int) async {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { continuation.resume() }
    }
}

/// Runs short blocking work off the Swift concurrency pool.
func offPool<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Swift.Result(catching: work)) }
    }
}

/// Asks every few milliseconds until it is so; false if the time is over first.
func eventually(within limit: Duration, _ condition: @Sendable () async -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + limit
    var interval = 1
    while await !condition() {
        if ContinuousClock.now >= deadline { return false }
        await waitUncancelled(milliseconds: interval)
        interval = min(interval * 2, 16)
    }
    return true
}

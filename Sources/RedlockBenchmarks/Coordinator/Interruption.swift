// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Dispatch
import Foundation
import Synchronization

/// Runs the body; INT and TERM cancel it, so that servers and processes are ended and files removed.
///
/// - Throws: what the body throws, or the exit code of a process that a signal ended.
func cancelledBySignals<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let task = Task { try await body() }
    let received = Mutex<Int32?>(nil)
    let sources = [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            received.withLock { $0 = number }
            task.cancel()
        }
        source.resume()
        return source
    }
    defer { for source in sources { source.cancel() } }
    do {
        return try await task.value
    } catch {
        if let number = received.withLock(\.self) { throw ExitCode(128 + number) }
        throw error
    }
}

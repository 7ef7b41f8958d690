// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Runs asynchronous work while the calling thread, the main thread, waits for it.
func waitForResult<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let mailbox = Mailbox<Result<Value, any Error>>()
    // Unstructured, because the main function is synchronous (see `EntryPoint`).
    Task {
        do {
            mailbox.post(.success(try await body()))
        } catch {
            mailbox.post(.failure(error))
        }
    }
    while true {
        if let result = mailbox.next() { return try result.get() }
    }
}

/// Runs one operation on a lock; HUP, INT, QUIT and TERM cancel it, so that it can clean up, and then end the process
/// with 128+signal.
///
/// A second signal ends it at once.
enum InterruptibleOperation {
    private enum Event: Sendable {
        case signal(Int32)
        case finished(Result<Int32, any Error>)
    }

    /// Runs what has no end of its own: INT and TERM end it well, at once, and so does a reader of standard output that
    /// reads no more.
    ///
    /// - Throws: `ExitCode` of the operation if it ends nevertheless, or what it threw.
    static func runUntilInterrupted(_ body: @escaping @Sendable () async throws -> Int32) throws -> Never {
        let mailbox = Mailbox<Event>()
        try SignalWatcher.start(SignalWatcher.ending) { mailbox.post(.signal($0)) }
        Task {
            do {
                mailbox.post(.finished(.success(try await body())))
            } catch {
                mailbox.post(.finished(.failure(error)))
            }
        }
        while true {
            switch mailbox.next(within: .milliseconds(500)) {
            case .signal(SIGINT), .signal(SIGTERM): throw ExitCode(ExitStatus.success)
            case .signal(let number): throw ExitCode(ExitStatus.killed(by: number))
            case .finished(let result): throw ExitCode(try result.get())
            case nil: if StandardOutput.hasNoReader { throw ExitCode(ExitStatus.success) }
            }
        }
    }

    /// - Throws: `ExitCode` of the operation, or what it threw.
    static func run(_ body: @escaping @Sendable () async throws -> Int32) throws -> Never {
        let mailbox = Mailbox<Event>()
        try SignalWatcher.start(SignalWatcher.ending) { mailbox.post(.signal($0)) }
        let task = Task {
            do {
                mailbox.post(.finished(.success(try await body())))
            } catch {
                mailbox.post(.finished(.failure(error)))
            }
        }
        var interruptedBy: Int32?
        while true {
            switch mailbox.next(within: interruptedBy == nil ? nil : .seconds(2)) {
            case .signal(let number):
                if let interruptedBy { throw ExitCode(ExitStatus.killed(by: interruptedBy)) }
                interruptedBy = number
                task.cancel()
            case .finished(let result):
                if let interruptedBy, case .failure = result { throw ExitCode(ExitStatus.killed(by: interruptedBy)) }
                throw ExitCode(try result.get())
            case nil:
                if let interruptedBy { throw ExitCode(ExitStatus.killed(by: interruptedBy)) }
            }
        }
    }
}

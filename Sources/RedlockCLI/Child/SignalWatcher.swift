// SPDX-License-Identifier: Apache-2.0

import CSpawn
import Foundation

/// Turns signals sent to this process into messages.
///
/// A thread of its own takes the signals with sigwait. That needs them blocked in every other thread, so this must
/// start before any other thread does; threads inherit the mask. (It is also why `redlock` has no asynchronous main:
/// the main thread of one sleeps with an empty mask, and any signal would then end the process at once.)
enum SignalWatcher {
    static let ending: [Int32] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]

    /// Watches `signals` from now on, except those that this process was started to ignore (nohup, background jobs).
    ///
    /// - Throws: `CommandFailure` if no thread can be started; then no signal is blocked.
    static func start(_ signals: [Int32], _ deliver: @escaping @Sendable (Int32) -> Void) throws {
        var watched = sigset_t()
        sigemptyset(&watched)
        for signal in signals where isWatched(signal) { sigaddset(&watched, signal) }
        // With the default disposition some systems throw this one away before sigwait can see it.
        signal(SIGCHLD) { _ in }
        var blocked = watched
        // Writing to a terminal from the background, or handing it over, must not stop us.
        sigaddset(&blocked, SIGTTOU)
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        let set = watched
        let error = startThread {
            var set = set
            while true {
                var number: Int32 = 0
                if sigwait(&set, &number) == 0 { deliver(number) }
            }
        }
        guard error == 0 else {
            // Or the process could be ended by nothing but KILL.
            pthread_sigmask(SIG_UNBLOCK, &blocked, nil)
            throw CommandFailure(systemError: error, "no thread can be started")
        }
    }

    private static func isWatched(_ number: Int32) -> Bool {
        number == SIGCHLD || number == SIGCONT || !InheritedState.ofThisProcess.isIgnored(number)
    }

    /// Starts a thread that goes on until the process ends; `Thread` does not tell whether it could.
    ///
    /// - Returns: the number of the error, 0 without one.
    private static func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
        let boxed = Unmanaged.passRetained(ThreadBody(run: body))
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let error = pthread_create(&thread, nil, runThreadBody, boxed.toOpaque())
        if error != 0 { boxed.release() }
        return error
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}

#if canImport(Darwin)
    private func runThreadBody(_ body: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        Unmanaged<ThreadBody>.fromOpaque(body).takeRetainedValue().run()
        return nil
    }
#else
    private func runThreadBody(_ body: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let body else { return nil }
        Unmanaged<ThreadBody>.fromOpaque(body).takeRetainedValue().run()
        return nil
    }
#endif

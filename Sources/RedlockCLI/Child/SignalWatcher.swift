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
    static func start(_ signals: [Int32], _ deliver: @escaping @Sendable (Int32) -> Void) {
        var watched = sigset_t()
        sigemptyset(&watched)
        for signal in signals where !isIgnored(signal) { sigaddset(&watched, signal) }
        // With the default disposition some systems throw this one away before sigwait can see it.
        signal(SIGCHLD) { _ in }
        var blocked = watched
        // Writing to a terminal from the background, or handing it over, must not stop us.
        sigaddset(&blocked, SIGTTOU)
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        let set = watched
        Thread.detachNewThread {
            var set = set
            while true {
                var number: Int32 = 0
                if sigwait(&set, &number) == 0 { deliver(number) }
            }
        }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        guard number != SIGCHLD, number != SIGCONT else { return false }
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        #if os(Linux)
            let handler = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        #else
            let handler = unsafeBitCast(action.__sigaction_u.__sa_handler, to: Int.self)
        #endif
        return handler == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}

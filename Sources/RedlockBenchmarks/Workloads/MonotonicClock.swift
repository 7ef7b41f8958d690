// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The clock that everything is measured by: it never goes back, and all processes of the machine share it.
enum MonotonicClock {
    /// Nanoseconds since some moment before all processes.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Keeps the task busy until the instant, to within microseconds.
    ///
    /// `Task.sleep` and every timer come later than they were asked for, by more than a lock takes. So the thread sleeps
    /// until shortly before the instant, and the task then yields again and again: other tasks of the process go on, and
    /// the servers have the processor meanwhile.
    static func hold(until end: Int64) async {
        let rest = end - now - wakeUpNanoseconds
        if rest > 0 {
            var time = timespec(tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
            nanosleep(&time, nil)
        }
        while now < end { await Task.yield() }
    }

    /// How much later than asked for a thread wakes up, at most and as a rule.
    private static let wakeUpNanoseconds: Int64 = 200_000
}

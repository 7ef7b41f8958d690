// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What this process has used of the machine.
struct ProcessUsage {
    /// User and system time of all threads, in seconds.
    let processorSeconds: Double
    /// The most memory that it had, in bytes.
    let peakMemoryBytes: Int
    /// How often it wrote, to whatever; nil where the system does not count it.
    let writeCalls: Int?

    /// As of now.
    static var now: ProcessUsage {
        var usage = rusage()
        // RUSAGE_SELF, whose type differs between systems.
        getrusage(0, &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return ProcessUsage(
            processorSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peakMemoryBytes: peakMemoryBytes ?? usage.ru_maxrss,
            writeCalls: value(of: "syscw", inFile: "/proc/self/io")
        )
    }

    /// What Linux tells of this program alone; its `ru_maxrss` is at least that of the process which started it.
    private static var peakMemoryBytes: Int? {
        value(of: "VmHWM", inFile: "/proc/self/status").map { $0 * 1_024 }
    }

    /// The memory that it has written to and still has, in bytes; nil where the system does not tell it.
    ///
    /// Without what is mapped from files: code that runs for the first time is no memory that somebody took.
    static var anonymousMemoryBytes: Int? {
        value(of: "RssAnon", inFile: "/proc/self/status").map { $0 * 1_024 }
    }

    /// The number behind a name and a colon.
    private static func value(of name: String, inFile path: String) -> Int? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
            return Int(line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces).prefix(while: \.isNumber))
        }
        return nil
    }
}
